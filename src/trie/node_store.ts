import { concatBytes, toHex } from '../lib/bytes.ts';
import type { Nibbles } from './nibbles.ts';

/** Where nodes that are not in memory come from. The owner of the database implements it. */
export interface NodeReader {
  /** The stored value of each key, in order; undefined where there is none. */
  getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
}

/** What the store must hold afterwards; undefined deletes the key. */
export interface NodeWrite {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Bytes before the path in a node's key: a tag, then the owner of a storage trie. */
export type TriePrefix = Uint8Array;

/** The account trie. The tag keeps its deep paths apart from owners. */
export const ACCOUNT_TRIE_PREFIX: TriePrefix = Uint8Array.of(0);

/** The storage trie of the account whose address has this hash. */
export function storageTriePrefix(addressHash: Uint8Array): TriePrefix {
  return concatBytes(Uint8Array.of(1), addressHash);
}

/** One byte for each half-byte of the path, so that keys sort as a walk of the trie meets its nodes. */
export function nodeKey(prefix: TriePrefix, path: Nibbles): Uint8Array {
  const key = new Uint8Array(prefix.length + path.length);
  key.set(prefix);
  key.set(path, prefix.length);
  return key;
}

/** Names a node in an error. */
export function describeNode(prefix: TriePrefix, path: Nibbles): string {
  const trie = prefix.length === 1 ? 'account trie' : `storage trie ${toHex(prefix.subarray(1))}`;
  return `${trie} at path [${Array.from(path, (nibble) => nibble.toString(16)).join('')}]`;
}
