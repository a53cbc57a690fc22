import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { FileSystem, WalFile } from '../wal/file_system.ts';

const CHECKSUM_BYTES = 4;
const SMALL_FILE_BYTES_MAX = 256 * 1024;

/** A small file with a checksum, which is there as a whole or not at all, whenever the power fails. */
export async function writeSmallFile(
  options: { directory: string; name: string; content: Uint8Array },
  fileSystem: FileSystem,
): Promise<void> {
  const { directory, name, content } = options;
  const path = join(directory, name);
  const bytes = new Uint8Array(CHECKSUM_BYTES + content.length);
  bytes.set(content, CHECKSUM_BYTES);
  new DataView(bytes.buffer).setUint32(0, crc32(content));
  const file = await fileSystem.open(`${path}.tmp`, 'create');
  try {
    await file.write(bytes, 0);
    await file.fdatasync();
  } finally {
    await file.close();
  }
  await fileSystem.rename(`${path}.tmp`, path);
  await fileSystem.syncDirectory(directory);
}

/** The content of a file that exists; undefined when it is damaged. */
export async function readSmallFile(
  path: string,
  fileSystem: FileSystem,
): Promise<Uint8Array | undefined> {
  const file = await fileSystem.open(path, 'existing');
  try {
    const bytes = await contentOf(file);
    if (bytes.length < CHECKSUM_BYTES) return undefined;
    const content = bytes.subarray(CHECKSUM_BYTES);
    const view = new DataView(bytes.buffer);
    return view.getUint32(0) === crc32(content) ? content : undefined;
  } finally {
    await file.close();
  }
}

async function contentOf(file: WalFile): Promise<Uint8Array> {
  const sizeBytes = await file.sizeBytes();
  if (sizeBytes > SMALL_FILE_BYTES_MAX) return new Uint8Array(0);
  const bytes = new Uint8Array(sizeBytes);
  return bytes.subarray(0, await file.read(bytes, 0));
}
