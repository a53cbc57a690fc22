import { assert } from '../lib/assert.ts';
import type { KeyRange, PagedRange } from './keys.ts';
import type { NativeDatabase, NativeIterator } from './native_rocksdb.ts';
import { readError, StorageError } from './storage_error.ts';

/** Keys of one native read. */
const READ_BATCH_KEYS_MAX = 1024;
/** Pairs that an iteration fetches at a time. */
const ITERATOR_PAIRS = 128;

export interface IterateOptions extends KeyRange {
  /** From the last key to the first. */
  readonly reverse?: boolean;
  /** Number of pairs at most. */
  readonly limit?: number;
}

interface WaitingGet {
  readonly key: Uint8Array;
  readonly resolve: (value: Uint8Array | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** What a database and a snapshot of it have in common: reading. Errors are StorageErrors. */
export abstract class KeyReader {
  readonly #directory: string;
  readonly #session: NativeDatabase;
  readonly #iterators = new Set<NativeIterator>();
  #waiting: WaitingGet[] = [];
  #closed = false;

  constructor(options: { directory: string }, dependencies: { session: NativeDatabase }) {
    this.#directory = options.directory;
    this.#session = dependencies.session;
  }

  /**
   * Reads one key; undefined when it is absent. All calls of one turn of the event loop become
   * one native read, which is many times cheaper.
   */
  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    assert(!this.#closed, 'the database is open');
    return new Promise((resolve, reject) => {
      // A tick runs after the promise callbacks that are due: they can still add to this read.
      if (this.#waiting.push({ key, resolve, reject }) === 1)
        process.nextTick(() => this.#readWaiting());
    });
  }

  #readWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const keys = waiting.map(({ key }) => key);
    this.getMany(keys).then(
      (values) => {
        for (const [at, { resolve }] of waiting.entries()) resolve(values[at]);
      },
      (thrown) => {
        for (const { reject } of waiting) reject(thrown);
      },
    );
  }

  /** Reads the keys; values come in their order, undefined where a key is absent. */
  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    assert(!this.#closed, 'the database is open');
    const reads: Promise<Buffer | null>[] = [];
    for (let from = 0; from < keys.length; from += READ_BATCH_KEYS_MAX) {
      const part = keys.slice(from, from + READ_BATCH_KEYS_MAX);
      const batch = this.#session.read({ capacity: part.length, autoDestroy: true });
      for (const key of part) reads.push(batch.get(key));
      batch.tryFlush();
    }
    try {
      const values = await Promise.all(reads);
      return values.map((value) => (value === null ? undefined : plainBytes(value)));
    } catch (thrown) {
      throw readError(this.#directory, thrown);
    }
  }

  /** The pairs of a range as they were when the iteration began, in the order of their keys. */
  async *iterate(options: IterateOptions): AsyncGenerator<[Uint8Array, Uint8Array], void, void> {
    const { gte, lt, reverse = false, limit = Number.POSITIVE_INFINITY } = options;
    assert(!this.#closed, 'the database is open');
    assert(lt.length > 0, 'a range has an upper bound');
    if (limit === 0) return;
    const range = { reverse, limit, capacity: ITERATOR_PAIRS };
    const iterator = this.#session.iterator({ gte, lt }, range);
    this.#iterators.add(iterator);
    try {
      for await (const { key, value } of iterator) yield [plainBytes(key), plainBytes(value)];
    } catch (thrown) {
      if (this.#closed)
        throw new StorageError('CLOSED', 'the database was closed during the iteration');
      throw readError(this.#directory, thrown);
    } finally {
      this.#iterators.delete(iterator);
      iterator.destroy();
    }
  }

  /**
   * The first pairs of a range in the order of their keys, in one native read: fewer than `pairsMax` only
   * at its end. Cheaper than `iterate` for many pairs, and nothing stays open between two pages.
   */
  async page({ gte, lt, pairsMax }: PagedRange): Promise<[Uint8Array, Uint8Array][]> {
    assert(!this.#closed, 'the database is open');
    // A capacity above the limit tells the native side that there is no second read.
    const range = { reverse: false, limit: pairsMax, capacity: pairsMax + 1 };
    const iterator = this.#session.iterator({ gte, lt }, range);
    this.#iterators.add(iterator);
    try {
      const pairs = await drained(iterator);
      if (this.#closed) throw new StorageError('CLOSED', 'the database was closed during a read');
      return pairs;
    } catch (thrown) {
      throw thrown instanceof StorageError ? thrown : readError(this.#directory, thrown);
    } finally {
      this.#iterators.delete(iterator);
    }
  }

  /**
   * Lets no more reads begin, and ends iterations that are still open: the native session cannot
   * close before them.
   */
  protected endReads(): void {
    this.#closed = true;
    for (const iterator of this.#iterators) iterator.destroy();
  }
}

function drained(iterator: NativeIterator): Promise<[Uint8Array, Uint8Array][]> {
  return new Promise((resolve, reject) => {
    const pairs: [Uint8Array, Uint8Array][] = [];
    iterator.on('readable', () => {
      for (let pair = iterator.read(); pair !== null; pair = iterator.read())
        pairs.push([plainBytes(pair.key), plainBytes(pair.value)]);
    });
    iterator.on('error', reject);
    iterator.on('close', () => resolve(pairs));
  });
}

/** A Buffer's `slice` shares memory, unlike that of other bytes: callers get plain ones. */
function plainBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
