/** The part of rocksdb-native 3.18 that is used here; the package has no types of its own. */
declare module 'rocksdb-native' {
  interface Range {
    gte: Uint8Array;
    lt: Uint8Array;
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

  interface NativeIterator extends AsyncIterable<{ key: Buffer; value: Buffer }> {
    destroy(): void;
  }

  interface BatchOptions {
    capacity: number;
    autoDestroy: boolean;
  }

  class RocksDB {
    constructor(path: string);
    ready(): Promise<void>;
    close(): Promise<void>;
    flush(): Promise<void>;
    snapshot(): RocksDB;
    read(options: BatchOptions): NativeReadBatch;
    write(options: BatchOptions): NativeWriteBatch;
    iterator(
      range: Range,
      options: { reverse: boolean; limit: number; capacity: number },
    ): NativeIterator;
  }

  namespace RocksDB {
    export type { NativeIterator };
  }

  export = RocksDB;
}
