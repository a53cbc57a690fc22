import { assert } from '../lib/assert.ts';
import type { Account } from '../types/outcome.ts';
import { HASH_BYTES, type Hash } from '../types/primitives.ts';
import { decodeRlp, encodeRlp, FieldReader, scalar } from '../types/rlp.ts';

/** What the account trie holds: RLP of nonce, balance, storage root and code hash. */
export function encodeAccountLeaf(account: Account, storageRoot: Hash): Uint8Array {
  return encodeRlp([scalar(account.nonce), scalar(account.balance), storageRoot, account.codeHash]);
}

export function decodeAccountLeaf(leaf: Uint8Array): { account: Account; storageRoot: Hash } {
  const reader = new FieldReader(decodeRlp(leaf), 'accountLeaf', 4);
  const nonce = reader.bigint('nonce', 8);
  const balance = reader.bigint('balance');
  const storageRoot = reader.bytes('storageRoot', HASH_BYTES);
  return {
    account: { nonce, balance, codeHash: reader.bytes('codeHash', HASH_BYTES) },
    storageRoot,
  };
}

/** The storage root alone, without decoding: both hashes stand at the end, each after its length byte. */
export function storageRootOf(leaf: Uint8Array): Hash {
  const codeHashItem = leaf.length - HASH_BYTES - 1;
  const start = codeHashItem - HASH_BYTES;
  assert(leaf[codeHashItem] === 0x80 + HASH_BYTES, 'an account leaf ends with two hashes');
  assert(leaf[start - 1] === 0x80 + HASH_BYTES, 'an account leaf ends with two hashes');
  return leaf.slice(start, codeHashItem);
}
