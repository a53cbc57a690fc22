import { crc32 } from 'node:zlib';
import { copyBytes } from '../lib/bytes.ts';
import {
  CodecError,
  decodeRlp,
  encodeRlp,
  FieldReader,
  type RlpItem,
  scalar,
} from '../types/rlp.ts';
import {
  CHUNKS_MAX,
  DIGEST_BYTES,
  decodeHeader,
  encodeHeader,
  type SnapshotHeader,
} from './manifest.ts';

/** Payload of one chunk at most. */
export const CHUNK_BYTES_MAX = 256 * 1024;
/** Longest key of the database. */
export const KEY_BYTES_MAX = 1024;
export const SNAPSHOT_ID_BYTES = 8;

/** Where a chunk begins: at a byte of the value of the first key that is not below this one. */
export interface ChunkStart {
  readonly key: Uint8Array;
  /** Above 0 only when the value of exactly this key began in an earlier chunk. */
  readonly offset: number;
}

/** What stands at the end of a snapshot. */
export interface SnapshotEnd {
  readonly chunkCount: number;
  readonly digest: Uint8Array;
}

export type SnapshotRequest =
  | { readonly type: 'open'; readonly atLeastIndex: number }
  | {
      readonly type: 'chunk';
      readonly snapshotId: Uint8Array;
      /** From 0. */
      readonly number: number;
      readonly start: ChunkStart;
    };

export interface ChunkResponse {
  readonly type: 'chunk';
  readonly snapshotId: Uint8Array;
  readonly number: number;
  /** Where the next chunk begins, or how the whole ends. */
  readonly next: ChunkStart | SnapshotEnd;
  readonly payload: Uint8Array;
}

export interface OpenedResponse {
  readonly type: 'opened';
  readonly snapshotId: Uint8Array;
  readonly header: SnapshotHeader;
  readonly start: ChunkStart;
}

/**
 * behind: the source has not applied the index asked for. busy: it serves as many snapshots as it may.
 * unknown-snapshot: it does not have that one any more, or no such chunk of it. damaged: its own disk fails.
 * malformed: it does not understand the request. stopping: it is about to end.
 */
export type Refusal = (typeof REFUSALS)[number];

export type SnapshotResponse =
  | OpenedResponse
  | ChunkResponse
  | { readonly type: 'refused'; readonly refusal: Refusal };

const REFUSALS = [
  'behind',
  'busy',
  'unknown-snapshot',
  'damaged',
  'malformed',
  'stopping',
] as const;

const WIRE_VERSION = 1;
const TYPES = { open: 1, getChunk: 2, opened: 3, chunk: 4, refused: 5 } as const;
/** u32 CRC-32 of all that follows, u8 version, u8 type, u32 length of the fields, fields, payload. */
const FRAME_HEADER_BYTES = 10;
/** A configuration of the most members is far below. */
const FIELDS_BYTES_MAX = 64 * 1024;
/** Longest message of this protocol. */
export const FRAME_BYTES_MAX = FRAME_HEADER_BYTES + FIELDS_BYTES_MAX + CHUNK_BYTES_MAX;

export function encodeRequest(request: SnapshotRequest): Uint8Array {
  if (request.type === 'open') return frame(TYPES.open, [scalar(request.atLeastIndex)]);
  const { snapshotId, number, start } = request;
  return frame(TYPES.getChunk, [snapshotId, scalar(number), startItem(start)]);
}

/** Throws a CodecError for anything that `encodeRequest` would not write. */
export function decodeRequest(bytes: Uint8Array): SnapshotRequest {
  const { type, fields, payload } = unframe(bytes);
  if (payload.length > 0) throw new CodecError('a request has no payload');
  if (type === TYPES.open) {
    const reader = new FieldReader(fields, 'open', 1);
    return { type: 'open', atLeastIndex: reader.number('atLeastIndex') };
  }
  if (type !== TYPES.getChunk) throw new CodecError(`request type ${type} is unknown`);
  const reader = new FieldReader(fields, 'getChunk', 3);
  const snapshotId = copyBytes(reader.bytes('snapshotId', SNAPSHOT_ID_BYTES));
  const number = chunkNumber(reader.number('number'));
  return { type: 'chunk', snapshotId, number, start: startFrom(reader.list('start')) };
}

export function encodeResponse(response: SnapshotResponse): Uint8Array {
  if (response.type === 'refused')
    return frame(TYPES.refused, [scalar(REFUSALS.indexOf(response.refusal))]);
  if (response.type === 'opened') {
    const { snapshotId, header, start } = response;
    return frame(TYPES.opened, [snapshotId, encodeHeader(header), startItem(start)]);
  }
  const { snapshotId, number, next, payload } = response;
  const end = 'digest' in next ? [scalar(next.chunkCount), next.digest] : [];
  const start = 'digest' in next ? [] : startItem(next);
  return frame(TYPES.chunk, [snapshotId, scalar(number), start, end], payload);
}

/** Throws a CodecError for anything that `encodeResponse` would not write; a flipped bit is such a thing. */
export function decodeResponse(bytes: Uint8Array): SnapshotResponse {
  const { type, fields, payload } = unframe(bytes);
  if (type === TYPES.chunk) return chunkFrom(fields, payload);
  if (payload.length > 0) throw new CodecError('only a chunk has a payload');
  if (type === TYPES.opened) {
    const reader = new FieldReader(fields, 'opened', 3);
    const snapshotId = copyBytes(reader.bytes('snapshotId', SNAPSHOT_ID_BYTES));
    const header = decodeHeader(reader.bytes('header'));
    return { type: 'opened', snapshotId, header, start: startFrom(reader.list('start')) };
  }
  if (type !== TYPES.refused) throw new CodecError(`response type ${type} is unknown`);
  const number = new FieldReader(fields, 'refused', 1).number('refusal');
  const refusal = REFUSALS[number];
  if (refusal === undefined) throw new CodecError(`refusal ${number} is unknown`);
  return { type: 'refused', refusal };
}

function chunkFrom(fields: RlpItem, payload: Uint8Array): ChunkResponse {
  if (payload.length > CHUNK_BYTES_MAX) throw new CodecError('a chunk is too long');
  const reader = new FieldReader(fields, 'chunk', 4);
  const snapshotId = copyBytes(reader.bytes('snapshotId', SNAPSHOT_ID_BYTES));
  const number = chunkNumber(reader.number('number'));
  const start = reader.list('start');
  const end = reader.list('end');
  if ((start.length === 0) === (end.length === 0))
    throw new CodecError('a chunk has either a successor or an end');
  const next = start.length > 0 ? startFrom(start) : endFrom(end);
  return { type: 'chunk', snapshotId, number, next, payload };
}

function endFrom(item: RlpItem): SnapshotEnd {
  const reader = new FieldReader(item, 'end', 2);
  const chunkCount = reader.number('chunkCount');
  return { chunkCount, digest: copyBytes(reader.bytes('digest', DIGEST_BYTES)) };
}

function startItem({ key, offset }: ChunkStart): RlpItem[] {
  return [key, scalar(offset)];
}

function startFrom(item: RlpItem): ChunkStart {
  const reader = new FieldReader(item, 'start', 2);
  const key = copyBytes(reader.bytes('key'));
  if (key.length > KEY_BYTES_MAX) throw new CodecError('a key is too long');
  return { key, offset: reader.number('offset') };
}

function chunkNumber(number: number): number {
  if (number >= CHUNKS_MAX) throw new CodecError(`a snapshot has at most ${CHUNKS_MAX} chunks`);
  return number;
}

function frame(
  type: number,
  items: RlpItem[],
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const fields = encodeRlp(items);
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + fields.length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(4, WIRE_VERSION);
  view.setUint8(5, type);
  view.setUint32(6, fields.length);
  bytes.set(fields, FRAME_HEADER_BYTES);
  bytes.set(payload, FRAME_HEADER_BYTES + fields.length);
  view.setUint32(0, crc32(bytes.subarray(4)));
  return bytes;
}

/** The payload is a view of the bytes. */
function unframe(bytes: Uint8Array): { type: number; fields: RlpItem; payload: Uint8Array } {
  if (bytes.length < FRAME_HEADER_BYTES || bytes.length > FRAME_BYTES_MAX)
    throw new CodecError(`a message of ${bytes.length} bytes is too short or too long`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0) !== crc32(bytes.subarray(4)))
    throw new CodecError('the checksum of a message does not match');
  const version = view.getUint8(4);
  if (version !== WIRE_VERSION)
    throw new CodecError(`version ${version} of the snapshot protocol is unknown here`);
  const length = view.getUint32(6);
  if (length > FIELDS_BYTES_MAX || length > bytes.length - FRAME_HEADER_BYTES)
    throw new CodecError('the fields of a message are too long');
  return {
    type: view.getUint8(5),
    fields: decodeRlp(bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length)),
    payload: bytes.subarray(FRAME_HEADER_BYTES + length),
  };
}
