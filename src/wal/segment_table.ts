import { assert } from '../lib/assert.ts';
import { SEGMENT_HEADER_BYTES } from './segment.ts';

export interface SegmentInfo {
  readonly sequence: number;
  /** One more than the last index when it was begun (see SegmentHeader). */
  readonly firstIndex: number;
  /** Start value for the checksums of its records. */
  readonly seed: number;
}

interface Row extends SegmentInfo {
  /** Bytes of records in all segments before it, counted from the first one that was ever listed. */
  readonly startBytes: number;
}

/** The segments of the log, from the first that is kept to the one being written. */
export class SegmentTable {
  readonly #rows: Row[] = [];

  /** Adds the segment after the last; the records of that one end at `previousEnd`. */
  add(segment: SegmentInfo, previousEnd: number): void {
    const last = this.#rows.at(-1);
    assert(
      last === undefined || segment.sequence === last.sequence + 1,
      'segments follow one another',
    );
    const startBytes =
      last === undefined ? 0 : last.startBytes + previousEnd - SEGMENT_HEADER_BYTES;
    this.#rows.push({ ...segment, startBytes });
  }

  get count(): number {
    return this.#rows.length;
  }

  seed(sequence: number): number {
    return this.#row(sequence).seed;
  }

  /** A place in the log as bytes of records before it; only differences mean anything. */
  positionBytes(place: { sequence: number; offset: number }): number {
    return this.#row(place.sequence).startBytes + place.offset - SEGMENT_HEADER_BYTES;
  }

  /**
   * The segment that replay may start with when everything up to the index is not needed: the last
   * one that was begun when the log ended at or below the index.
   */
  firstNeeded(index: number): number {
    const row = this.#rows.findLast(({ firstIndex }) => firstIndex <= index + 1) ?? this.#rows[0];
    assert(row !== undefined, 'a log has a segment');
    return row.sequence;
  }

  /** Forgets the segments before this one and returns their sequence numbers. */
  dropBefore(sequence: number): number[] {
    const count = this.#rows.findIndex((row) => row.sequence === sequence);
    assert(count >= 0, 'the segment is listed');
    return this.#rows.splice(0, count).map((row) => row.sequence);
  }

  #row(sequence: number): Row {
    const row = this.#rows[sequence - (this.#rows[0]?.sequence ?? 0)];
    assert(row !== undefined, 'the segment is listed');
    return row;
  }
}
