import { utf8 } from '../lib/bytes.ts';
import type { Address, Hash, Height } from './primitives.ts';
import { ADDRESS_BYTES, BLOOM_BYTES, HASH_BYTES } from './primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem, scalar } from './rlp.ts';
import { BLS_SIGNATURE_BYTES } from './validator.ts';

export const HEADER_VERSION = 1;
export const EXTRA_DATA_BYTES_MAX = 32;

/** Header v1. Results are those of the parent's execution; the state root is of two heights below. */
export interface Header {
  readonly chainId: bigint;
  readonly height: Height;
  /** Wall time, strictly increasing along the chain. */
  readonly timestampMs: number;
  readonly parentId: Hash;
  readonly proposer: Address;
  readonly validatorsHash: Hash;
  readonly nextValidatorsHash: Hash;
  readonly consensusParametersHash: Hash;
  readonly transactionsRoot: Hash;
  readonly lastCommitHash: Hash;
  readonly evidenceHash: Hash;
  /** Result of height − 1. */
  readonly gasUsed: bigint;
  /** Result of height − 1. */
  readonly receiptsRoot: Hash;
  /** Result of height − 1: 256 bytes. */
  readonly logsBloom: Uint8Array;
  /** After height − 2; the genesis state for heights 0 to 2. */
  readonly stateRoot: Hash;
  /** Wei per gas, from the gas used of height − 1. */
  readonly baseFeePerGas: bigint;
  readonly gasLimit: bigint;
  /** At most 32 bytes. */
  readonly extraData: Uint8Array;
}

/** The proof that +2/3 of the stake precommitted a block: one aggregate signature and who is in it. */
export interface Commit {
  readonly height: Height;
  readonly round: number;
  readonly blockId: Hash;
  /** Bit i (least significant first in each byte) is validator i. */
  readonly signers: Uint8Array;
  readonly signature: Uint8Array;
}

export interface Block {
  readonly header: Header;
  /** EIP-2718 bytes in execution order. */
  readonly transactions: readonly Uint8Array[];
  /** Certificate of the parent; undefined for height 1. */
  readonly lastCommit: Commit | undefined;
}

/** What a vote signs: no two kinds of message, chains or purposes share bytes. */
export type VoteStep = 'propose' | 'prevote' | 'precommit';

const STEP_NUMBERS: Record<VoteStep, number> = { propose: 0, prevote: 1, precommit: 2 };
const HEADER_DOMAIN = utf8('blockraft/header');
const VOTE_DOMAIN = utf8('blockraft/vote');
const COMMIT_DOMAIN = utf8('blockraft/commit');

/** Canonical bytes; their keccak-256 is the block id. */
export function encodeHeader(header: Header): Uint8Array {
  return encodeRlp([
    HEADER_DOMAIN,
    scalar(HEADER_VERSION),
    scalar(header.chainId),
    scalar(header.height),
    scalar(header.timestampMs),
    header.parentId,
    header.proposer,
    header.validatorsHash,
    header.nextValidatorsHash,
    header.consensusParametersHash,
    header.transactionsRoot,
    header.lastCommitHash,
    header.evidenceHash,
    scalar(header.gasUsed),
    header.receiptsRoot,
    header.logsBloom,
    header.stateRoot,
    scalar(header.baseFeePerGas),
    scalar(header.gasLimit),
    header.extraData,
  ]);
}

export function decodeHeader(bytes: Uint8Array): Header {
  const reader = new FieldReader(decodeRlp(bytes), 'header', 20);
  expectBytes(reader.bytes('domain'), HEADER_DOMAIN, 'header.domain');
  const version = reader.number('version');
  if (version !== HEADER_VERSION) throw new CodecError(`header version ${version} is unknown`);
  const header: Header = {
    chainId: reader.bigint('chainId', 8),
    height: reader.number('height'),
    timestampMs: reader.number('timestampMs'),
    parentId: reader.bytes('parentId', HASH_BYTES),
    proposer: reader.bytes('proposer', ADDRESS_BYTES),
    validatorsHash: reader.bytes('validatorsHash', HASH_BYTES),
    nextValidatorsHash: reader.bytes('nextValidatorsHash', HASH_BYTES),
    consensusParametersHash: reader.bytes('consensusParametersHash', HASH_BYTES),
    transactionsRoot: reader.bytes('transactionsRoot', HASH_BYTES),
    lastCommitHash: reader.bytes('lastCommitHash', HASH_BYTES),
    evidenceHash: reader.bytes('evidenceHash', HASH_BYTES),
    gasUsed: reader.bigint('gasUsed', 8),
    receiptsRoot: reader.bytes('receiptsRoot', HASH_BYTES),
    logsBloom: reader.bytes('logsBloom', BLOOM_BYTES),
    stateRoot: reader.bytes('stateRoot', HASH_BYTES),
    baseFeePerGas: reader.bigint('baseFeePerGas'),
    gasLimit: reader.bigint('gasLimit', 8),
    extraData: reader.bytes('extraData'),
  };
  if (header.extraData.length > EXTRA_DATA_BYTES_MAX)
    throw new CodecError(`header.extraData must be at most ${EXTRA_DATA_BYTES_MAX} bytes`);
  return header;
}

/**
 * Bytes whose keccak-256 a validator signs for a vote. `blockId` undefined votes nil; `polRound`
 * belongs to proposals alone: the round of the proof-of-lock, or -1 for none.
 */
export function votePayload(vote: {
  chainId: bigint;
  height: Height;
  round: number;
  step: VoteStep;
  blockId: Hash | undefined;
  polRound?: number;
}): Uint8Array {
  return encodeRlp([
    VOTE_DOMAIN,
    scalar(vote.chainId),
    scalar(vote.height),
    scalar(vote.round),
    scalar(STEP_NUMBERS[vote.step]),
    vote.blockId ?? new Uint8Array(0),
    scalar((vote.polRound ?? -1) + 1),
  ]);
}

/** Canonical bytes of a certificate; their keccak-256 is the next header's last-commit hash. */
export function encodeCommit(commit: Commit): Uint8Array {
  return encodeRlp([
    COMMIT_DOMAIN,
    scalar(commit.height),
    scalar(commit.round),
    commit.blockId,
    commit.signers,
    commit.signature,
  ]);
}

export function decodeCommit(bytes: Uint8Array): Commit {
  const reader = new FieldReader(decodeRlp(bytes), 'commit', 6);
  expectBytes(reader.bytes('domain'), COMMIT_DOMAIN, 'commit.domain');
  return {
    height: reader.number('height'),
    round: reader.number('round'),
    blockId: reader.bytes('blockId', HASH_BYTES),
    signers: reader.bytes('signers'),
    signature: reader.bytes('signature', BLS_SIGNATURE_BYTES),
  };
}

export function encodeBlock(block: Block): Uint8Array {
  return encodeRlp([
    encodeHeader(block.header),
    [...block.transactions],
    block.lastCommit === undefined ? new Uint8Array(0) : encodeCommit(block.lastCommit),
  ]);
}

export function decodeBlock(bytes: Uint8Array): Block {
  const reader = new FieldReader(decodeRlp(bytes), 'block', 3);
  const header = decodeHeader(reader.bytes('header'));
  const transactions = reader.list('transactions').map(bytesOnly);
  const lastCommit = reader.bytes('lastCommit');
  return {
    header,
    transactions,
    lastCommit: lastCommit.length === 0 ? undefined : decodeCommit(lastCommit),
  };
}

function bytesOnly(item: RlpItem): Uint8Array {
  if (!(item instanceof Uint8Array)) throw new CodecError('block.transactions must be bytes each');
  return item;
}

function expectBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(found, expected) !== 0) throw new CodecError(`${what} is not ours`);
}
