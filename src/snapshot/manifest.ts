import { createHash } from 'node:crypto';
import { copyBytes, utf8 } from '../lib/bytes.ts';
import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
} from '../types/configuration.ts';
import { HASH_BYTES, type Hash } from '../types/primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, scalar } from '../types/rlp.ts';

/** The chain that a snapshot belongs to; one of another chain is never taken. */
export interface ChainIdentity {
  readonly clusterId: string;
  readonly genesisHash: Hash;
}

/** Where the log stands at a snapshot. */
export interface SnapshotHead {
  /** The last entry that was applied. */
  readonly index: number;
  readonly term: number;
  /** The last configuration at or below `index`. */
  readonly configuration: { readonly index: number; readonly configuration: Configuration };
}

/** What the database, or a snapshot of it, is read with. */
export interface StateReader {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
}

/** Reads where a state stands; undefined when nothing was ever written to it. */
export type HeadReader = (reader: StateReader) => Promise<SnapshotHead | undefined>;

/** What a snapshot is of. */
export interface SnapshotHeader extends ChainIdentity, SnapshotHead {}

/** Binds everything that a snapshot consists of. */
export interface SnapshotManifest extends SnapshotHeader {
  readonly chunkCount: number;
  /** SHA-256 over the header and the SHA-256 of each chunk in order. */
  readonly digest: Uint8Array;
}

/** Of the state's keys and values, the header and the chunks; a member installs no other. */
const SNAPSHOT_FORMAT = 1;
export const DIGEST_BYTES = 32;
/** 4 TiB in chunks of full size. */
export const CHUNKS_MAX = 2 ** 24;

export function encodeHeader(header: SnapshotHeader): Uint8Array {
  const { clusterId, genesisHash, index, term, configuration } = header;
  return encodeRlp([
    scalar(SNAPSHOT_FORMAT),
    utf8(clusterId),
    genesisHash,
    scalar(index),
    scalar(term),
    scalar(configuration.index),
    encodeConfiguration(configuration.configuration),
  ]);
}

/** Throws a CodecError for anything that `encodeHeader` would not write. */
export function decodeHeader(bytes: Uint8Array): SnapshotHeader {
  const reader = new FieldReader(decodeRlp(bytes), 'snapshot', 7);
  const format = reader.number('format');
  if (format !== SNAPSHOT_FORMAT)
    throw new CodecError(`snapshot format ${format} is unknown here; upgrade this member`);
  const clusterId = new TextDecoder().decode(reader.bytes('clusterId'));
  const genesisHash = copyBytes(reader.bytes('genesisHash', HASH_BYTES));
  const index = reader.number('index');
  const term = reader.number('term');
  const configurationIndex = reader.number('configurationIndex');
  if (configurationIndex > index)
    throw new CodecError('the configuration of a snapshot is not above its index');
  const configuration = decodeConfiguration(reader.bytes('configuration'));
  return {
    clusterId,
    genesisHash,
    index,
    term,
    configuration: { index: configurationIndex, configuration },
  };
}

export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  return encodeRlp([encodeHeader(manifest), scalar(manifest.chunkCount), manifest.digest]);
}

export function decodeManifest(bytes: Uint8Array): SnapshotManifest {
  const reader = new FieldReader(decodeRlp(bytes), 'manifest', 3);
  const header = decodeHeader(reader.bytes('header'));
  const chunkCount = reader.number('chunkCount');
  if (chunkCount === 0 || chunkCount > CHUNKS_MAX)
    throw new CodecError(`a snapshot has 1 to ${CHUNKS_MAX} chunks`);
  return { ...header, chunkCount, digest: copyBytes(reader.bytes('digest', DIGEST_BYTES)) };
}

/** Of one chunk's payload. */
export function chunkDigest(payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(payload).digest();
}

/** The digest over a whole snapshot, as its chunks come in. */
export class SnapshotDigest {
  readonly #hash;

  constructor(header: SnapshotHeader) {
    this.#hash = createHash('sha256').update(encodeHeader(header));
  }

  /** @param digest of the next chunk */
  add(digest: Uint8Array): void {
    this.#hash.update(digest);
  }

  /** Of everything added so far. */
  value(): Uint8Array {
    return new Uint8Array(this.#hash.copy().digest());
  }
}
