import { assert } from '../lib/assert.ts';
import { bigIntToBytes, bytesToBigInt } from '../lib/bytes.ts';
import { packBytes, unpackAllBytes, unpackBytes } from '../lib/packed_bytes.ts';
import type { Account, AccountChange, Delta, SlotChange } from '../types/outcome.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import type { NodeWrite } from './node_store.ts';
import type { AccountProof } from './state_trie.ts';
import type { TrieErrorCode } from './trie_error.ts';

// What passes between TrieThread and its worker. Whatever grows with a block travels as one packed buffer that moves.

export type ToWorker =
  | { type: 'apply'; id: number; height: Height; delta: ArrayBuffer }
  | { type: 'prove'; id: number; address: Address; slots: Hash[] }
  | { type: 'stored'; height: Height }
  | { type: 'nodes'; id: number; values: ArrayBuffer }
  | { type: 'nodesFailed'; id: number; message: string };

export type ToMain =
  | { type: 'ready' }
  | { type: 'applied'; id: number; height: Height; root: Hash; writes: PackedWrites }
  | { type: 'proved'; id: number; proof: AccountProof }
  | { type: 'failed'; id: number; failure: TrieFailure }
  | { type: 'read'; id: number; keys: ArrayBuffer };

export interface PackedWrites {
  readonly keys: ArrayBuffer;
  readonly values: ArrayBuffer;
}

/** An error as plain data; without a code it is not one of the trie's own. */
export interface TrieFailure {
  readonly code: TrieErrorCode | undefined;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export function packWrites(writes: readonly NodeWrite[]): PackedWrites {
  return {
    keys: packBytes(writes.map(({ key }) => key)),
    values: packBytes(writes.map(({ value }) => value)),
  };
}

export function unpackWrites({ keys, values }: PackedWrites): NodeWrite[] {
  const unpacked = unpackBytes(values);
  const writes = unpackAllBytes(keys).map((key, index) => ({ key, value: unpacked[index] }));
  assert(writes.length === unpacked.length, 'every write has a key and a value');
  return writes;
}

/** The accounts of a delta; code is not part of the trie. */
export function packDelta(delta: Delta): ArrayBuffer {
  const strings: (Uint8Array | undefined)[] = [];
  for (const { address, account, slots } of delta.accounts) {
    strings.push(address, bigIntToBytes(BigInt(slots.length)));
    if (account === null) strings.push(undefined, undefined, undefined);
    else
      strings.push(bigIntToBytes(account.nonce), bigIntToBytes(account.balance), account.codeHash);
    for (const { slot, value } of slots) strings.push(slot, value);
  }
  return packBytes(strings);
}

export function unpackDelta(packed: ArrayBuffer): Delta {
  const strings = unpackBytes(packed);
  const accounts: AccountChange[] = [];
  let at = 0;
  const next = (): Uint8Array | undefined => {
    const bytes = strings[at];
    at += 1;
    return bytes;
  };
  const present = (): Uint8Array => {
    const bytes = next();
    assert(bytes !== undefined, 'a packed delta lacks a field');
    return bytes;
  };
  while (at < strings.length) {
    const address = present();
    const slotsCount = Number(bytesToBigInt(present()));
    const account = accountFrom(next(), next(), next());
    const slots: SlotChange[] = [];
    for (let index = 0; index < slotsCount; index += 1)
      slots.push({ slot: present(), value: present() });
    accounts.push({ address, account, slots });
  }
  return { accounts, codes: [] };
}

function accountFrom(
  nonce: Uint8Array | undefined,
  balance: Uint8Array | undefined,
  codeHash: Uint8Array | undefined,
): Account | null {
  if (nonce === undefined || balance === undefined || codeHash === undefined) return null;
  return { nonce: bytesToBigInt(nonce), balance: bytesToBigInt(balance), codeHash };
}
