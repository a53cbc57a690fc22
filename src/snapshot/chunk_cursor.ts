import { compareBytes } from '../lib/bytes.ts';
import { keyAfter, type PagedRange } from '../storage/keys.ts';
import { CodecError } from '../types/rlp.ts';
import { ChunkWriter } from './chunk.ts';
import type { ChunkStart } from './wire.ts';

/** What a snapshot is read from: the database at one moment. */
export interface PageReader {
  /** The first pairs of a range in order; fewer than `pairsMax` only at its end. */
  page(range: PagedRange): Promise<[Uint8Array, Uint8Array][]>;
}

export interface CutChunk {
  readonly payload: Uint8Array;
  /** Undefined behind the last pair. */
  readonly next: ChunkStart | undefined;
}

/**
 * Cuts the pairs of some ranges into chunks, from any start on. Where one begins decides all that it holds,
 * so that any chunk can be cut again. Holds two pages and one chunk at most.
 */
export class ChunkCursor {
  readonly #ranges: readonly PagedRange[];
  readonly #bytesMax: number;
  readonly #reader: PageReader;
  #range: number;
  /** First key that was not read yet. */
  #key: Uint8Array;
  #offset: number;
  #pairs: [Uint8Array, Uint8Array][] = [];
  #at = 0;
  #ahead: Promise<CutChunk> | undefined;

  /** Throws a CodecError when the start lies in none of the ranges. */
  constructor(
    options: { ranges: readonly PagedRange[]; start: ChunkStart; bytesMax: number },
    dependencies: { reader: PageReader },
  ) {
    const { key, offset } = options.start;
    this.#ranges = options.ranges;
    this.#bytesMax = options.bytesMax;
    this.#reader = dependencies.reader;
    this.#key = key;
    this.#offset = offset;
    this.#range = options.ranges.findIndex(
      ({ gte, lt }) => compareBytes(gte, key) <= 0 && compareBytes(key, lt) < 0,
    );
    if (this.#range < 0) throw new CodecError('a chunk begins at a key that is not in a snapshot');
  }

  /** Cuts the next chunk. It then begins the one after it, since the same receiver will ask for that. */
  async next(): Promise<CutChunk> {
    const chunk = await (this.#ahead ?? this.#cut());
    this.#ahead = chunk.next === undefined ? undefined : this.#cut();
    // Nobody may ever ask for it; whoever does gets the error.
    this.#ahead?.catch(() => undefined);
    return chunk;
  }

  async #cut(): Promise<CutChunk> {
    const writer = new ChunkWriter({ bytesMax: this.#bytesMax });
    for (;;) {
      const pair = this.#pairs[this.#at] ?? (await this.#readPage());
      if (pair === undefined) return { payload: writer.payload(), next: undefined };
      const [key, value] = pair;
      const offset = writer.add(key, value, this.#offset);
      if (offset === undefined || offset < value.length) {
        this.#offset = offset ?? this.#offset;
        return { payload: writer.payload(), next: { key, offset: this.#offset } };
      }
      this.#offset = 0;
      this.#at += 1;
    }
  }

  /** The first pair of the next page that has one; undefined at the end of the last range. */
  async #readPage(): Promise<[Uint8Array, Uint8Array] | undefined> {
    for (;;) {
      const range = this.#ranges[this.#range];
      if (range === undefined) return undefined;
      const { lt, pairsMax } = range;
      this.#pairs = await this.#reader.page({ gte: this.#key, lt, pairsMax });
      this.#at = 0;
      const first = this.#pairs[0];
      this.#checkOffset(first);
      const last = this.#pairs.at(-1);
      if (last === undefined || this.#pairs.length < pairsMax) {
        this.#range += 1;
        this.#key = this.#ranges[this.#range]?.gte ?? lt;
      } else this.#key = keyAfter(last[0]);
      if (first !== undefined) return first;
    }
  }

  /** A start within a value must name that value. */
  #checkOffset(first: [Uint8Array, Uint8Array] | undefined): void {
    if (this.#offset === 0) return;
    const found =
      first !== undefined &&
      compareBytes(first[0], this.#key) === 0 &&
      this.#offset < first[1].length;
    if (!found) throw new CodecError('a chunk begins within a value that is not in the snapshot');
  }
}
