import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keccak256 } from '../../src/crypto/keccak.ts';
import { fromHex, toHex, toPrefixedHex, utf8 } from '../../src/lib/bytes.ts';
import { StoredTrie } from '../unit/trie/memory_store.ts';
import { findEthereumTests, readJson } from './ethereum_tests.ts';

type Pair = readonly [string, string | null];
type Vectors = Record<
  string,
  { in: readonly Pair[] | Record<string, string | null>; root: string }
>;

// trietestnextprev.json is left out: it is about stepping to the next key, which this trie does not offer.
const FILES = [
  { file: 'trietest.json', secure: false },
  { file: 'trieanyorder.json', secure: false },
  { file: 'trietest_secureTrie.json', secure: true },
  { file: 'trieanyorder_secureTrie.json', secure: true },
  { file: 'hex_encoded_securetrie_test.json', secure: true },
];

function bytesOf(text: string): Uint8Array {
  return text.startsWith('0x') ? fromHex(text)! : utf8(text);
}

function changesOf(pairs: readonly Pair[], secure: boolean) {
  return pairs.map(([key, value]) => ({
    key: secure ? keccak256(bytesOf(key)) : bytesOf(key),
    value: value === null ? undefined : bytesOf(value),
  }));
}

const { path, absent } = findEthereumTests('TrieTests');

describe('official TrieTests', () => {
  for (const { file, secure } of absent === undefined ? FILES : []) {
    for (const [name, vector] of Object.entries(readJson<Vectors>(join(path, file)))) {
      const pairs = Array.isArray(vector.in) ? vector.in : Object.entries(vector.in);
      const changes = changesOf(pairs, secure);

      it(`${file} ${name}: one by one, loaded and not, and as one batch`, async () => {
        const warm = new StoredTrie();
        const cold = new StoredTrie();
        for (const change of changes) {
          await warm.update([change]);
          await cold.update([change]);
          cold.forget();
        }
        const batch = new StoredTrie();
        await batch.update([
          ...new Map(changes.map((change) => [toHex(change.key), change])).values(),
        ]);
        for (const trie of [warm, cold, batch]) {
          expect(toPrefixedHex(trie.root)).toBe(vector.root);
          expect(trie.store.nodes).toEqual(batch.store.nodes);
        }
      });
    }
  }
  if (absent !== undefined) it.skip(absent, () => {});
});
