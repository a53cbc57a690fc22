import { assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import { chunkDigest, SnapshotDigest, type SnapshotManifest } from './manifest.ts';
import { SnapshotError } from './snapshot_error.ts';
import type { ChunkResponse, ChunkStart, OpenedResponse, SnapshotEnd } from './wire.ts';

/** Follows the chunks of one snapshot and tells whether they are all of it, in order and as they were sent. */
export class ChunkSequence {
  readonly #opened: OpenedResponse;
  readonly #digest: SnapshotDigest;
  #count = 0;
  #payloadBytes = 0;
  #next: ChunkStart | SnapshotEnd;

  constructor(opened: OpenedResponse) {
    this.#opened = opened;
    this.#digest = new SnapshotDigest(opened.header);
    this.#next = opened.start;
  }

  /** Chunks so far, which is the number of the one that comes next. */
  get count(): number {
    return this.#count;
  }

  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /** Where the next chunk begins; undefined when there is none. */
  get next(): ChunkStart | undefined {
    return 'digest' in this.#next ? undefined : this.#next;
  }

  /** Whether this is the chunk that comes next: not one that is late, doubled or of another snapshot. */
  isNext(chunk: ChunkResponse): boolean {
    return (
      this.next !== undefined &&
      chunk.number === this.#count &&
      bytesEqual(chunk.snapshotId, this.#opened.snapshotId) &&
      (!('digest' in chunk.next) || chunk.next.chunkCount === this.#count + 1)
    );
  }

  add(chunk: ChunkResponse): void {
    assert(this.isNext(chunk), 'chunks are added in order');
    this.#digest.add(chunkDigest(chunk.payload));
    this.#count += 1;
    this.#payloadBytes += chunk.payload.length;
    this.#next = chunk.next;
  }

  /** Of all chunks, after the last one. Throws DAMAGED when they are not those that were sent. */
  manifest(): SnapshotManifest {
    assert('digest' in this.#next, 'the last chunk was added');
    const { chunkCount, digest } = this.#next;
    const { header } = this.#opened;
    if (bytesEqual(digest, this.#digest.value())) return { ...header, chunkCount, digest };
    throw new SnapshotError(
      'DAMAGED',
      `the snapshot at ${header.index} is not what its source says: it is fetched again`,
      { fields: { index: header.index } },
    );
  }
}
