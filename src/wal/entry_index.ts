import { assert } from '../lib/assert.ts';
import type { LogBase } from './base.ts';

const CHUNK_ENTRIES = 4096;
const SEGMENT_SPAN = 2 ** 32;

/**
 * Where each entry of the log lies on disk, and its term: 12 bytes an entry, whatever its size.
 * Positions are sequence number and offset in one safe integer; terms are stored once for each
 * run of entries of one term.
 */
export class EntryIndex {
  #base: LogBase;
  #lastIndex: number;
  /** Number of the first chunk that is kept; entry i lies in chunk i / CHUNK_ENTRIES. */
  #firstChunk: number;
  readonly #positions: Float64Array[] = [];
  readonly #lengths: Uint32Array[] = [];
  readonly #runStarts: number[] = [];
  readonly #runTerms: number[] = [];

  constructor(base: LogBase) {
    this.#base = base;
    this.#lastIndex = base.index;
    this.#firstChunk = chunkOf(base.index + 1);
  }

  /** The entry before the first one. */
  get base(): LogBase {
    return this.#base;
  }

  get firstIndex(): number {
    return this.#base.index + 1;
  }

  /** That of the base when the log is empty. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** Memory that the positions of the entries take. */
  get memoryBytes(): number {
    const slotBytes = Float64Array.BYTES_PER_ELEMENT + Uint32Array.BYTES_PER_ELEMENT;
    return this.#positions.length * CHUNK_ENTRIES * slotBytes;
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
    if (index <= this.#lastIndex) this.truncateFrom(index);
    const chunk = chunkOf(index) - this.#firstChunk;
    if (chunk === this.#positions.length) {
      this.#positions.push(new Float64Array(CHUNK_ENTRIES));
      this.#lengths.push(new Uint32Array(CHUNK_ENTRIES));
    }
    const slot = index % CHUNK_ENTRIES;
    chunkAt(this.#positions, chunk)[slot] = entry.sequence * SEGMENT_SPAN + entry.offset;
    chunkAt(this.#lengths, chunk)[slot] = entry.length;
    if (this.#runTerms.at(-1) !== term) {
      this.#runStarts.push(index);
      this.#runTerms.push(term);
    }
    this.#lastIndex = index;
  }

  /** Cuts everything from the index on, which lies above the base. */
  truncateFrom(index: number): void {
    assert(index >= this.firstIndex, 'what lies below the base cannot be cut');
    if (index > this.#lastIndex) return;
    while ((this.#runStarts.at(-1) ?? 0) >= index) {
      this.#runStarts.pop();
      this.#runTerms.pop();
    }
    this.#lastIndex = index - 1;
    const chunks = index === this.firstIndex ? 0 : chunkOf(index - 1) - this.#firstChunk + 1;
    this.#positions.length = Math.min(this.#positions.length, chunks);
    this.#lengths.length = Math.min(this.#lengths.length, chunks);
  }

  /** Makes this entry the base, forgets it and what lies below, and gives the memory back. */
  compact(index: number): void {
    assert(index >= this.#base.index && index <= this.#lastIndex, 'the base lies in the log');
    this.#base = { index, term: this.term(index) };
    const chunks = Math.min(this.#positions.length, chunkOf(index + 1) - this.#firstChunk);
    this.#positions.splice(0, chunks);
    this.#lengths.splice(0, chunks);
    this.#firstChunk = chunkOf(index + 1);
    const firstRun = this.#runStarts.findIndex((start) => start > index);
    const passed = (firstRun === -1 ? this.#runStarts.length : firstRun) - 1;
    if (passed <= 0) return;
    this.#runStarts.splice(0, passed);
    this.#runTerms.splice(0, passed);
  }

  /** Term of an entry, or of the base. */
  term(index: number): number {
    if (index === this.#base.index) return this.#base.term;
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
    return chunkAt(chunks, chunkOf(index) - this.#firstChunk)[index % CHUNK_ENTRIES] ?? 0;
  }
}

function chunkOf(index: number): number {
  return Math.floor(index / CHUNK_ENTRIES);
}

function chunkAt<Chunk>(chunks: readonly Chunk[], at: number): Chunk {
  const chunk = chunks[at];
  assert(chunk !== undefined, 'the chunk exists');
  return chunk;
}
