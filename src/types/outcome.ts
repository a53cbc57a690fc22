import type { Address, Hash, Height } from './primitives.ts';
import { ADDRESS_BYTES, BLOOM_BYTES, HASH_BYTES } from './primitives.ts';
import type { Receipt } from './receipt.ts';
import { decodeReceipts, encodeReceipts } from './receipt.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem, scalar } from './rlp.ts';

/** An account as flat state holds it; its storage root lives in the trie alone. */
export interface Account {
  readonly nonce: bigint;
  /** Wei. */
  readonly balance: bigint;
  readonly codeHash: Hash;
}

/** New value of one storage slot: minimal big-endian bytes, empty when the slot is cleared. */
export interface SlotChange {
  readonly slot: Hash;
  readonly value: Uint8Array;
}

/** What a block did to one account. */
export interface AccountChange {
  readonly address: Address;
  /** The account afterwards; null when it does not exist (an empty account never exists, EIP-161). */
  readonly account: Account | null;
  /** Ascending by slot, without repeats. */
  readonly slots: readonly SlotChange[];
}

export interface CodeChange {
  readonly codeHash: Hash;
  readonly code: Uint8Array;
}

/** The keys that a block changed, with their new values. Accounts ascend by address, codes by hash. */
export interface Delta {
  readonly accounts: readonly AccountChange[];
  /** Code that may not have been stored before; code is kept for ever, so a reverse delta has none. */
  readonly codes: readonly CodeChange[];
}

/** The result of executing one block: equal bytes on every member that executes it rightly. */
export interface Outcome {
  readonly height: Height;
  readonly blockId: Hash;
  readonly delta: Delta;
  /** One for each transaction, in block order. */
  readonly receipts: readonly Receipt[];
  readonly gasUsed: bigint;
  readonly receiptsRoot: Hash;
  /** 256 bytes: the union of the receipts' blooms. */
  readonly logsBloom: Uint8Array;
}

export function encodeAccount(account: Account): Uint8Array {
  return encodeRlp([scalar(account.nonce), scalar(account.balance), account.codeHash]);
}

export function decodeAccount(bytes: Uint8Array): Account {
  return accountFrom(decodeRlp(bytes));
}

function accountFrom(item: RlpItem): Account {
  const reader = new FieldReader(item, 'account', 3);
  return {
    nonce: reader.bigint('nonce', 8),
    balance: reader.bigint('balance'),
    codeHash: reader.bytes('codeHash', HASH_BYTES),
  };
}

export function encodeDelta(delta: Delta): Uint8Array {
  return encodeRlp(deltaItem(delta));
}

export function decodeDelta(bytes: Uint8Array): Delta {
  return deltaFrom(decodeRlp(bytes));
}

function deltaItem(delta: Delta): RlpItem {
  return [
    delta.accounts.map((change) => [
      change.address,
      change.account === null
        ? []
        : [scalar(change.account.nonce), scalar(change.account.balance), change.account.codeHash],
      change.slots.map(({ slot, value }) => [slot, value]),
    ]),
    delta.codes.map(({ codeHash, code }) => [codeHash, code]),
  ];
}

function deltaFrom(item: RlpItem): Delta {
  const reader = new FieldReader(item, 'delta', 2);
  return {
    accounts: reader.list('accounts').map(accountChangeFrom),
    codes: reader.list('codes').map((code) => {
      const fields = new FieldReader(code, 'code', 2);
      return { codeHash: fields.bytes('codeHash', HASH_BYTES), code: fields.bytes('code') };
    }),
  };
}

function accountChangeFrom(item: RlpItem): AccountChange {
  const reader = new FieldReader(item, 'accountChange', 3);
  const address = reader.bytes('address', ADDRESS_BYTES);
  const account = reader.list('account');
  return {
    address,
    account: account.length === 0 ? null : accountFrom(account),
    slots: reader.list('slots').map((slotItem) => {
      const fields = new FieldReader(slotItem, 'slot', 2);
      const slot = fields.bytes('slot', HASH_BYTES);
      const value = fields.bytes('value');
      if (value.length > HASH_BYTES || value[0] === 0)
        throw new CodecError('slot.value must be at most 32 bytes without leading zeros');
      return { slot, value };
    }),
  };
}

export function encodeOutcome(outcome: Outcome): Uint8Array {
  return encodeRlp([
    scalar(outcome.height),
    outcome.blockId,
    deltaItem(outcome.delta),
    encodeReceipts(outcome.receipts),
    scalar(outcome.gasUsed),
    outcome.receiptsRoot,
    outcome.logsBloom,
  ]);
}

export function decodeOutcome(bytes: Uint8Array): Outcome {
  const reader = new FieldReader(decodeRlp(bytes), 'outcome', 7);
  return {
    height: reader.number('height'),
    blockId: reader.bytes('blockId', HASH_BYTES),
    delta: deltaFrom(reader.list('delta')),
    receipts: decodeReceipts(reader.bytes('receipts')),
    gasUsed: reader.bigint('gasUsed', 8),
    receiptsRoot: reader.bytes('receiptsRoot', HASH_BYTES),
    logsBloom: reader.bytes('logsBloom', BLOOM_BYTES),
  };
}
