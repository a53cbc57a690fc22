import { closeSync, constants, fstatSync, openSync, readSync, write } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import type { FileSystem, OpenMode, WalFile, WalReader } from './file_system.ts';

/**
 * Zeros are written in pieces of this size, so that a sync of another file never waits behind a
 * long write.
 */
const ZERO_BYTES = 1024 * 1024;

/**
 * On Linux one call writes and syncs (docs/adr/0008-one-call-for-write-and-sync.md). Elsewhere that
 * flag is missing, or does not flush the disk's own cache as `fdatasync` does.
 */
const WRITES_SYNC = process.platform === 'linux';
const FLAGS: Record<OpenMode, number | string> = {
  create: 'w+',
  existing: 'r+',
  synchronous: WRITES_SYNC ? constants.O_RDWR | constants.O_DSYNC : 'r+',
};

/** The real disk. Writes and syncs run in libuv's threads and leave the event loop free. */
export const nodeFileSystem: FileSystem = {
  createDirectory: async (path) => {
    await mkdir(path, { recursive: true });
  },
  list: (directory) => readdir(directory),
  open: async (path, mode) => new NodeFile(await open(path, FLAGS[mode]), mode),
  openReader: (path) => new NodeReader(openSync(path, 'r')),
  rename: (from, to) => rename(from, to),
  remove: (path) => unlink(path),
  syncDirectory: async (path) => {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

class NodeFile implements WalFile {
  readonly #handle: FileHandle;
  readonly #mustSync: boolean;

  constructor(handle: FileHandle, mode: OpenMode) {
    this.#handle = handle;
    this.#mustSync = mode === 'synchronous' && !WRITES_SYNC;
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await this.#handle.read(
        target,
        done,
        target.length - done,
        position + done,
      );
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < source.length)
      done += await writeSome(this.#handle.fd, source.subarray(done), position + done);
    if (this.#mustSync) await this.fdatasync();
  }

  async preallocate(sizeBytes: number): Promise<void> {
    // Node has no fallocate, and a sparse file would make each later fdatasync allocate blocks:
    // zeros are written.
    const zeros = new Uint8Array(ZERO_BYTES);
    for (let position = await this.sizeBytes(); position < sizeBytes; ) {
      const piece = zeros.subarray(0, Math.min(ZERO_BYTES, sizeBytes - position));
      await this.write(piece, position);
      position += piece.length;
    }
  }

  fdatasync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The callback's way costs less than that of the file handle, which each commit would pay for. */
function writeSome(descriptor: number, source: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, source, 0, source.length, position, (error, bytesWritten) => {
      if (error === null) resolve(bytesWritten);
      else reject(error);
    });
  });
}

class NodeReader implements WalReader {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  sizeBytes(): number {
    return fstatSync(this.#descriptor).size;
  }

  read(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const bytesRead = readSync(
        this.#descriptor,
        target,
        done,
        target.length - done,
        position + done,
      );
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
