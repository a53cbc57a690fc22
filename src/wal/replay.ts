import type { HardState } from '../types/entry.ts';
import type { BaseRecord } from './base.ts';
import { EntryIndex } from './entry_index.ts';
import type { FileSystem } from './file_system.ts';
import type { FoundSegment } from './log_files.ts';
import {
  batchStartOf,
  findRecord,
  looksTorn,
  type RecordBytes,
  type RecordContent,
  readRecord,
  recordBytes,
  validRecordSize,
} from './record.ts';
import { SEGMENT_HEADER_BYTES } from './segment.ts';
import { corruptError } from './wal_error.ts';

/** A segment with its bytes, as many as it should have. */
export interface LoadedSegment extends FoundSegment {
  readonly source: RecordBytes;
  /** Bytes that its file has; missing ones are taken to be zeros. */
  readonly fileBytes: number;
}

/**
 * Reads a whole segment, into the buffer where it fits. Where the file is shorter than it was
 * made, zeros are taken to be missing.
 */
export function loadSegment(
  found: FoundSegment,
  options: { buffer: Uint8Array; segmentBytes: number },
  fileSystem: FileSystem,
): LoadedSegment {
  const reader = fileSystem.openReader(found.path);
  try {
    const fileBytes = reader.sizeBytes();
    const sizeBytes = Math.max(fileBytes, options.segmentBytes);
    const { buffer } = options;
    const bytes =
      buffer.length < sizeBytes ? new Uint8Array(sizeBytes) : buffer.subarray(0, sizeBytes);
    bytes.fill(0, reader.read(bytes, 0));
    return { ...found, source: recordBytes(bytes), fileBytes };
  } finally {
    reader.close();
  }
}

/** The state of a log as its records, in the order in which they were written, lead to it. */
export class Replay {
  readonly index: EntryIndex;
  readonly #base: BaseRecord;
  readonly #onRecord: (place: { sequence: number; offset: number }, record: RecordContent) => void;
  #hardState: HardState;
  /** Index of the last entry in the order of writing; entries at or below the base count too. */
  #position: number;
  /** Term of the entry at the base, where the segments still hold it. */
  #termAtBase: number | undefined;
  #isFirst = true;

  constructor(
    base: BaseRecord,
    onRecord: (place: { sequence: number; offset: number }, record: RecordContent) => void = () =>
      undefined,
  ) {
    this.#base = base;
    this.#onRecord = onRecord;
    this.#hardState = base.hardState;
    this.#position = base.index;
    this.index = new EntryIndex({ index: base.index, term: base.term });
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  /**
   * Applies the segment's records in the order in which they were written and returns where they
   * end.
   *
   * A segment that has a successor was complete and synced before that one came to be, and the
   * successor's header says where it ends: anything else there is damage. In the last segment the
   * records end at the first that is not valid, if that can be what a crash left (see `checkTail`).
   */
  segment(segment: LoadedSegment, sealedEnd: number | undefined): number {
    const { path, source, seed } = segment;
    this.#begin(segment);
    let end = SEGMENT_HEADER_BYTES;
    while (sealedEnd === undefined || end < sealedEnd) {
      const size = validRecordSize(source, { at: end, offset: end, seed });
      if (size === undefined) break;
      this.#apply(segment, end);
      end += size;
    }
    if (sealedEnd === undefined) {
      checkTail(segment, end);
      this.#checkReachesBase(path, end);
    } else if (end !== sealedEnd)
      throw corruptError(path, end, `its records should end at byte ${sealedEnd}`);
    return end;
  }

  #begin({ path, firstIndex }: LoadedSegment): void {
    if (firstIndex > this.#position + 1)
      throw corruptError(
        path,
        0,
        `it begins with entry ${firstIndex} but what comes before it ends with entry ` +
          `${this.#position}: entries between them are missing`,
      );
    if (this.#isFirst) this.#position = firstIndex - 1;
    this.#isFirst = false;
  }

  /**
   * An entry at or below the last index replaces that entry and cuts all that followed it. No
   * record says "truncate": the overwriting entry itself is the truncation. That is safe at any
   * moment of a crash, because replay runs in the order of writing: if the overwriting record
   * survived, every replay passes it after the old suffix and cuts that; if it did not survive, it
   * was never acknowledged, and the old suffix is still the member's log.
   *
   * Entries at or below the base are not kept, but they cut too: what they replaced had gone by
   * the time of the base.
   */
  #apply(segment: LoadedSegment, offset: number): void {
    const { path, sequence, source } = segment;
    const record = readRecord(source, offset);
    if (record === undefined) throw corruptError(path, offset, 'a record of an unknown type');
    this.#onRecord({ sequence, offset }, record);
    if (record.kind === 'hardState') {
      this.#hardState = record.hardState;
      return;
    }
    const { index, term, length } = record;
    if (index < 1 || index > this.#position + 1)
      throw corruptError(
        path,
        offset,
        `entry ${index} does not follow entry ${this.#position}: entries between them are ` +
          'missing',
      );
    this.#position = index;
    if (index <= this.#base.index) {
      this.index.truncateFrom(this.index.firstIndex);
      if (index === this.#base.index) this.#termAtBase = term;
    } else this.index.put({ index, term, sequence, offset, length });
  }

  /** The entry at the base was durable when the base was written: it cannot have gone since. */
  #checkReachesBase(path: string, end: number): void {
    const { index, term } = this.#base;
    if (this.#position < index)
      throw corruptError(
        path,
        end,
        `the records end with entry ${this.#position}, though entry ${index} had been synced`,
      );
    if (this.#termAtBase !== undefined && this.#termAtBase !== term)
      throw corruptError(
        path,
        end,
        `entry ${index} has term ${this.#termAtBase} here and term ${term} in the base of the log`,
      );
  }
}

/**
 * Decides whether the end of the records is the end of the log or damage in its middle. At most
 * one batch is ever being written, so only the last batch can be incomplete after a crash, and
 * any of its sectors may be missing, not only the last ones.
 * - A valid record further on whose batch starts after the end was written when everything before
 *   its batch had been synced: what is missing at the end had been durable.
 * - A record that shows no trace of an unfinished write was written whole and has been changed
 *   since.
 */
function checkTail(segment: LoadedSegment, end: number): void {
  const { path, source, seed } = segment;
  const to = dirtyEnd(source.bytes, end);
  if (to === end) return;
  const later = findRecord(source, { from: end, to, seed }, (at) => batchStartOf(source, at) > end);
  if (later !== undefined)
    throw corruptError(
      path,
      end,
      `a record that was synced is invalid; one at byte ${later} follows`,
    );
  if (!looksTorn(source, { at: end, offset: end, seed }))
    throw corruptError(path, end, 'a record that was written whole has changed');
}

/** Where the last byte that is not zero ends, at least `from`. */
export function dirtyEnd(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}
