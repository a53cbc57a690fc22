import { crc32 } from 'node:zlib';
import { assert } from '../lib/assert.ts';
import type { Entry, EntryType, HardState } from '../types/entry.ts';
import { shortCrc32 } from './short_crc32.ts';

/**
 * A record: a header of 40 bytes, the payload, one to eight bytes of trailer up to a multiple of
 * eight.
 *
 *    0 u32 payload length     12 u32 payload checksum
 *    4 u32 start of its batch  16 u64 index of the entry, or the vote (0: none)
 *    8 u8  record type         24 u64 term
 *    9 u8  entry type          32 u32 header checksum
 *   10 u16 zero                36 u32 magic
 *
 * All numbers are little-endian. The header checksum starts from a seed that holds the segment's
 * identity, and covers the record's own offset, so that a record at a wrong place or of another
 * log is not taken for a valid one. The start of the batch tells recovery what had been synced
 * when the record was written: everything before it. Header and trailer end in bytes that are
 * never zero, so that a write that stopped anywhere is seen (see `looksTorn`).
 */
export const RECORD_HEADER_BYTES = 40;
const RECORD_ALIGNMENT_BYTES = 8;
const RECORD_MAGIC = 0x4c41_5752;
const TRAILER_BYTE = 0xa5;
const TYPE_HARD_STATE = 1;
const TYPE_ENTRY = 2;
/** Smallest piece that a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

const ENTRY_TYPE_CODES: Record<EntryType, number> = { noop: 1, command: 2, configuration: 3 };
const ENTRY_TYPES = new Map<number, EntryType>([
  [1, 'noop'],
  [2, 'command'],
  [3, 'configuration'],
]);

/** Bytes of a segment with a view for numbers. */
export interface RecordBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function recordBytes(bytes: Uint8Array): RecordBytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/**
 * Where a record is written: `at` in the buffer, `offset` in the segment, `batchStart` in the
 * segment.
 */
export interface RecordPlace {
  at: number;
  offset: number;
  batchStart: number;
  seed: number;
}

/** Size of a whole record with this payload. */
export function recordSize(payloadLength: number): number {
  const end = RECORD_HEADER_BYTES + payloadLength + 1;
  return Math.ceil(end / RECORD_ALIGNMENT_BYTES) * RECORD_ALIGNMENT_BYTES;
}

/** Writes an entry at the place and returns its size. */
export function writeEntry(target: RecordBytes, place: RecordPlace, entry: Entry): number {
  const { bytes, view } = target;
  const { at } = place;
  const size = recordSize(entry.data.length);
  bytes.set(entry.data, at + RECORD_HEADER_BYTES);
  bytes.fill(TRAILER_BYTE, at + RECORD_HEADER_BYTES + entry.data.length, at + size);
  view.setUint32(at, entry.data.length, true);
  view.setUint32(at + 8, TYPE_ENTRY | (ENTRY_TYPE_CODES[entry.type] << 8), true);
  view.setUint32(at + 12, crc32(entry.data), true);
  setUint64(view, at + 16, entry.index);
  setUint64(view, at + 24, entry.term);
  sealHeader(target, place);
  return size;
}

/** Writes a hard state at the place and returns its size. */
export function writeHardState(
  target: RecordBytes,
  place: RecordPlace,
  hardState: HardState,
): number {
  const { bytes, view } = target;
  const { at } = place;
  const size = recordSize(0);
  bytes.fill(TRAILER_BYTE, at + RECORD_HEADER_BYTES, at + size);
  view.setUint32(at, 0, true);
  view.setUint32(at + 8, TYPE_HARD_STATE, true);
  view.setUint32(at + 12, 0, true);
  setUint64(view, at + 16, hardState.vote ?? 0);
  setUint64(view, at + 24, hardState.term);
  sealHeader(target, place);
  return size;
}

function sealHeader({ bytes, view }: RecordBytes, place: RecordPlace): void {
  const { at, offset, batchStart, seed } = place;
  view.setUint32(at + 4, batchStart, true);
  view.setUint32(at + 32, headerChecksum(bytes, at, offset, seed), true);
  view.setUint32(at + 36, RECORD_MAGIC, true);
}

function headerChecksum(bytes: Uint8Array, at: number, offset: number, seed: number): number {
  // The offset is mixed into the start value rather than stored.
  return shortCrc32(bytes, at, at + 32, (seed ^ Math.imul(offset, 0x9e37_79b1)) >>> 0);
}

/**
 * Size of the valid record at the place, or undefined when there is none. The length is bounded
 * by the bytes.
 */
export function validRecordSize(
  source: RecordBytes,
  place: Pick<RecordPlace, 'at' | 'offset' | 'seed'>,
): number | undefined {
  const { at } = place;
  const size = validHeaderSize(source, place);
  if (size === undefined || at + size > source.bytes.length) return undefined;
  const length = source.view.getUint32(at, true);
  const payload = source.bytes.subarray(
    at + RECORD_HEADER_BYTES,
    at + RECORD_HEADER_BYTES + length,
  );
  if (length > 0 && crc32(payload) !== source.view.getUint32(at + 12, true)) return undefined;
  for (let trailer = at + RECORD_HEADER_BYTES + length; trailer < at + size; trailer += 1) {
    if (source.bytes[trailer] !== TRAILER_BYTE) return undefined;
  }
  return size;
}

/** Size that a valid header announces; the record may end behind the bytes. */
function validHeaderSize(
  { bytes, view }: RecordBytes,
  { at, offset, seed }: Pick<RecordPlace, 'at' | 'offset' | 'seed'>,
): number | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length) return undefined;
  if (view.getUint32(at + 36, true) !== RECORD_MAGIC) return undefined;
  if (view.getUint32(at + 32, true) !== headerChecksum(bytes, at, offset, seed)) return undefined;
  return recordSize(view.getUint32(at, true));
}

/** What a valid record holds. */
export type RecordContent =
  | { readonly kind: 'hardState'; readonly hardState: HardState }
  | {
      readonly kind: 'entry';
      readonly type: EntryType;
      readonly index: number;
      readonly term: number;
      /** Bytes of the payload, which starts RECORD_HEADER_BYTES after the record. */
      readonly length: number;
    };

/** Reads a record that `validRecordSize` accepted; undefined when its type is unknown. */
export function readRecord({ view }: RecordBytes, at: number): RecordContent | undefined {
  const recordType = view.getUint8(at + 8);
  const index = getUint64(view, at + 16);
  const term = getUint64(view, at + 24);
  if (recordType === TYPE_HARD_STATE) {
    return { kind: 'hardState', hardState: { term, vote: index === 0 ? undefined : index } };
  }
  const type = ENTRY_TYPES.get(view.getUint8(at + 9));
  if (recordType !== TYPE_ENTRY || type === undefined) return undefined;
  return { kind: 'entry', type, index, term, length: view.getUint32(at, true) };
}

/** The batch to which a valid record belongs: the offset where it starts in the segment. */
export function batchStartOf({ view }: RecordBytes, at: number): number {
  return view.getUint32(at + 4, true);
}

/**
 * Whether the invalid record at the offset can be what remains of an unfinished write into zeros:
 * a whole sector of it, or the part of it that lies in one, is zeros, or its last byte is, which
 * is never written as zero. If not, all of it was written once and has changed since. (A payload
 * with a sector of zeros in it can be judged torn when it was changed; that matters only for a
 * record of the last batch, see recovery.)
 */
export function looksTorn(
  source: RecordBytes,
  place: Pick<RecordPlace, 'at' | 'offset' | 'seed'>,
): boolean {
  const { at } = place;
  const end = at + (validHeaderSize(source, place) ?? RECORD_HEADER_BYTES);
  if (end > source.bytes.length || source.bytes[end - 1] === 0) return true;
  for (let from = at; from < end; ) {
    const sectorEnd = Math.min(end, from + SECTOR_BYTES - (from % SECTOR_BYTES));
    if (isZero(source.bytes, from, sectorEnd)) return true;
    from = sectorEnd;
  }
  return false;
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

/**
 * First offset from `from` on, in steps of the alignment, of a valid record that the predicate
 * accepts.
 */
export function findRecord(
  source: RecordBytes,
  range: { from: number; to: number; seed: number },
  accept: (at: number) => boolean,
): number | undefined {
  for (let at = range.from; at < range.to; at += RECORD_ALIGNMENT_BYTES) {
    const found = validRecordSize(source, { at, offset: at, seed: range.seed }) !== undefined;
    if (found && accept(at)) return at;
  }
  return undefined;
}

export function setUint64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'the log stores safe integers from 0');
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
