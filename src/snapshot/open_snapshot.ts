import { assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import type { PagedRange } from '../storage/keys.ts';
import { CodecError } from '../types/rlp.ts';
import { ChunkCursor, type PageReader } from './chunk_cursor.ts';
import {
  CHUNKS_MAX,
  chunkDigest,
  DIGEST_BYTES,
  SnapshotDigest,
  type SnapshotHeader,
} from './manifest.ts';
import { SnapshotError } from './snapshot_error.ts';
import type { ChunkResponse, ChunkStart } from './wire.ts';

/** Receivers of one snapshot that are each read for without seeking. */
const CURSORS_MAX = 3;
const DIGESTS_FIRST = 256;

/**
 * One snapshot that is being served. Chunks are cut for the first time in order; those cut before can be had
 * again, by any receiver, and must then be what they were.
 */
export class OpenSnapshot {
  readonly id: Uint8Array;
  readonly header: SnapshotHeader;
  readonly first: ChunkStart;
  readonly #ranges: readonly PagedRange[];
  readonly #chunkBytes: number;
  readonly #reader: PageReader;
  /** By the number of the chunk that each will cut next. */
  readonly #cursors = new Map<number, ChunkCursor>();
  /** Of the chunks cut so far, one behind the other. */
  #digests = new Uint8Array(DIGESTS_FIRST * DIGEST_BYTES);
  readonly #digest: SnapshotDigest;
  #count = 0;
  /** Where the first chunk begins that was not cut yet; undefined when all were. */
  #frontier: ChunkStart | undefined;

  constructor(
    options: {
      id: Uint8Array;
      header: SnapshotHeader;
      ranges: readonly PagedRange[];
      chunkBytes: number;
    },
    dependencies: { reader: PageReader },
  ) {
    const [range] = options.ranges;
    assert(range !== undefined, 'a snapshot has a range');
    this.id = options.id;
    this.header = options.header;
    this.first = { key: range.gte, offset: 0 };
    this.#frontier = this.first;
    this.#ranges = options.ranges;
    this.#chunkBytes = options.chunkBytes;
    this.#reader = dependencies.reader;
    this.#digest = new SnapshotDigest(options.header);
  }

  /**
   * One chunk. Throws a CodecError when there is none that begins so, and a StorageError or SnapshotError
   * DAMAGED when the database cannot be trusted.
   */
  async chunk(number: number, start: ChunkStart): Promise<ChunkResponse> {
    const isNew = number === this.#count && this.#frontier !== undefined;
    if (number >= this.#count && !(isNew && sameStart(this.#frontier, start)))
      throw new CodecError('there is no such chunk yet');
    const cursor = this.#takeCursor(number, start);
    const { payload, next } = await cursor.next();
    this.#record(number, chunkDigest(payload), next);
    if (next !== undefined) this.#keepCursor(number + 1, cursor);
    const end = { chunkCount: this.#count, digest: this.#digest.value() };
    return { type: 'chunk', snapshotId: this.id, number, next: next ?? end, payload };
  }

  #takeCursor(number: number, start: ChunkStart): ChunkCursor {
    const kept = this.#cursors.get(number);
    if (kept !== undefined) {
      this.#cursors.delete(number);
      return kept;
    }
    return new ChunkCursor(
      { ranges: this.#ranges, start, bytesMax: this.#chunkBytes },
      { reader: this.#reader },
    );
  }

  #keepCursor(number: number, cursor: ChunkCursor): void {
    this.#cursors.delete(number);
    this.#cursors.set(number, cursor);
    if (this.#cursors.size <= CURSORS_MAX) return;
    const oldest = this.#cursors.keys().next();
    if (!oldest.done) this.#cursors.delete(oldest.value);
  }

  /** Two receivers may have waited for the same new chunk: the second finds it recorded. */
  #record(number: number, digest: Uint8Array, next: ChunkStart | undefined): void {
    const at = number * DIGEST_BYTES;
    if (number < this.#count) {
      if (bytesEqual(digest, this.#digests.subarray(at, at + DIGEST_BYTES))) return;
      throw new SnapshotError(
        'DAMAGED',
        `chunk ${number} of the snapshot at ${this.header.index} is not what it was before: the disk or the ` +
          'memory of this member is damaged, or another member asks for what it was not told of',
        { fields: { index: this.header.index, chunk: number } },
      );
    }
    assert(number === this.#count && number < CHUNKS_MAX, 'chunks are cut in order');
    if (at === this.#digests.length) {
      const larger = new Uint8Array(2 * at);
      larger.set(this.#digests);
      this.#digests = larger;
    }
    this.#digests.set(digest, at);
    this.#digest.add(digest);
    this.#count += 1;
    this.#frontier = next;
  }
}

function sameStart(left: ChunkStart | undefined, right: ChunkStart): boolean {
  return left !== undefined && left.offset === right.offset && bytesEqual(left.key, right.key);
}
