import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../lib/assert.ts';
import { utf8 } from '../lib/bytes.ts';
import type { MemberId } from '../types/entry.ts';
import { corruptError, WalError } from './wal_error.ts';

/** A segment starts with a header of one page; its first record follows. */
export const SEGMENT_HEADER_BYTES = 4096;
/** Offsets in a segment are unsigned 32-bit numbers. */
export const SEGMENT_BYTES_LIMIT = 2 ** 32 - 1;
/**
 * Where the sequence number of a segment ends: positions in the log are sequence and offset in
 * one safe integer.
 */
export const SEQUENCE_LIMIT = 2 ** 21;
export const CLUSTER_ID_BYTES_MAX = 256;
const SEGMENT_MAGIC = 0x5742_4652;
const FORMAT_VERSION = 1;
const CHECKSUM_AT = SEGMENT_HEADER_BYTES - 4;
const NAME_PATTERN = /^(\d{10})\.wal$/;

/** To whom a log belongs. */
export interface WalIdentity {
  /** At most 256 bytes of UTF-8. */
  readonly clusterId: string;
  readonly memberId: MemberId;
}

/** What the header of a segment says. */
export interface SegmentHeader {
  readonly identity: WalIdentity;
  /** Position of the segment in the log, from 1, without gaps. */
  readonly sequence: number;
  /**
   * One more than the last index when the segment was begun: no entry in the segments before it
   * has this index or a higher one, unless it was cut.
   */
  readonly firstIndex: number;
  /**
   * Where the records of the segment before this one end; 0 for the first. All of them were
   * durable by then.
   */
  readonly previousEnd: number;
}

export function segmentPath(directory: string, sequence: number): string {
  return join(directory, `${String(sequence).padStart(10, '0')}.wal`);
}

/** Name of the segment being prepared; it becomes part of the log only when it is renamed. */
export const PREPARED_NAME = 'next.tmp';

export function preparedPath(directory: string): string {
  return join(directory, PREPARED_NAME);
}

/** Sequence numbers of the segments among these file names, ascending. */
export function segmentSequences(names: readonly string[]): number[] {
  const sequences: number[] = [];
  for (const name of names) {
    const digits = NAME_PATTERN.exec(name)?.[1];
    if (digits !== undefined) sequences.push(Number(digits));
  }
  return sequences.sort((left, right) => left - right);
}

/** The header's bytes, and the seed for the checksums of the segment's records. */
export function encodeSegmentHeader(header: SegmentHeader): { bytes: Uint8Array; seed: number } {
  const clusterId = utf8(header.identity.clusterId);
  assert(clusterId.length <= CLUSTER_ID_BYTES_MAX, 'the cluster id is at most 256 bytes');
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  view.setUint32(8, header.sequence, true);
  view.setUint32(12, header.previousEnd, true);
  view.setBigUint64(16, BigInt(header.firstIndex), true);
  view.setBigUint64(24, BigInt(header.identity.memberId), true);
  view.setUint32(32, clusterId.length, true);
  bytes.set(clusterId, 36);
  const seed = crc32(bytes.subarray(0, CHECKSUM_AT));
  view.setUint32(CHECKSUM_AT, seed, true);
  return { bytes, seed };
}

/**
 * Reads and checks the header of a segment. Throws a WalError when it is damaged, of another
 * version, of another member or cluster than expected, where that is known, or not the segment
 * that its name says.
 */
export function decodeSegmentHeader(
  path: string,
  bytes: Uint8Array,
  expected: { identity: WalIdentity | undefined; sequence: number },
): { header: SegmentHeader; seed: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < SEGMENT_HEADER_BYTES) throw corruptError(path, 0, 'the file is too short');
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) throw corruptError(path, 0, 'not a log segment');
  const seed = crc32(bytes.subarray(0, CHECKSUM_AT));
  if (seed !== view.getUint32(CHECKSUM_AT, true))
    throw corruptError(path, 0, 'the checksum of its header does not match');
  checkVersion(path, view.getUint32(4, true), FORMAT_VERSION);
  const clusterIdLength = view.getUint32(32, true);
  const header = {
    identity: {
      clusterId: Buffer.from(bytes.subarray(36, 36 + clusterIdLength)).toString('utf8'),
      memberId: Number(view.getBigUint64(24, true)),
    },
    sequence: view.getUint32(8, true),
    firstIndex: Number(view.getBigUint64(16, true)),
    previousEnd: view.getUint32(12, true),
  };
  if (expected.identity !== undefined) checkIdentity(path, header.identity, expected.identity);
  if (header.sequence !== expected.sequence)
    throw corruptError(path, 8, `it is segment ${header.sequence} under a wrong name`);
  return { header, seed };
}

/** Refuses a file of the log that other software wrote. */
export function checkVersion(path: string, version: number, expected: number): void {
  if (version === expected) return;
  throw new WalError(
    'UNSUPPORTED_VERSION',
    `${path} has log format version ${version} and this program reads version ${expected}: ` +
      'start the version of the program that wrote it',
    { fields: { path, found: version, expected } },
  );
}

/** Refuses a file of the log of another member or cluster. */
export function checkIdentity(path: string, found: WalIdentity, expected: WalIdentity): void {
  if (found.clusterId === expected.clusterId && found.memberId === expected.memberId) return;
  throw new WalError(
    'IDENTITY_MISMATCH',
    `${path} belongs to member ${found.memberId} of cluster ${found.clusterId}, not to ` +
      `member ${expected.memberId} of cluster ${expected.clusterId}: point this member to ` +
      'its own data folder',
    {
      fields: {
        path,
        foundClusterId: found.clusterId,
        foundMemberId: found.memberId,
        expectedClusterId: expected.clusterId,
        expectedMemberId: expected.memberId,
      },
    },
  );
}
