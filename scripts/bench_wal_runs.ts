import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { Entry } from '../src/types/entry.ts';
import type { FileSystem, WalFile } from '../src/wal/file_system.ts';
import { nodeFileSystem } from '../src/wal/node_file_system.ts';
import { Wal } from '../src/wal/wal.ts';

const VALUE_BYTES = 256;
const VALUE = new Uint8Array(VALUE_BYTES).fill(7);
const FILE_BYTES = 64 * 1024 * 1024;
const ZERO_BYTES = 1024 * 1024;
/** The log is compacted between two runs once it has so many entries. */
const ENTRIES_KEPT = 200_000;
const silentLogger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface LogRun {
  readonly elapsedMs: number;
  readonly appends: number;
  readonly valueBytes: number;
  /** Batches that were written and synced, and their bytes. */
  readonly syncs: number;
  readonly bytes: number;
  readonly latenciesMs: readonly number[];
}

/** A log that is appended to in one run after another. */
export class BenchLog {
  readonly #wal: Wal;
  readonly #batches: { syncs: number; bytes: number };
  #nextIndex = 1;

  static async open(directory: string): Promise<BenchLog> {
    const batches = { syncs: 0, bytes: 0 };
    const wal = await Wal.open(
      { directory, identity: { clusterId: 'bench', memberId: 1 } },
      { fileSystem: counting(batches), logger: silentLogger },
    );
    return new BenchLog({ wal, batches });
  }

  /** Use `open`. */
  constructor(dependencies: { wal: Wal; batches: { syncs: number; bytes: number } }) {
    this.#wal = dependencies.wal;
    this.#batches = dependencies.batches;
  }

  /** Each appender waits for one append and then makes the next. */
  async run(options: { appenders: number; durationMs: number }): Promise<LogRun> {
    const wal = this.#wal;
    if (wal.lastIndex - wal.base.index > ENTRIES_KEPT) await wal.compact(wal.lastIndex);
    const latenciesMs: number[] = [];
    const before = { ...this.#batches };
    const startMs = performance.now();
    const appender = async (): Promise<void> => {
      for (;;) {
        const beginMs = performance.now();
        if (beginMs >= startMs + options.durationMs) return;
        await wal.append({ entries: [this.#nextEntry()] });
        latenciesMs.push(performance.now() - beginMs);
      }
    };
    await Promise.all(Array.from({ length: options.appenders }, appender));
    return {
      elapsedMs: performance.now() - startMs,
      appends: latenciesMs.length,
      valueBytes: latenciesMs.length * VALUE_BYTES,
      syncs: this.#batches.syncs - before.syncs,
      bytes: this.#batches.bytes - before.bytes,
      latenciesMs,
    };
  }

  #nextEntry(): Entry {
    const index = this.#nextIndex;
    this.#nextIndex += 1;
    return { index, term: 1, type: 'command', data: VALUE };
  }

  close(): Promise<void> {
    return this.#wal.close();
  }
}

/** The real disk, with the batches of the log counted. */
function counting(batches: { syncs: number; bytes: number }): FileSystem {
  return {
    ...nodeFileSystem,
    open: async (path, mode) => {
      const file = await nodeFileSystem.open(path, mode);
      if (mode !== 'synchronous') return file;
      return new CountingFile(file, batches);
    },
  };
}

class CountingFile implements WalFile {
  readonly #file: WalFile;
  readonly #batches: { syncs: number; bytes: number };

  constructor(file: WalFile, batches: { syncs: number; bytes: number }) {
    this.#file = file;
    this.#batches = batches;
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes();
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#file.read(target, position);
  }

  write(source: Uint8Array, position: number): Promise<void> {
    this.#batches.syncs += 1;
    this.#batches.bytes += source.length;
    return this.#file.write(source, position);
  }

  preallocate(sizeBytes: number): Promise<void> {
    return this.#file.preallocate(sizeBytes);
  }

  fdatasync(): Promise<void> {
    return this.#file.fdatasync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

export interface RawRun {
  readonly elapsedMs: number;
  readonly syncs: number;
}

/**
 * What the disk can do: write and fdatasync of batches of one size into a preallocated file, one
 * after the other, by calls that block this thread and so cost as little as possible.
 */
export class RawFile {
  readonly #file: number;
  #position = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'wx+');
    const zeros = new Uint8Array(ZERO_BYTES);
    for (let position = 0; position < FILE_BYTES; position += zeros.length)
      writeSync(this.#file, zeros, 0, zeros.length, position);
    fdatasyncSync(this.#file);
  }

  run(options: { batchBytes: number; durationMs: number }): RawRun {
    const { batchBytes, durationMs } = options;
    const batch = new Uint8Array(batchBytes).fill(7);
    let syncs = 0;
    const startMs = performance.now();
    while (performance.now() < startMs + durationMs) {
      if (this.#position + batchBytes > FILE_BYTES) this.#position = 0;
      writeSync(this.#file, batch, 0, batchBytes, this.#position);
      fdatasyncSync(this.#file);
      this.#position += batchBytes;
      syncs += 1;
    }
    return { elapsedMs: performance.now() - startMs, syncs };
  }

  close(): void {
    closeSync(this.#file);
  }
}
