import { bytesEqual } from '../lib/bytes.ts';
import {
  type Account,
  type AccountChange,
  type Delta,
  decodeAccount,
  encodeAccount,
} from '../types/outcome.ts';
import { EMPTY_CODE_HASH } from '../types/primitives.ts';
import { accountKey, codeKey, slotKey } from './keys.ts';
import { LedgerError } from './ledger_error.ts';
import type { StoreReader } from './store.ts';

/** A batch that takes puts and deletions. */
export interface ChangeSink {
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
}

/** Writes the new values of a delta into flat state. */
export function writeDelta(delta: Delta, sink: ChangeSink): void {
  for (const { codeHash, code } of delta.codes) sink.put(codeKey(codeHash), code);
  for (const change of delta.accounts) {
    const key = accountKey(change.address);
    if (change.account === null) sink.delete(key);
    else sink.put(key, encodeAccount(change.account));
    for (const { slot, value } of change.slots) {
      if (value.length === 0) sink.delete(slotKey(change.address, slot));
      else sink.put(slotKey(change.address, slot), value);
    }
  }
}

/**
 * The delta that undoes another one: the same keys with the values that the store holds now.
 * Code needs no undoing, since it is found by its hash alone.
 */
export async function reverseOf(delta: Delta, store: StoreReader): Promise<Delta> {
  const keys: Uint8Array[] = [];
  for (const change of delta.accounts) {
    keys.push(accountKey(change.address));
    for (const { slot } of change.slots) keys.push(slotKey(change.address, slot));
  }
  const values = await store.getMany(keys);
  let position = 0;
  const accounts = delta.accounts.map((change): AccountChange => {
    const before = values[position++];
    return {
      address: change.address,
      account: before === undefined ? null : decodeAccount(before),
      slots: change.slots.map(({ slot }) => ({
        slot,
        value: values[position++] ?? new Uint8Array(0),
      })),
    };
  });
  return { accounts, codes: [] };
}

/** Refuses a delta that no execution can give: it would make flat state and trie disagree. */
export function checkDelta(delta: Delta): void {
  for (const { account, slots } of delta.accounts) {
    if (account === null) continue;
    if (isEmpty(account) && slots.every(({ value }) => value.length === 0))
      throw new LedgerError('CANNOT_APPLY', 'an outcome holds an empty account (EIP-161)');
  }
}

function isEmpty({ nonce, balance, codeHash }: Account): boolean {
  return nonce === 0n && balance === 0n && bytesEqual(codeHash, EMPTY_CODE_HASH);
}
