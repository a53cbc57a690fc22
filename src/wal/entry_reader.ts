import { assert } from '../lib/assert.ts';
import type { Entry } from '../types/entry.ts';
import type { EntryCache } from './entry_cache.ts';
import type { EntryIndex } from './entry_index.ts';
import type { FileSystem, WalReader } from './file_system.ts';
import {
  RECORD_HEADER_BYTES,
  readRecord,
  recordBytes,
  recordSize,
  validRecordSize,
} from './record.ts';
import { segmentPath } from './segment.ts';
import type { SegmentTable } from './segment_table.ts';
import { corruptError, unusableError } from './wal_error.ts';

/**
 * Segments that are kept open for reading: a few followers that lag behind read from different
 * ones.
 */
const READERS_MAX = 8;
/** One read of the disk fetches neighbouring records up to this size, or one larger record. */
const READ_BYTES_MAX = 1024 * 1024;

/** Reads entries from memory, or else from the disk, where their checksums are verified again. */
export class EntryReader {
  readonly #directory: string;
  readonly #fileSystem: FileSystem;
  readonly #index: EntryIndex;
  readonly #cache: EntryCache;
  readonly #segments: SegmentTable;
  /** By sequence number, the one used longest ago first. */
  readonly #readers = new Map<number, WalReader>();

  constructor(
    options: { directory: string },
    dependencies: {
      fileSystem: FileSystem;
      index: EntryIndex;
      cache: EntryCache;
      segments: SegmentTable;
    },
  ) {
    this.#directory = options.directory;
    this.#fileSystem = dependencies.fileSystem;
    this.#index = dependencies.index;
    this.#cache = dependencies.cache;
    this.#segments = dependencies.segments;
  }

  /** See `Wal.entries`. */
  entries(from: number, toInclusive: number, bytesMax: number): Entry[] {
    assert(
      from >= this.#index.firstIndex && from <= toInclusive && toInclusive <= this.#index.lastIndex,
      'the range lies in the log',
    );
    const last = this.#lastWithin(from, toInclusive, bytesMax);
    const entries: Entry[] = [];
    for (let next = from; next <= last; next = from + entries.length) {
      const cached = this.#cache.get(next);
      if (cached === undefined) this.#readRun(next, last, entries);
      else entries.push(cached);
    }
    return entries;
  }

  #lastWithin(from: number, toInclusive: number, bytesMax: number): number {
    let bytes = this.#index.length(from);
    let last = from;
    while (last < toInclusive) {
      bytes += this.#index.length(last + 1);
      if (bytes > bytesMax) break;
      last += 1;
    }
    return last;
  }

  /**
   * Adds entries from `from` on, at least one, that lie close together in one segment and are not
   * cached.
   */
  #readRun(from: number, last: number, entries: Entry[]): void {
    const sequence = this.#index.sequence(from);
    const start = this.#index.offset(from);
    let end = start + recordSize(this.#index.length(from));
    let to = from;
    while (to < last && this.#index.sequence(to + 1) === sequence) {
      const recordEnd = this.#index.offset(to + 1) + recordSize(this.#index.length(to + 1));
      if (recordEnd - start > READ_BYTES_MAX || this.#cache.get(to + 1) !== undefined) break;
      end = recordEnd;
      to += 1;
    }
    const path = segmentPath(this.#directory, sequence);
    const bytes = new Uint8Array(end - start);
    this.#fill(bytes, { sequence, path, start });
    const source = recordBytes(bytes);
    const seed = this.#segments.seed(sequence);
    for (let index = from; index <= to; index += 1) {
      const offset = this.#index.offset(index);
      const at = offset - start;
      const record =
        validRecordSize(source, { at, offset, seed }) === undefined
          ? undefined
          : readRecord(source, at);
      if (record?.kind !== 'entry' || record.index !== index)
        throw corruptError(path, offset, `entry ${index} cannot be read back`);
      const { type, term, length } = record;
      const dataAt = at + RECORD_HEADER_BYTES;
      entries.push({ index, term, type, data: bytes.subarray(dataAt, dataAt + length) });
    }
  }

  #fill(bytes: Uint8Array, place: { sequence: number; path: string; start: number }): void {
    const { sequence, path, start } = place;
    let readBytes: number;
    try {
      readBytes = this.#reader(sequence, path).read(bytes, start);
    } catch (thrown) {
      throw unusableError(path, thrown);
    }
    if (readBytes < bytes.length) throw corruptError(path, start, 'the file ends within a record');
  }

  #reader(sequence: number, path: string): WalReader {
    const reader = this.#readers.get(sequence) ?? this.#fileSystem.openReader(path);
    this.#readers.delete(sequence);
    this.#readers.set(sequence, reader);
    for (const [oldest, unused] of this.#readers) {
      if (this.#readers.size <= READERS_MAX) break;
      unused.close();
      this.#readers.delete(oldest);
    }
    return reader;
  }

  /** Gives back the file of a segment that is no longer part of the log. */
  forget(sequence: number): void {
    this.#readers.get(sequence)?.close();
    this.#readers.delete(sequence);
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
  }
}
