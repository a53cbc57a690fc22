import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../lib/assert.ts';
import { utf8 } from '../lib/bytes.ts';
import type { HardState } from '../types/entry.ts';
import type { FileSystem } from './file_system.ts';
import { getUint64, setUint64 } from './record.ts';
import { CLUSTER_ID_BYTES_MAX, checkIdentity, checkVersion, type WalIdentity } from './segment.ts';
import { corruptError } from './wal_error.ts';

/** The last entry that the log does not hold any more; index and term 0 when it holds all. */
export interface LogBase {
  readonly index: number;
  readonly term: number;
}

/**
 * Where the log begins. Only a log that was compacted, or begins at a snapshot, has one on disk.
 */
export interface BaseRecord extends LogBase {
  /** The segment that replay starts with; those before it are leftovers. */
  readonly firstSequence: number;
  /** The newest one when the record was written; a newer one is in the segments. */
  readonly hardState: HardState;
}

export const FIRST_BASE: BaseRecord = {
  index: 0,
  term: 0,
  firstSequence: 1,
  hardState: { term: 0, vote: undefined },
};

export const BASE_NAME = 'base';
/** Name of a base that is being written; it counts only when it is renamed. */
export const NEW_BASE_NAME = 'base.tmp';
/**
 * 0 u32 magic           16 u64 member id     40 u64 term of the hard state
 * 4 u32 version         24 u64 base index    48 u64 its vote, 0: none
 * 8 u32 first sequence  32 u64 base term     56 cluster id
 * 12 u32 bytes of the cluster id             last: u32 checksum of all before it
 *
 * One sector. All numbers are little-endian.
 */
export const BASE_BYTES = 512;
const BASE_MAGIC = 0x4241_5352;
const FORMAT_VERSION = 1;
const CLUSTER_ID_AT = 56;
const CHECKSUM_AT = BASE_BYTES - 4;

export function basePath(directory: string): string {
  return join(directory, BASE_NAME);
}

export function newBasePath(directory: string): string {
  return join(directory, NEW_BASE_NAME);
}

/**
 * Replaces the base of the log in the folder; when it resolves the new one is durable, and at
 * every moment either the old one or the new one is there whole.
 */
export async function writeBase(
  options: { directory: string; identity: WalIdentity; base: BaseRecord },
  fileSystem: FileSystem,
): Promise<void> {
  const { directory, identity, base } = options;
  const file = await fileSystem.open(newBasePath(directory), 'create');
  try {
    await file.write(encodeBase(identity, base), 0);
    await file.fdatasync();
  } finally {
    await file.close();
  }
  await fileSystem.rename(newBasePath(directory), basePath(directory));
  await fileSystem.syncDirectory(directory);
}

/** Bytes of the base in the folder. Throws when the file cannot be read. */
export function readBaseBytes(directory: string, fileSystem: FileSystem): Uint8Array {
  const reader = fileSystem.openReader(basePath(directory));
  try {
    const bytes = new Uint8Array(BASE_BYTES);
    return bytes.subarray(0, reader.read(bytes, 0));
  } finally {
    reader.close();
  }
}

export function encodeBase(identity: WalIdentity, base: BaseRecord): Uint8Array {
  const clusterId = utf8(identity.clusterId);
  assert(clusterId.length <= CLUSTER_ID_BYTES_MAX, 'the cluster id is at most 256 bytes');
  const bytes = new Uint8Array(BASE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, BASE_MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  view.setUint32(8, base.firstSequence, true);
  view.setUint32(12, clusterId.length, true);
  setUint64(view, 16, identity.memberId);
  setUint64(view, 24, base.index);
  setUint64(view, 32, base.term);
  setUint64(view, 40, base.hardState.term);
  setUint64(view, 48, base.hardState.vote ?? 0);
  bytes.set(clusterId, CLUSTER_ID_AT);
  view.setUint32(CHECKSUM_AT, crc32(bytes.subarray(0, CHECKSUM_AT)), true);
  return bytes;
}

/**
 * Reads and checks a base. Throws a WalError when it is damaged, of another version, or of another
 * member or cluster than expected, where that is known.
 */
export function decodeBase(
  path: string,
  bytes: Uint8Array,
  expected: WalIdentity | undefined,
): { base: BaseRecord; identity: WalIdentity } {
  if (bytes.length < BASE_BYTES) throw corruptError(path, bytes.length, 'the file is too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== BASE_MAGIC) throw corruptError(path, 0, 'not the base of a log');
  if (crc32(bytes.subarray(0, CHECKSUM_AT)) !== view.getUint32(CHECKSUM_AT, true))
    throw corruptError(path, 0, 'its checksum does not match');
  checkVersion(path, view.getUint32(4, true), FORMAT_VERSION);
  const clusterIdEnd = CLUSTER_ID_AT + view.getUint32(12, true);
  const identity = {
    clusterId: Buffer.from(bytes.subarray(CLUSTER_ID_AT, clusterIdEnd)).toString('utf8'),
    memberId: getUint64(view, 16),
  };
  if (expected !== undefined) checkIdentity(path, identity, expected);
  const vote = getUint64(view, 48);
  const base = {
    firstSequence: view.getUint32(8, true),
    index: getUint64(view, 24),
    term: getUint64(view, 32),
    hardState: { term: getUint64(view, 40), vote: vote === 0 ? undefined : vote },
  };
  return { base, identity };
}
