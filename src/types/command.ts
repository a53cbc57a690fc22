import { utf8 } from '../lib/bytes.ts';
import { type Commit, decodeCommit, encodeCommit } from './block.ts';
import type { Address, Hash } from './primitives.ts';
import { ADDRESS_BYTES, HASH_BYTES } from './primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem, scalar } from './rlp.ts';

/** A transaction whose sender the leader has recovered. */
export interface AdmittedTransaction {
  /** EIP-2718 bytes. */
  readonly raw: Uint8Array;
  readonly sender: Address;
}

/** Makes transactions durable: whoever was acknowledged survives the leader. */
export interface AdmitTransactions {
  readonly type: 'AdmitTransactions';
  /** The leader's wall time at which those that no block took are given up. */
  readonly expiresAtMs: number;
  readonly transactions: readonly AdmittedTransaction[];
}

/** Fixes the block of a height before anything about it is signed. */
export interface BlockProposed {
  readonly type: 'BlockProposed';
  /** Encoded header; the block id is its hash. */
  readonly header: Uint8Array;
  /** Certificate of the parent; undefined at height 1. */
  readonly lastCommit: Commit | undefined;
  /** Hashes of all transactions in block order. */
  readonly transactionHashes: readonly Hash[];
  /** Those that the durable mempool does not hold, in block order. */
  readonly transactionsNotAdmitted: readonly AdmittedTransaction[];
}

/** The network decided: the block of this height is final and its execution begins. */
export interface BlockDecided {
  readonly type: 'BlockDecided';
  readonly commit: Commit;
}

/** What execution gave; applied only at the last height + 1 with the decided block id. */
export interface BlockOutcome {
  readonly type: 'BlockOutcome';
  /** Encoded outcome (types/outcome.ts). */
  readonly outcome: Uint8Array;
}

/** The only way in which replicated state changes. */
export type Command = AdmitTransactions | BlockProposed | BlockDecided | BlockOutcome;

/** What surrounds every command in the log. */
export interface CommandEnvelope {
  readonly clusterId: string;
  /** Term of the leader that wrote it. */
  readonly term: number;
  readonly command: Command;
}

/** Rises when a command's form or meaning changes; a member stops at a version that it does not know. */
export const COMMAND_VERSION = 1;

/** Type numbers are for ever. 3 and 6 to 10 belong to commands of the design that are not written yet. */
const TYPE_NUMBERS: Record<Command['type'], number> = {
  AdmitTransactions: 1,
  BlockProposed: 2,
  BlockDecided: 4,
  BlockOutcome: 5,
};

export function encodeCommand(envelope: CommandEnvelope): Uint8Array {
  return encodeRlp([
    scalar(TYPE_NUMBERS[envelope.command.type]),
    scalar(COMMAND_VERSION),
    utf8(envelope.clusterId),
    scalar(envelope.term),
    payloadItem(envelope.command),
  ]);
}

/** Throws a CodecError for an unknown type or version: the member must stop rather than skip it. */
export function decodeCommand(bytes: Uint8Array): CommandEnvelope {
  const reader = new FieldReader(decodeRlp(bytes), 'command', 5);
  const type = reader.number('type');
  const version = reader.number('version');
  if (version !== COMMAND_VERSION)
    throw new CodecError(
      `command version ${version} is unknown here (${COMMAND_VERSION} is); upgrade this member`,
    );
  const clusterId = new TextDecoder().decode(reader.bytes('clusterId'));
  const term = reader.number('term');
  return { clusterId, term, command: commandFrom(type, reader.list('payload')) };
}

function payloadItem(command: Command): RlpItem[] {
  switch (command.type) {
    case 'AdmitTransactions':
      return [scalar(command.expiresAtMs), admittedItems(command.transactions)];
    case 'BlockProposed':
      return [
        command.header,
        command.lastCommit === undefined ? new Uint8Array(0) : encodeCommit(command.lastCommit),
        [...command.transactionHashes],
        admittedItems(command.transactionsNotAdmitted),
      ];
    case 'BlockDecided':
      return [encodeCommit(command.commit)];
    case 'BlockOutcome':
      return [command.outcome];
  }
}

function commandFrom(type: number, payload: RlpItem[]): Command {
  const reader = new FieldReader(payload, 'payload');
  switch (type) {
    case TYPE_NUMBERS.AdmitTransactions:
      return {
        type: 'AdmitTransactions',
        expiresAtMs: reader.number('expiresAtMs'),
        transactions: reader.list('transactions').map(admittedFrom),
      };
    case TYPE_NUMBERS.BlockProposed:
      return blockProposedFrom(reader);
    case TYPE_NUMBERS.BlockDecided:
      return { type: 'BlockDecided', commit: decodeCommit(reader.bytes('commit')) };
    case TYPE_NUMBERS.BlockOutcome:
      return { type: 'BlockOutcome', outcome: reader.bytes('outcome') };
    default:
      throw new CodecError(`command type ${type} is unknown here; upgrade this member`);
  }
}

function blockProposedFrom(reader: FieldReader): BlockProposed {
  const header = reader.bytes('header');
  const lastCommit = reader.bytes('lastCommit');
  return {
    type: 'BlockProposed',
    header,
    lastCommit: lastCommit.length === 0 ? undefined : decodeCommit(lastCommit),
    transactionHashes: reader.list('transactionHashes').map((hash) => {
      if (!(hash instanceof Uint8Array) || hash.length !== HASH_BYTES)
        throw new CodecError('payload.transactionHashes must be 32 bytes each');
      return hash;
    }),
    transactionsNotAdmitted: reader.list('transactionsNotAdmitted').map(admittedFrom),
  };
}

function admittedItems(transactions: readonly AdmittedTransaction[]): RlpItem[] {
  return transactions.map(({ raw, sender }) => [raw, sender]);
}

function admittedFrom(item: RlpItem): AdmittedTransaction {
  const reader = new FieldReader(item, 'admitted', 2);
  return { raw: reader.bytes('raw'), sender: reader.bytes('sender', ADDRESS_BYTES) };
}
