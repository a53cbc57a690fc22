import { join } from 'node:path';
import type { FileSystem, WalFile } from '../wal/file_system.ts';
import { FRAME_BYTES_MAX } from './wire.ts';

/** A file of chunks is not made longer than this, so that what a damage costs is bounded. */
const PART_BYTES_MAX = 64 * 1024 * 1024;
/** Written and not yet synced: what a loss of power costs. */
const UNSYNCED_BYTES_MAX = 16 * 1024 * 1024;
const LENGTH_BYTES = 4;

/** Where in the parts something stands. */
export interface PartPosition {
  /** From 1. */
  readonly part: number;
  readonly offset: number;
}

export const FIRST_POSITION: PartPosition = { part: 1, offset: 0 };

function partPath(directory: string, part: number): string {
  return join(directory, partName(part));
}

function partName(part: number): string {
  return `part-${String(part).padStart(8, '0')}`;
}

/** Appends messages to the parts: u32 length, bytes. Whoever reads them checks the bytes. */
export class PartWriter {
  readonly #directory: string;
  readonly #fileSystem: FileSystem;
  #part: number;
  #offset: number;
  #file: WalFile | undefined;
  #unsyncedBytes = 0;

  /** Writes from the position on; what stands behind it is overwritten. */
  constructor(
    options: { directory: string; position: PartPosition },
    dependencies: { fileSystem: FileSystem },
  ) {
    this.#directory = options.directory;
    this.#part = options.position.part;
    this.#offset = options.position.offset;
    this.#fileSystem = dependencies.fileSystem;
  }

  async append(message: Uint8Array): Promise<void> {
    if (this.#offset >= PART_BYTES_MAX) {
      await this.close();
      this.#part += 1;
      this.#offset = 0;
    }
    this.#file ??= await this.#open();
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, message.length);
    await this.#file.write(length, this.#offset);
    await this.#file.write(message, this.#offset + LENGTH_BYTES);
    this.#offset += LENGTH_BYTES + message.length;
    this.#unsyncedBytes += LENGTH_BYTES + message.length;
    if (this.#unsyncedBytes >= UNSYNCED_BYTES_MAX) await this.sync();
  }

  /** Makes everything appended durable. */
  async sync(): Promise<void> {
    await this.#file?.fdatasync();
    this.#unsyncedBytes = 0;
  }

  async close(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    try {
      await this.sync();
    } finally {
      this.#file = undefined;
      await file.close();
    }
  }

  async #open(): Promise<WalFile> {
    const path = partPath(this.#directory, this.#part);
    const file = await this.#fileSystem.open(path, this.#offset === 0 ? 'create' : 'existing');
    await this.#fileSystem.syncDirectory(this.#directory);
    return file;
  }
}

/**
 * The messages in the parts and where each one ends, up to the first place that cannot hold one. Each message
 * has a buffer of its own.
 */
export async function* readParts(
  directory: string,
  fileSystem: FileSystem,
): AsyncGenerator<{ message: Uint8Array; end: PartPosition }, void, void> {
  const names = new Set(await fileSystem.list(directory));
  for (let part = 1; ; part += 1) {
    if (!names.has(partName(part))) return;
    const file = await fileSystem.open(partPath(directory, part), 'existing');
    try {
      let offset = 0;
      for (;;) {
        const message = await readMessage(file, offset);
        if (message === undefined) break;
        offset += LENGTH_BYTES + message.length;
        yield { message, end: { part, offset } };
      }
      if (offset < PART_BYTES_MAX) return;
    } finally {
      await file.close();
    }
  }
}

async function readMessage(file: WalFile, offset: number): Promise<Uint8Array | undefined> {
  const prefix = new Uint8Array(LENGTH_BYTES);
  if ((await file.read(prefix, offset)) < LENGTH_BYTES) return undefined;
  const length = new DataView(prefix.buffer).getUint32(0);
  if (length === 0 || length > FRAME_BYTES_MAX) return undefined;
  const message = new Uint8Array(length);
  const found = await file.read(message, offset + LENGTH_BYTES);
  return found < length ? undefined : message;
}
