import { assert } from '../lib/assert.ts';

const CHUNK_ENTRIES = 16_384;
const SEGMENT_SPAN = 2 ** 32;

/**
 * Where each entry of the log lies on disk, and its term: 12 bytes an entry, whatever its size.
 * Positions are sequence number and offset in one safe integer; terms are stored once for each
 * run of entries of one term.
 */
export class EntryIndex {
  readonly firstIndex = 1;
  #lastIndex = 0;
  readonly #positions: Float64Array[] = [];
  readonly #lengths: Uint32Array[] = [];
  readonly #runStarts: number[] = [];
  readonly #runTerms: number[] = [];

  /** 0 when the log is empty. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /**
   * Adds an entry after the last, or in the place of an earlier one, which cuts everything from
   * there on. The length is that of its payload.
   */
  put(entry: {
    index: number;
    term: number;
    sequence: number;
    offset: number;
    length: number;
  }): void {
    const { index, term } = entry;
    assert(index >= this.firstIndex && index <= this.#lastIndex + 1, 'the log has no gaps');
    if (index <= this.#lastIndex) this.#truncateFrom(index);
    const slot = index - this.firstIndex;
    const chunk = Math.floor(slot / CHUNK_ENTRIES);
    if (chunk === this.#positions.length) {
      this.#positions.push(new Float64Array(CHUNK_ENTRIES));
      this.#lengths.push(new Uint32Array(CHUNK_ENTRIES));
    }
    chunkAt(this.#positions, chunk)[slot % CHUNK_ENTRIES] =
      entry.sequence * SEGMENT_SPAN + entry.offset;
    chunkAt(this.#lengths, chunk)[slot % CHUNK_ENTRIES] = entry.length;
    if (this.#runTerms.at(-1) !== term) {
      this.#runStarts.push(index);
      this.#runTerms.push(term);
    }
    this.#lastIndex = index;
  }

  #truncateFrom(index: number): void {
    while ((this.#runStarts.at(-1) ?? 0) >= index) {
      this.#runStarts.pop();
      this.#runTerms.pop();
    }
    this.#lastIndex = index - 1;
    const chunks = Math.ceil((index - this.firstIndex) / CHUNK_ENTRIES);
    this.#positions.length = Math.min(this.#positions.length, chunks);
    this.#lengths.length = Math.min(this.#lengths.length, chunks);
  }

  /** Term of an entry; 0 for the place before the first. */
  term(index: number): number {
    if (index === this.firstIndex - 1) return 0;
    assert(index >= this.firstIndex && index <= this.#lastIndex, 'the entry is in the log');
    let low = 0;
    let high = this.#runStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#runStarts[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return this.#runTerms[low] ?? 0;
  }

  /** Number of the segment that holds the entry. */
  sequence(index: number): number {
    return Math.floor(this.#read(this.#positions, index) / SEGMENT_SPAN);
  }

  /** Offset of the entry's record in its segment. */
  offset(index: number): number {
    return this.#read(this.#positions, index) % SEGMENT_SPAN;
  }

  /** Bytes of the entry's payload. */
  length(index: number): number {
    return this.#read(this.#lengths, index);
  }

  #read(chunks: readonly (Float64Array | Uint32Array)[], index: number): number {
    assert(index >= this.firstIndex && index <= this.#lastIndex, 'the entry is in the log');
    const slot = index - this.firstIndex;
    return chunkAt(chunks, Math.floor(slot / CHUNK_ENTRIES))[slot % CHUNK_ENTRIES] ?? 0;
  }
}

function chunkAt<Chunk>(chunks: readonly Chunk[], at: number): Chunk {
  const chunk = chunks[at];
  assert(chunk !== undefined, 'the chunk exists');
  return chunk;
}
