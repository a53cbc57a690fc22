import { createMPT, type MerklePatriciaTrie } from '@ethereumjs/mpt';
import { describe, expect, it } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import type { Change } from '../../../src/trie/update.ts';
import { SeededRandom } from '../crypto/random.ts';
import { StoredTrie } from './memory_store.ts';

/** Keys that share long prefixes as often as hashes share short ones. */
function clusteredKey(random: SeededRandom, length: number): Uint8Array {
  const key = new Uint8Array(length);
  const shared = random.below(length);
  for (let index = 0; index < length; index += 1)
    key[index] = index < shared ? (random.below(8) === 0 ? 1 : 0) : random.below(256);
  return key;
}

function randomBatch(
  random: SeededRandom,
  known: Map<string, Uint8Array>,
  options: { size: number; keyBytes: number; deleteShare: number; valueBytesMax: number },
): Change[] {
  const batch = new Map<string, Change>();
  const keys = [...known.values()];
  for (let index = 0; index < options.size; index += 1) {
    const old = keys.length > 0 && random.below(2) === 0;
    const key = old ? keys[random.below(keys.length)]! : clusteredKey(random, options.keyBytes);
    const deletes = random.next() < options.deleteShare;
    const value = deletes ? undefined : random.bytes(1 + random.below(options.valueBytesMax));
    batch.set(toHex(key), { key, value });
  }
  return [...batch.values()];
}

async function sameAs(oracle: MerklePatriciaTrie, batch: readonly Change[]): Promise<Uint8Array> {
  for (const { key, value } of batch) {
    if (value === undefined) await oracle.del(key);
    else await oracle.put(key, value);
  }
  return oracle.root();
}

const CASES = [
  { name: 'hash-long keys, embedded nodes', keyBytes: 32, valueBytesMax: 3 },
  { name: 'short keys, embedded nodes everywhere', keyBytes: 2, valueBytesMax: 2 },
  { name: 'long values', keyBytes: 4, valueBytesMax: 300 },
];

describe('the batch update', () => {
  for (const { name, keyBytes, valueBytesMax } of CASES) {
    for (const seed of [1, 2, 3, 4]) {
      it(`gives the root of a peer and leaves exactly its nodes: ${name} (seed ${seed})`, async () => {
        const random = new SeededRandom(seed);
        const oracle = await createMPT({});
        const trie = new StoredTrie();
        const known = new Map<string, Uint8Array>();
        const content = new Map<string, Change>();
        for (let round = 0; round < 25; round += 1) {
          const deleteShare = round % 5 === 4 ? 0.9 : 0.3;
          const size = 1 + random.below(round % 3 === 0 ? 60 : 8);
          const batch = randomBatch(random, known, { size, keyBytes, deleteShare, valueBytesMax });
          for (const change of batch) {
            known.set(toHex(change.key), change.key);
            if (change.value === undefined) content.delete(toHex(change.key));
            else content.set(toHex(change.key), change);
          }
          if (random.below(2) === 0) trie.forget();
          await trie.update(batch);
          expect(toHex(trie.root), `round ${round}`).toBe(toHex(await sameAs(oracle, batch)));
          const scratch = new StoredTrie();
          await scratch.update([...content.values()]);
          expect(scratch.root).toEqual(trie.root);
          expect(trie.store.nodes, `round ${round}`).toEqual(scratch.store.nodes);
        }
        for (const key of known.values())
          expect(await trie.get(key)).toEqual(content.get(toHex(key))?.value);
        await trie.update([...known.values()].map((key) => ({ key, value: undefined })));
        expect(trie.store.nodes.size).toBe(0);
      });
    }
  }

  it('leaves the trie as it was when values repeat or absent keys are deleted', async () => {
    const random = new SeededRandom(9);
    const trie = new StoredTrie();
    const changes = Array.from({ length: 200 }, (_, index) => ({
      key: keccak256(Uint8Array.of(index)),
      value: random.bytes(40),
    }));
    await trie.update(changes);
    const before = new Map(trie.store.nodes);
    trie.forget();
    const absent = Array.from({ length: 50 }, () => ({ key: random.bytes(32), value: undefined }));
    await trie.update([
      ...changes.map(({ key, value }) => ({ key, value: value.slice() })),
      ...absent,
    ]);
    expect(trie.store.nodes).toEqual(before);
  });

  it('reads a level of all changes at once', async () => {
    const trie = new StoredTrie();
    const keys = Array.from({ length: 3000 }, (_, index) =>
      keccak256(Uint8Array.of(index >> 8, index)),
    );
    await trie.update(keys.map((key) => ({ key, value: new Uint8Array(40).fill(1) })));
    trie.forget();
    trie.store.readsCount = 0;
    await trie.update(
      keys.filter((_, index) => index % 3 > 0).map((key) => ({ key, value: undefined })),
    );
    expect(trie.store.readsCount).toBeLessThan(12);
  });

  it('refuses a missing or changed node instead of taking it for absent', async () => {
    const keys = Array.from({ length: 100 }, (_, index) => keccak256(Uint8Array.of(index)));
    const fill = keys.map((key) => ({ key, value: new Uint8Array(40).fill(7) }));
    const build = async (): Promise<StoredTrie> => {
      const trie = new StoredTrie();
      await trie.update(fill);
      trie.forget();
      return trie;
    };
    const change = fill.map(({ key }) => ({ key, value: new Uint8Array(40).fill(8) }));
    const intact = await build();
    for (const name of [...intact.store.nodes.keys()].filter((_, index) => index % 7 === 0)) {
      const lacking = await build();
      lacking.store.nodes.delete(name);
      await expect(lacking.update(change)).rejects.toMatchObject({ code: 'CORRUPT' });
      const bent = await build();
      const node = bent.store.nodes.get(name)!.slice();
      node[node.length - 1]! ^= 1;
      bent.store.nodes.set(name, node);
      await expect(bent.update(change)).rejects.toMatchObject({ code: 'CORRUPT' });
    }
  });

  it('holds keys that are prefixes of others, with values in branches', async () => {
    const random = new SeededRandom(77);
    const trie = new StoredTrie();
    const content = new Map<string, Change>();
    for (let round = 0; round < 200; round += 1) {
      const key = new Uint8Array(1 + random.below(4)).map(() => random.below(2) * 16);
      const value = random.below(3) === 0 ? undefined : random.bytes(1 + random.below(40));
      if (value === undefined) content.delete(toHex(key));
      else content.set(toHex(key), { key, value });
      if (random.below(3) === 0) trie.forget();
      await trie.update([{ key, value }]);
      const scratch = new StoredTrie();
      await scratch.update([...content.values()]);
      expect(trie.store.nodes).toEqual(scratch.store.nodes);
      const oracle = await createMPT({});
      expect(toHex(trie.root)).toBe(toHex(await sameAs(oracle, [...content.values()])));
    }
  });
});
