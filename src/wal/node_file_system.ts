import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import type { FileSystem, WalFile, WalReader } from './file_system.ts';

/**
 * Zeros are written in pieces of this size, so that a sync of another file never waits behind a
 * long write.
 */
const ZERO_BYTES = 1024 * 1024;

/** The real disk. Writes and syncs run in libuv's threads and leave the event loop free. */
export const nodeFileSystem: FileSystem = {
  createDirectory: async (path) => {
    await mkdir(path, { recursive: true });
  },
  list: (directory) => readdir(directory),
  open: async (path, mode) => new NodeFile(await open(path, mode === 'create' ? 'w+' : 'r+')),
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

  constructor(handle: FileHandle) {
    this.#handle = handle;
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
    while (done < source.length) {
      const { bytesWritten } = await this.#handle.write(
        source,
        done,
        source.length - done,
        position + done,
      );
      done += bytesWritten;
    }
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
