import { dirname } from 'node:path';
import { assert } from '../lib/assert.ts';
import type { Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import type { Entry, HardState } from '../types/entry.ts';
import type { LogBase } from './base.ts';
import { writeBase } from './base.ts';
import { createLog } from './create_log.ts';
import { EntryCache } from './entry_cache.ts';
import type { EntryIndex } from './entry_index.ts';
import { EntryReader } from './entry_reader.ts';
import type { FileSystem } from './file_system.ts';
import { recordSize } from './record.ts';
import { recoverLog } from './recovery.ts';
import type { WalIdentity } from './segment.ts';
import { segmentPath } from './segment.ts';
import type { SegmentTable } from './segment_table.ts';
import { SegmentWriter } from './segment_writer.ts';
import { unusableError, WalError, WalFailedError } from './wal_error.ts';

export interface WalOptions {
  /**
   * Folder of the log alone; it is made when missing. Its parent must hold a lock: two open logs
   * destroy each other.
   */
  readonly directory: string;
  /** Written into each segment; a log of another identity is refused. */
  readonly identity: WalIdentity;
  /** Room taken from the disk for each segment. A larger batch gets a segment of its own size. */
  readonly segmentBytes?: number;
  /** Largest data of one entry. */
  readonly recordBytesMax?: number;
  /** Memory for the newest entries; older ones are read from the disk. */
  readonly cacheBytesMax?: number;
}

const SEGMENT_BYTES = 64 * 1024 * 1024;
const RECORD_BYTES_MAX = 64 * 1024 * 1024;
const CACHE_BYTES_MAX = 64 * 1024 * 1024;
/** Waiting appends are joined into one batch up to this size. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Largest single append. */
const APPEND_BYTES_MAX = 1024 * 1024 * 1024;
/** Waiting appends, in records' bytes; the consumer has far less unstable at any time. */
const QUEUE_BYTES_MAX = 2 * APPEND_BYTES_MAX;

/**
 * What one append asks for. The entries are contiguous; the first may replace an earlier one, but
 * leaves no gap.
 */
export interface WalAppend {
  readonly hardState?: HardState | undefined;
  readonly entries: readonly Entry[];
}

interface PendingAppend extends WalAppend {
  readonly sizeBytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The durable log of a Raft member: its entries and its hard state. What can be read is exactly
 * what is durable. Entries given to `append` and returned by `entries` are shared with the log
 * and must not be changed.
 */
export class Wal {
  readonly #directory: string;
  readonly #identity: WalIdentity;
  readonly #recordBytesMax: number;
  readonly #fileSystem: FileSystem;
  readonly #logger: Logger;
  readonly #segments: SegmentTable;
  readonly #index: EntryIndex;
  readonly #cache: EntryCache;
  readonly #reader: EntryReader;
  readonly #writer: SegmentWriter;
  #hardState: HardState;
  #queue: PendingAppend[] = [];
  #queuedBytes = 0;
  /** An append of nothing resolves with the one before it. */
  #lastAppend: Promise<void> = Promise.resolve();
  /** Last index once all queued appends are durable. */
  #pendingLastIndex: number;
  #running: Promise<void> | undefined;
  /** The base once all compactions are done; nothing up to it may be replaced. */
  #pendingBase: number;
  #lastCompaction: Promise<void> = Promise.resolve();
  #failure: WalFailedError | undefined;
  #closed = false;

  /**
   * Recovers the log in the folder, or starts an empty one. Throws a WalError when the log cannot
   * be trusted or used, and leaves it untouched then.
   */
  static async open(
    options: WalOptions,
    dependencies: { fileSystem: FileSystem; logger: Logger },
  ): Promise<Wal> {
    try {
      return await openLog(options, dependencies);
    } catch (thrown) {
      throw thrown instanceof WalError ? thrown : unusableError(options.directory, thrown);
    }
  }

  /**
   * Makes a log in a folder of its own, which is missing or empty, that begins after the base and
   * has this hard state: for a member that starts from a snapshot. It is durable when this
   * resolves; before, the folder must not be opened. Throws a WalError.
   */
  static async create(
    options: WalOptions,
    start: { base: LogBase; hardState: HardState },
    dependencies: { fileSystem: FileSystem },
  ): Promise<void> {
    try {
      const { directory, identity, segmentBytes = SEGMENT_BYTES } = options;
      await createLog({ directory, identity, segmentBytes }, start, dependencies);
    } catch (thrown) {
      throw thrown instanceof WalError ? thrown : unusableError(options.directory, thrown);
    }
  }

  /** Use `open`. */
  constructor(
    options: {
      directory: string;
      identity: WalIdentity;
      recordBytesMax: number;
      hardState: HardState;
    },
    dependencies: {
      fileSystem: FileSystem;
      logger: Logger;
      segments: SegmentTable;
      index: EntryIndex;
      cache: EntryCache;
      reader: EntryReader;
      writer: SegmentWriter;
    },
  ) {
    this.#directory = options.directory;
    this.#identity = options.identity;
    this.#recordBytesMax = options.recordBytesMax;
    this.#hardState = options.hardState;
    this.#fileSystem = dependencies.fileSystem;
    this.#logger = dependencies.logger;
    this.#segments = dependencies.segments;
    this.#index = dependencies.index;
    this.#cache = dependencies.cache;
    this.#reader = dependencies.reader;
    this.#writer = dependencies.writer;
    this.#pendingLastIndex = this.#index.lastIndex;
    this.#pendingBase = this.#index.base.index;
  }

  /**
   * Makes the hard state and the entries durable and then resolves. Appends take effect in the
   * order of the calls; those that wait at the same moment share one write and one fdatasync.
   * Rejects with a WalFailedError, as does every later append, when the disk refuses: whether the
   * append survives is then unknown.
   */
  append(request: WalAppend): Promise<void> {
    const sizeBytes = this.#checkedSize(request);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (sizeBytes === 0) return this.#lastAppend;
    this.#pendingLastIndex = request.entries.at(-1)?.index ?? this.#pendingLastIndex;
    this.#queuedBytes += sizeBytes;
    this.#lastAppend = new Promise((resolve, reject) => {
      const { hardState, entries } = request;
      this.#queue.push({ hardState, entries, sizeBytes, resolve, reject });
      this.#running ??= this.#run();
    });
    return this.#lastAppend;
  }

  /**
   * Gives up the entries up to the index, which are durable and never replaced, and removes the
   * segments that hold nothing else. Resolves once that is done; a crash at any moment leaves the
   * log with the old base or with the new one. Appends go on meanwhile. A disk that refuses is
   * final, as for `append`.
   */
  compact(index: number): Promise<void> {
    assert(!this.#closed, 'the log is open');
    assert(index >= this.base.index && index <= this.lastIndex, 'the new base lies in the log');
    const isReplaced = this.#queue.some(({ entries }) => (entries[0]?.index ?? index + 1) <= index);
    assert(!isReplaced, 'what is given up is not being replaced');
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#pendingBase = Math.max(this.#pendingBase, index);
    const compaction = this.#lastCompaction.then(() => this.#compact(index));
    this.#lastCompaction = compaction.catch(() => undefined);
    return compaction;
  }

  /** The last entry that is given up; index and term 0 when the log is kept from its first entry on. */
  get base(): LogBase {
    return this.#index.base;
  }

  /** One more than the base. It rises between two turns of the event loop, never falls. */
  get firstIndex(): number {
    return this.#index.firstIndex;
  }

  /** Index of the last durable entry; that of the base when there is none. */
  get lastIndex(): number {
    return this.#index.lastIndex;
  }

  /** The durable hard state; term 0 without a vote when none was ever written. */
  get hardState(): HardState {
    return this.#hardState;
  }

  /** Term of a durable entry or of the base. */
  term(index: number): number {
    return this.#index.term(index);
  }

  /** Bytes of records from the first entry above the base on: what compaction can give back. */
  get retainedBytes(): number {
    const { end } = this.#writer;
    if (end === undefined || this.lastIndex === this.base.index) return 0;
    const first = {
      sequence: this.#index.sequence(this.firstIndex),
      offset: this.#index.offset(this.firstIndex),
    };
    return this.#segments.positionBytes(end) - this.#segments.positionBytes(first);
  }

  /** Files that hold the log. */
  get segmentCount(): number {
    return this.#segments.count;
  }

  /**
   * Durable entries of the closed range, as many from its start as have data of at most
   * `bytesMax` in total, but at least one. Throws a WalError when they are damaged on disk or cannot
   * be read.
   */
  entries(from: number, toInclusive: number, bytesMax: number): Entry[] {
    return this.#reader.entries(from, toInclusive, bytesMax);
  }

  /** Waits for all appends and gives the files back. Nothing may be called afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#lastCompaction;
    this.#reader.close();
    await this.#writer.close();
  }

  #checkedSize({ hardState, entries }: WalAppend): number {
    assert(!this.#closed, 'the log is open');
    let sizeBytes = hardState === undefined ? 0 : recordSize(0);
    let expected = entries[0]?.index ?? 0;
    assert(
      entries.length === 0 ||
        (expected > this.#pendingBase && expected <= this.#pendingLastIndex + 1),
      'an append leaves no gap in the log and replaces nothing that is given up',
    );
    for (const entry of entries) {
      assert(entry.index === expected, 'the entries of an append are contiguous');
      assert(entry.data.length <= this.#recordBytesMax, 'an entry fits in one record');
      sizeBytes += recordSize(entry.data.length);
      expected += 1;
    }
    assert(sizeBytes <= APPEND_BYTES_MAX, 'one append is bounded');
    assert(this.#queuedBytes + sizeBytes <= QUEUE_BYTES_MAX, 'the waiting appends are bounded');
    return sizeBytes;
  }

  /**
   * Writes batch after batch until nothing waits. There is never a second batch under way:
   * recovery relies on it.
   */
  async #run(): Promise<void> {
    // Appends that follow in the same turn of the event loop join the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0 && this.#failure === undefined) await this.#runBatch();
    this.#running = undefined;
  }

  async #runBatch(): Promise<void> {
    try {
      const first = this.#queue[0];
      assert(first !== undefined, 'a batch has an append');
      if (first.sizeBytes > this.#writer.roomBytes)
        await this.#writer.rotate({ roomBytes: first.sizeBytes, firstIndex: this.lastIndex + 1 });
      const batch = this.#takeBatch();
      const start = await this.#writer.writeBatch(batch);
      // A compaction may have failed meanwhile, and then all that waited has been refused.
      if (this.#failure === undefined) this.#publish(batch, start);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /**
   * The appends at the head of the queue that fit in the segment and in a batch; they stay queued
   * until durable.
   */
  #takeBatch(): { appends: readonly PendingAppend[]; sizeBytes: number } {
    const bytesMax = Math.min(this.#writer.roomBytes, BATCH_BYTES_MAX);
    let sizeBytes = 0;
    let count = 0;
    for (const append of this.#queue) {
      if (count > 0 && sizeBytes + append.sizeBytes > bytesMax) break;
      sizeBytes += append.sizeBytes;
      count += 1;
    }
    return { appends: this.#queue.slice(0, count), sizeBytes };
  }

  #publish(
    batch: { appends: readonly PendingAppend[]; sizeBytes: number },
    start: { sequence: number; offset: number },
  ): void {
    const { sequence } = start;
    let { offset } = start;
    for (const { hardState, entries } of batch.appends) {
      if (hardState !== undefined) {
        this.#hardState = hardState;
        offset += recordSize(0);
      }
      for (const entry of entries) {
        const { index, term, data } = entry;
        this.#index.put({ index, term, sequence, offset, length: data.length });
        this.#cache.push(entry);
        offset += recordSize(data.length);
      }
    }
    this.#queue.splice(0, batch.appends.length);
    this.#queuedBytes -= batch.sizeBytes;
    for (const append of batch.appends) append.resolve();
  }

  async #compact(index: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (index <= this.base.index) return;
    const firstSequence = this.#segments.firstNeeded(index);
    // The newest durable hard state may be in a segment that goes; any later one is in those that
    // stay, since they include the one being written.
    const base = { index, term: this.term(index), firstSequence, hardState: this.#hardState };
    try {
      const options = { directory: this.#directory, identity: this.#identity, base };
      await writeBase(options, this.#fileSystem);
      this.#index.compact(index);
      this.#cache.dropTo(index);
      for (const sequence of this.#segments.dropBefore(firstSequence)) {
        this.#reader.forget(sequence);
        await this.#fileSystem.remove(segmentPath(this.#directory, sequence));
      }
    } catch (thrown) {
      throw this.#fail(thrown);
    }
  }

  /**
   * After a failed write or sync nobody knows what is on the disk, and a second sync would not
   * tell: it is final.
   */
  #fail(cause: unknown): WalFailedError {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = new WalFailedError(this.#directory, cause);
    this.#logger.error(
      { directory: this.#directory, error: errorText(cause) },
      'the write-ahead log failed',
    );
    const waiting = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const append of waiting) append.reject(this.#failure);
    return this.#failure;
  }
}

async function openLog(
  options: WalOptions,
  dependencies: { fileSystem: FileSystem; logger: Logger },
): Promise<Wal> {
  const { directory, identity } = options;
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  const recordBytesMax = options.recordBytesMax ?? RECORD_BYTES_MAX;
  assert(recordSize(recordBytesMax) <= APPEND_BYTES_MAX, 'a record fits in an append');
  const { fileSystem, logger } = dependencies;
  await fileSystem.createDirectory(directory);
  await fileSystem.syncDirectory(dirname(directory));
  const log = await recoverLog({ directory, identity, segmentBytes }, dependencies);
  const { index, hardState, segments, last, leftovers } = log;
  const writer = new SegmentWriter(
    { directory, identity, segmentBytes, bufferBytesMax: BATCH_BYTES_MAX },
    { fileSystem, segments, last },
  );
  try {
    // What a killed process named may not be on the disk yet: nothing goes before that is.
    await fileSystem.syncDirectory(directory);
    for (const path of leftovers) await fileSystem.remove(path);
    if (last === undefined) await writer.rotate({ roomBytes: 0, firstIndex: index.firstIndex });
  } catch (thrown) {
    await writer.close();
    throw thrown;
  }
  const cache = new EntryCache({ bytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX });
  const reader = new EntryReader({ directory }, { fileSystem, index, cache, segments });
  logger.info(
    {
      directory,
      firstIndex: index.firstIndex,
      lastIndex: index.lastIndex,
      term: hardState.term,
      segments: segments.count,
    },
    'write-ahead log opened',
  );
  return new Wal(
    { directory, identity, recordBytesMax, hardState },
    { fileSystem, logger, segments, index, cache, reader, writer },
  );
}
