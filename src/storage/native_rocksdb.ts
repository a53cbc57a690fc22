import { createRequire } from 'node:module';

/** A database or a snapshot of one, as rocksdb-native 3.18 offers it. */
export interface NativeDatabase {
  /** Opens the folder and makes it when missing. */
  ready(): Promise<void>;
  close(): Promise<void>;
  flush(): Promise<void>;
  snapshot(): NativeDatabase;
  read(options: NativeBatchOptions): NativeReadBatch;
  write(options: NativeBatchOptions): NativeWriteBatch;
  iterator(
    range: { gte: Uint8Array; lt: Uint8Array },
    options: { reverse: boolean; limit: number; capacity: number },
  ): NativeIterator;
}

/** A batch that is not destroyed when it is done keeps the database from closing. */
interface NativeBatchOptions {
  capacity: number;
  autoDestroy: true;
}

interface NativeReadBatch {
  /** Resolves once the batch was read; null when the key is absent. */
  get(key: Uint8Array): Promise<Buffer | null>;
  tryFlush(): void;
}

interface NativeWriteBatch {
  tryPut(key: Uint8Array, value: Uint8Array): void;
  tryDelete(key: Uint8Array): void;
  tryDeleteRange(start: Uint8Array, end: Uint8Array): void;
  flush(): Promise<void>;
}

interface NativePair {
  key: Buffer;
  value: Buffer;
}

/** A stream: `read` gives what has been fetched, and null until the next 'readable'. */
export interface NativeIterator extends AsyncIterable<NativePair> {
  read(): NativePair | null;
  on(event: 'readable' | 'close', listener: () => void): void;
  on(event: 'error', listener: (error: unknown) => void): void;
  destroy(): void;
}

const require = createRequire(import.meta.url);
/** The package has no types of its own; this is the part of it that is used here. */
const RocksDB: new (path: string) => NativeDatabase = require('rocksdb-native');

/** A database in the folder; it is usable once it is ready. */
export function nativeDatabase(directory: string): NativeDatabase {
  return new RocksDB(directory);
}
