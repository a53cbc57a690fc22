import type { AdmittedTransaction } from '../types/command.ts';
import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
} from '../types/configuration.ts';
import { ADDRESS_BYTES, HASH_BYTES, type Height } from '../types/primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, scalar } from '../types/rlp.ts';
import type { TransactionState } from '../types/transaction_state.ts';

/** How far this member has applied the log and the chain. */
export interface HeadRecord {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly decidedHeight: Height;
  readonly executedHeight: Height;
}

export function encodeHead(head: HeadRecord): Uint8Array {
  return encodeRlp([
    scalar(head.appliedIndex),
    scalar(head.appliedTerm),
    scalar(head.decidedHeight),
    scalar(head.executedHeight),
  ]);
}

export function decodeHead(bytes: Uint8Array): HeadRecord {
  const reader = new FieldReader(decodeRlp(bytes), 'head', 4);
  return {
    appliedIndex: reader.number('appliedIndex'),
    appliedTerm: reader.number('appliedTerm'),
    decidedHeight: reader.number('decidedHeight'),
    executedHeight: reader.number('executedHeight'),
  };
}

/** Who the cluster consists of as of an index of the log; 0 for those that it began with. */
export interface AppliedConfiguration {
  readonly index: number;
  readonly configuration: Configuration;
}

export function encodeAppliedConfiguration(applied: AppliedConfiguration): Uint8Array {
  return encodeRlp([scalar(applied.index), encodeConfiguration(applied.configuration)]);
}

export function decodeAppliedConfiguration(bytes: Uint8Array): AppliedConfiguration {
  const reader = new FieldReader(decodeRlp(bytes), 'appliedConfiguration', 2);
  return {
    index: reader.number('index'),
    configuration: decodeConfiguration(reader.bytes('configuration')),
  };
}

/** A transaction of the durable mempool, with its place in the order of arrival. */
export interface PendingRecord extends AdmittedTransaction {
  readonly sequence: number;
  readonly expiresAtMs: number;
}

export function encodePending(pending: PendingRecord): Uint8Array {
  return encodeRlp([
    scalar(pending.sequence),
    scalar(pending.expiresAtMs),
    pending.sender,
    pending.raw,
  ]);
}

export function decodePending(bytes: Uint8Array): PendingRecord {
  const reader = new FieldReader(decodeRlp(bytes), 'pending', 4);
  return {
    sequence: reader.number('sequence'),
    expiresAtMs: reader.number('expiresAtMs'),
    sender: reader.bytes('sender', ADDRESS_BYTES),
    raw: reader.bytes('raw'),
  };
}

const STATE_NUMBERS = { pending: 0, included: 1, replaced: 2, expired: 3, invalidated: 4 } as const;

export function encodeTransactionState(state: TransactionState): Uint8Array {
  const number = scalar(STATE_NUMBERS[state.state]);
  if (state.state === 'included')
    return encodeRlp([number, scalar(state.height), scalar(state.index)]);
  if (state.state === 'replaced') return encodeRlp([number, state.by]);
  return encodeRlp([number]);
}

export function decodeTransactionState(bytes: Uint8Array): TransactionState {
  const reader = new FieldReader(decodeRlp(bytes), 'transactionState');
  const number = reader.number('state');
  switch (number) {
    case STATE_NUMBERS.pending:
      return { state: 'pending' };
    case STATE_NUMBERS.included:
      return {
        state: 'included',
        height: reader.number('height'),
        index: reader.number('index'),
      };
    case STATE_NUMBERS.replaced:
      return { state: 'replaced', by: reader.bytes('by', HASH_BYTES) };
    case STATE_NUMBERS.expired:
      return { state: 'expired' };
    case STATE_NUMBERS.invalidated:
      return { state: 'invalidated' };
    default:
      throw new CodecError(`transaction state ${number} is unknown`);
  }
}

export function encodeHeight(height: Height): Uint8Array {
  return encodeRlp(scalar(height));
}

export function decodeHeight(bytes: Uint8Array): Height {
  return new FieldReader([decodeRlp(bytes)], 'height', 1).number('height');
}
