import { createMPT, verifyMPTWithMerkleProof } from '@ethereumjs/mpt';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/lib/bytes.ts';
import { PROOF_SLOTS_MAX, StateTrie } from '../../../src/trie/state_trie.ts';
import { EMPTY_CODE_HASH, EMPTY_TRIE_ROOT } from '../../../src/types/primitives.ts';
import { encodeRlp, scalar } from '../../../src/types/rlp.ts';
import { SeededRandom } from '../crypto/random.ts';
import { MemoryNodeStore } from './memory_store.ts';
import { applyAndStore, FRESH, ModelState, storeFromScratch } from './state_fixture.ts';

const ACCOUNT = { nonce: 1n, balance: 5n, codeHash: EMPTY_CODE_HASH };
const only = (address: Uint8Array, account: typeof ACCOUNT | null, values: number[] = []) => ({
  accounts: [
    {
      address,
      account,
      slots: values.map((value, index) => ({
        slot: new Uint8Array(32).fill(index),
        value: value === 0 ? new Uint8Array(0) : Uint8Array.of(value),
      })),
    },
  ],
  codes: [],
});

describe('StateTrie', () => {
  for (const cacheNodesMax of [1_000_000, 40, 0]) {
    for (const seed of [1, 2]) {
      it(`gives the root of a peer and leaves exactly its nodes (cache ${cacheNodesMax}, seed ${seed})`, async () => {
        const random = new SeededRandom(seed);
        const model = new ModelState(random, { addresses: 60, slots: 12 });
        const store = new MemoryNodeStore();
        let trie = new StateTrie({ ...FRESH, cacheNodesMax }, { nodes: store });
        for (let height = 0; height < 25; height += 1) {
          const delta = model.change(1 + random.below(40));
          const { root } = await applyAndStore(trie, store, height, delta);
          expect(toHex(root), `height ${height}`).toBe(toHex(await model.peerRoot()));
          expect(store.nodes).toEqual((await storeFromScratch(model)).nodes);
          if (random.below(6) === 0)
            trie = new StateTrie({ height, root, cacheNodesMax }, { nodes: store });
        }
        const proof = await trie.prove(model.addresses[0]!, []);
        expect(proof.height).toBe(24);
      });
    }
  }

  it('serves later heights from memory while the store is behind (seed 5)', async () => {
    const random = new SeededRandom(5);
    const model = new ModelState(random, { addresses: 80, slots: 10 });
    const store = new MemoryNodeStore();
    const trie = new StateTrie({ ...FRESH, cacheNodesMax: 0 }, { nodes: store });
    const applied = [];
    for (let height = 0; height < 12; height += 1) {
      applied.push(await trie.apply(height, model.change(20)));
      if (height < 6) continue;
      const behind = applied[height - 6]!;
      store.write(behind.writes);
      trie.stored(behind.height);
    }
    expect(applied.at(-1)!.root).toEqual(await model.peerRoot());
    for (const { height, writes } of applied.slice(6)) {
      store.write(writes);
      trie.stored(height);
    }
    expect(store.nodes).toEqual((await storeFromScratch(model)).nodes);
  });

  it('answers calls in order without waiting for each', async () => {
    const model = new ModelState(new SeededRandom(6), { addresses: 50, slots: 5 });
    const trie = new StateTrie(FRESH, { nodes: new MemoryNodeStore() });
    const deltas = Array.from({ length: 8 }, () => model.change(20));
    const calls = deltas.map((delta, height) => trie.apply(height, delta));
    const proof = trie.prove(model.addresses[3]!, []);
    expect((await Promise.all(calls)).map(({ height }) => height)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7,
    ]);
    expect((await proof).height).toBe(7);
    expect((await proof).root).toEqual(await model.peerRoot());
  });

  it('proves accounts and slots, present and absent, to an independent library (seed 7)', async () => {
    const random = new SeededRandom(7);
    const model = new ModelState(random, { addresses: 60, slots: 20 });
    const store = new MemoryNodeStore();
    const first = new StateTrie(FRESH, { nodes: store });
    for (let height = 0; height < 4; height += 1)
      await applyAndStore(first, store, height, model.change(60));
    const root = await model.peerRoot();
    const trie = new StateTrie({ height: 3, root, cacheNodesMax: 100 }, { nodes: store });
    const peer = await createMPT({ useKeyHashing: true });
    for (const address of [...model.addresses, random.bytes(20), random.bytes(20)]) {
      const slots = [...model.slots, random.bytes(32)];
      const proof = await trie.prove(address, slots);
      expect(proof.root).toEqual(root);
      const entry = model.accounts.get(toHex(address));
      expect(proof.account).toEqual(entry?.account);
      const leaf = await verifyMPTWithMerkleProof(peer, root, address, [...proof.accountProof]);
      if (entry === undefined) {
        expect(leaf).toBeNull();
        expect(proof.storageHash).toEqual(EMPTY_TRIE_ROOT);
      } else {
        const { nonce, balance, codeHash } = entry.account;
        const fields = [scalar(nonce), scalar(balance), proof.storageHash, codeHash];
        expect(leaf).toEqual(encodeRlp(fields));
      }
      for (const [index, slot] of slots.entries()) {
        const found = proof.storageProofs[index]!;
        expect(found.slot).toEqual(slot);
        const value = entry?.slots.get(toHex(slot));
        expect(found.value).toEqual(value ?? new Uint8Array(0));
        if (proof.storageHash === EMPTY_TRIE_ROOT || found.proof.length === 0) {
          expect(value).toBeUndefined();
          continue;
        }
        const item = await verifyMPTWithMerkleProof(peer, proof.storageHash, slot, [
          ...found.proof,
        ]);
        expect(item).toEqual(value === undefined ? null : encodeRlp(value));
      }
    }
    const tooMany = Array.from({ length: PROOF_SLOTS_MAX + 1 }, () => new Uint8Array(32));
    await expect(trie.prove(model.addresses[0]!, tooMany)).rejects.toMatchObject({
      code: 'OVERLOADED',
    });
  });

  it('lets an account end and come back within and across heights, with none of its old storage', async () => {
    const address = new SeededRandom(8).bytes(20);
    const store = new MemoryNodeStore();
    const trie = new StateTrie(FRESH, { nodes: store });
    await applyAndStore(trie, store, 0, only(address, ACCOUNT, [1, 2, 3]));
    await applyAndStore(trie, store, 1, only(address, null, [0, 0, 0]));
    expect(store.nodes.size).toBe(0);
    await applyAndStore(trie, store, 2, only(address, ACCOUNT, [0, 9]));
    const { root } = await applyAndStore(trie, store, 3, only(address, ACCOUNT, [4, 0, 0]));
    const fresh = new MemoryNodeStore();
    const scratch = new StateTrie(FRESH, { nodes: fresh });
    expect((await applyAndStore(scratch, fresh, 0, only(address, ACCOUNT, [4]))).root).toEqual(
      root,
    );
    expect(store.nodes).toEqual(fresh.nodes);
  });

  it('refuses an account that ends with storage left, and a height out of order', async () => {
    const address = new SeededRandom(9).bytes(20);
    const store = new MemoryNodeStore();
    const trie = new StateTrie(FRESH, { nodes: store });
    const { root } = await applyAndStore(trie, store, 0, only(address, ACCOUNT, [1, 2]));
    await expect(trie.apply(1, only(address, null, [0]))).rejects.toThrow('cleared its storage');
    await expect(trie.apply(2, only(address, ACCOUNT))).rejects.toThrow('does not follow');
    await expect(trie.apply(0, only(address, ACCOUNT))).rejects.toThrow('does not follow');
    expect((await trie.prove(address, [])).root).toEqual(root);
    await applyAndStore(trie, store, 1, only(address, null, [0, 0]));
    expect(store.nodes.size).toBe(0);
  });

  it('reports a damaged store as corruption in apply and prove, and changes nothing', async () => {
    const random = new SeededRandom(10);
    const model = new ModelState(random, { addresses: 40, slots: 8 });
    const store = new MemoryNodeStore();
    const { root } = await applyAndStore(
      new StateTrie(FRESH, { nodes: store }),
      store,
      0,
      model.change(60),
    );
    const whole = model.whole();
    for (const name of [...store.nodes.keys()]) {
      const good = store.nodes.get(name)!;
      store.nodes.delete(name);
      const trie = new StateTrie({ height: 0, root, cacheNodesMax: 1000 }, { nodes: store });
      const cleared = whole.accounts.map(({ address, slots }) => ({
        address,
        account: null,
        slots: slots.map(({ slot }) => ({ slot, value: new Uint8Array(0) })),
      }));
      const end = { accounts: cleared, codes: [] };
      await expect(trie.apply(1, end)).rejects.toMatchObject({ code: 'CORRUPT' });
      store.nodes.set(name, good);
      const { writes } = await trie.apply(1, end);
      expect(writes.length).toBe(store.nodes.size);
    }
    const bent = [...store.nodes.entries()].find(([, node]) => node.length > 400)!;
    store.nodes.set(
      bent[0],
      bent[1].map((byte, index) => (index === 100 ? byte ^ 1 : byte)),
    );
    const trie = new StateTrie({ height: 0, root, cacheNodesMax: 1000 }, { nodes: store });
    await expect(
      Promise.all(model.addresses.map((address) => trie.prove(address, []))),
    ).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});
