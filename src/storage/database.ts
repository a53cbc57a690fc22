import { access, constants, mkdir } from 'node:fs/promises';
import { assert } from '../lib/assert.ts';
import { KeyReader } from './key_reader.ts';
import { type NativeDatabase, nativeDatabase } from './native_rocksdb.ts';
import { failedError, openError, type StorageError, unusableError } from './storage_error.ts';
import type { WriteBatch } from './write_batch.ts';

/**
 * Keys and values on disk: RocksDB with one column family, since a batch that is to be
 * atomic belongs to one. A write survives the death of the process as soon as it has resolved,
 * but that of the machine only after `flush`: what may be lost is always a suffix of the writes,
 * and the log in front of the database brings it back. Errors are StorageErrors.
 */
export class Database extends KeyReader {
  readonly #directory: string;
  readonly #native: NativeDatabase;
  readonly #snapshots = new Set<DatabaseSnapshot>();
  #lastWrite: Promise<void> = Promise.resolve();
  #failure: StorageError | undefined;
  #closed = false;

  /**
   * Opens the database in the folder and makes it when missing. The folder is locked until
   * `close` or the process's end.
   */
  static async open(options: { directory: string }): Promise<Database> {
    const { directory } = options;
    try {
      await mkdir(directory, { recursive: true });
      await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (thrown) {
      throw unusableError(directory, thrown);
    }
    const native = nativeDatabase(directory);
    try {
      await native.ready();
    } catch (thrown) {
      throw openError(directory, thrown);
    }
    return new Database({ directory }, { native });
  }

  /** Use `open`. */
  constructor(options: { directory: string }, dependencies: { native: NativeDatabase }) {
    super(options, { session: dependencies.native });
    this.#directory = options.directory;
    this.#native = dependencies.native;
  }

  /**
   * Applies the batch as a whole. Batches take effect in the order of the calls. After one has
   * failed, every later one is refused: a gap in the sequence of writes would never be noticed.
   */
  write(batch: WriteBatch): Promise<void> {
    assert(!this.#closed, 'the database is open');
    const written = this.#lastWrite.then(() => this.#apply(batch));
    this.#lastWrite = written.catch(() => undefined);
    return written;
  }

  async #apply(batch: WriteBatch): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (batch.count === 0) return;
    const native = this.#native.write({ capacity: batch.count, autoDestroy: true });
    for (const operation of batch.operations) {
      if (operation.kind === 'put') native.tryPut(operation.key, operation.value);
      else if (operation.kind === 'delete') native.tryDelete(operation.key);
      else native.tryDeleteRange(operation.gte, operation.lt);
    }
    try {
      await native.flush();
    } catch (thrown) {
      const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
      this.#failure = failedError(this.#directory, cause);
      throw this.#failure;
    }
  }

  /**
   * What the database holds now: all writes that have resolved. It costs disk space until it is
   * closed.
   */
  snapshot(): DatabaseSnapshot {
    assert(!this.#closed, 'the database is open');
    const session = this.#native.snapshot();
    const snapshot = new DatabaseSnapshot(
      { directory: this.#directory },
      { session, onClose: () => this.#snapshots.delete(snapshot) },
    );
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /** Makes every write that has resolved durable, so that it survives the loss of power. */
  async flush(): Promise<void> {
    assert(!this.#closed, 'the database is open');
    try {
      await this.#native.flush();
    } catch (thrown) {
      this.#failure = failedError(this.#directory, thrown);
      throw this.#failure;
    }
  }

  /**
   * Waits for the writes, ends iterations and snapshots, and gives up the lock. Nothing may be
   * called afterwards.
   */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#lastWrite;
    this.endReads();
    for (const snapshot of this.#snapshots) await snapshot.close();
    await this.#native.close();
  }
}

/** The database as it was at one moment, whatever is written later. */
export class DatabaseSnapshot extends KeyReader {
  readonly #session: NativeDatabase;
  readonly #onClose: () => void;
  #closed = false;

  /** Use `Database.snapshot`. */
  constructor(
    options: { directory: string },
    dependencies: { session: NativeDatabase; onClose: () => void },
  ) {
    super(options, dependencies);
    this.#session = dependencies.session;
    this.#onClose = dependencies.onClose;
  }

  /** May be called more than once. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    this.endReads();
    await this.#session.close();
  }
}
