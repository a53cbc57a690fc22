import { assert } from '../lib/assert.ts';
import type { Entry, HardState } from '../types/entry.ts';
import type { FileSystem, WalFile } from './file_system.ts';
import { recordBytes, writeEntry, writeHardState } from './record.ts';
import type { OpenSegment } from './recovery.ts';
import type { WalIdentity } from './segment.ts';
import {
  encodeSegmentHeader,
  preparedPath,
  SEGMENT_BYTES_LIMIT,
  SEGMENT_HEADER_BYTES,
  SEQUENCE_LIMIT,
  segmentPath,
} from './segment.ts';
import type { SegmentTable } from './segment_table.ts';

/**
 * A file is filled with zeros and synced in pieces of this size, so that batches never wait until the
 * disk has taken a whole segment at once.
 */
const FILL_BYTES = 4 * 1024 * 1024;

/** The records of one batch and their size in total. */
export interface Batch {
  readonly appends: readonly {
    readonly hardState?: HardState | undefined;
    readonly entries: readonly Entry[];
  }[];
  readonly sizeBytes: number;
}

/**
 * Writes batches into the last segment and starts new segments. All calls are made one after the
 * other.
 */
export class SegmentWriter {
  readonly #directory: string;
  readonly #identity: WalIdentity;
  readonly #segmentBytes: number;
  readonly #fileSystem: FileSystem;
  readonly #segments: SegmentTable;
  readonly #bufferBytesMax: number;
  /** Reused from batch to batch. */
  #buffer = new Uint8Array(0);
  #last: OpenSegment | undefined;
  /** The next segment's file, being filled with zeros in the background. */
  #prepared: Promise<WalFile> | undefined;

  /** Each new segment is added to the table, which is shared with the reader. */
  constructor(
    options: {
      directory: string;
      identity: WalIdentity;
      segmentBytes: number;
      bufferBytesMax: number;
    },
    dependencies: {
      fileSystem: FileSystem;
      segments: SegmentTable;
      last: OpenSegment | undefined;
    },
  ) {
    this.#directory = options.directory;
    this.#identity = options.identity;
    this.#segmentBytes = options.segmentBytes;
    this.#bufferBytesMax = options.bufferBytesMax;
    this.#fileSystem = dependencies.fileSystem;
    this.#segments = dependencies.segments;
    this.#last = dependencies.last;
  }

  /** Bytes of records that the last segment still takes. */
  get roomBytes(): number {
    return this.#last === undefined ? 0 : this.#last.sizeBytes - this.#last.end;
  }

  /** Where the next record goes; undefined before the first segment. */
  get end(): { sequence: number; offset: number } | undefined {
    return this.#last === undefined
      ? undefined
      : { sequence: this.#last.sequence, offset: this.#last.end };
  }

  /** Makes a batch that fits durable and returns where it starts. */
  async writeBatch(batch: Batch): Promise<{ sequence: number; offset: number }> {
    const segment = this.#last;
    assert(segment !== undefined && batch.sizeBytes <= this.roomBytes, 'the batch fits');
    const { sequence, end: offset } = segment;
    const bytes = this.#bufferFor(batch.sizeBytes);
    encodeBatch(bytes, batch, { batchStart: offset, seed: segment.seed });
    await segment.file.write(bytes, offset);
    segment.end += bytes.length;
    if (segment.end > segment.sizeBytes / 2 && this.#prepared === undefined) this.#prepare();
    return { sequence, offset };
  }

  /** A buffer of the size; one above the limit is not kept. */
  #bufferFor(sizeBytes: number): Uint8Array {
    if (sizeBytes > this.#bufferBytesMax) return new Uint8Array(sizeBytes);
    if (this.#buffer.length < sizeBytes)
      this.#buffer = new Uint8Array(Math.min(this.#bufferBytesMax, 2 * sizeBytes));
    return this.#buffer.subarray(0, sizeBytes);
  }

  /**
   * Starts the next segment, with room for at least so many bytes, when the log ends before
   * `firstIndex`. Everything in the last one has been synced by now. The new file is complete and synced before it gets its name, and the name
   * is synced before the first record: a segment either is in the log whole or not at all.
   */
  async rotate(next: { roomBytes: number; firstIndex: number }): Promise<void> {
    const previous = this.#last;
    const sequence = (previous?.sequence ?? 0) + 1;
    const sizeBytes = Math.max(this.#segmentBytes, SEGMENT_HEADER_BYTES + next.roomBytes);
    assert(sizeBytes <= SEGMENT_BYTES_LIMIT, 'offsets in a segment fit in 32 bits');
    assert(sequence < SEQUENCE_LIMIT, 'the sequence number of a segment is bounded');
    if (this.#prepared === undefined) this.#prepare();
    assert(this.#prepared !== undefined, 'a file is being prepared');
    const prepared = await this.#prepared;
    this.#prepared = undefined;
    const { bytes, seed } = encodeSegmentHeader({
      identity: this.#identity,
      sequence,
      firstIndex: next.firstIndex,
      previousEnd: previous?.end ?? 0,
    });
    try {
      await prepared.preallocate(sizeBytes);
      await prepared.write(bytes, 0);
      await prepared.fdatasync();
    } finally {
      await prepared.close();
    }
    const path = segmentPath(this.#directory, sequence);
    await this.#fileSystem.rename(preparedPath(this.#directory), path);
    await this.#fileSystem.syncDirectory(this.#directory);
    const file = await this.#fileSystem.open(path, 'synchronous');
    this.#last = { sequence, file, seed, sizeBytes, end: SEGMENT_HEADER_BYTES };
    this.#segments.add({ sequence, firstIndex: next.firstIndex, seed }, previous?.end ?? 0);
    await previous?.file.close();
  }

  /**
   * Fills a file with zeros while the last segment is still in use, so that rotation need not
   * wait for that.
   */
  #prepare(): void {
    this.#prepared = prepareFile(
      this.#fileSystem,
      preparedPath(this.#directory),
      this.#segmentBytes,
    );
    // A failure is met by the rotation that needs the file.
    this.#prepared.catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#last?.file.close();
    const prepared = await this.#prepared?.catch(() => undefined);
    await prepared?.close();
  }
}

async function prepareFile(
  fileSystem: FileSystem,
  path: string,
  sizeBytes: number,
): Promise<WalFile> {
  const file = await fileSystem.open(path, 'create');
  try {
    for (let filledBytes = 0; filledBytes < sizeBytes; ) {
      filledBytes = Math.min(sizeBytes, filledBytes + FILL_BYTES);
      await file.preallocate(filledBytes);
      await file.fdatasync();
    }
    return file;
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

function encodeBatch(
  bytes: Uint8Array,
  batch: Batch,
  segment: { batchStart: number; seed: number },
): void {
  const { batchStart, seed } = segment;
  const target = recordBytes(bytes);
  const place = { at: 0, offset: batchStart, batchStart, seed };
  for (const { hardState, entries } of batch.appends) {
    if (hardState !== undefined) advance(place, writeHardState(target, place, hardState));
    for (const entry of entries) advance(place, writeEntry(target, place, entry));
  }
  assert(place.at === bytes.length, 'the batch has the size that was announced');
}

function advance(place: { at: number; offset: number }, bytes: number): void {
  place.at += bytes;
  place.offset += bytes;
}
