import { afterEach, describe, expect, it } from 'vitest';
import { StateTrie } from '../../../src/trie/state_trie.ts';
import { TrieThread } from '../../../src/trie/trie_thread.ts';
import { SeededRandom } from '../crypto/random.ts';
import { MemoryNodeStore } from './memory_store.ts';
import { applyAndStore, FRESH, ModelState } from './state_fixture.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const running: TrieThread[] = [];

async function startThread(
  store: Pick<MemoryNodeStore, 'getMany'>,
  options = FRESH,
): Promise<TrieThread> {
  const thread = new TrieThread(options, { nodes: store, logger: silent });
  running.push(thread);
  await thread.start();
  return thread;
}

afterEach(async () => {
  for (const thread of running.splice(0)) await thread.stop();
});

describe('TrieThread', () => {
  it('gives the bytes of the trie in place, restarts included (seed 1)', async () => {
    const random = new SeededRandom(1);
    const model = new ModelState(random, { addresses: 80, slots: 10 });
    const stores = [new MemoryNodeStore(), new MemoryNodeStore()] as const;
    const inPlace = new StateTrie(FRESH, { nodes: stores[0] });
    let thread = await startThread(stores[1]);
    for (let height = 0; height < 12; height += 1) {
      const delta = model.change(30);
      const expected = await applyAndStore(inPlace, stores[0], height, delta);
      expect(await applyAndStore(thread, stores[1], height, delta)).toEqual(expected);
      expect(stores[1].nodes).toEqual(stores[0].nodes);
      const address = model.addresses[height]!;
      expect(await thread.prove(address, model.slots)).toEqual(
        await inPlace.prove(address, model.slots),
      );
      if (height === 6)
        thread = await startThread(stores[1], { height, root: expected.root, cacheNodesMax: 50 });
    }
  });

  it('answers heights in order when they are given at once, the store being behind', async () => {
    const model = new ModelState(new SeededRandom(2), { addresses: 50, slots: 5 });
    const thread = await startThread(new MemoryNodeStore(), { ...FRESH, cacheNodesMax: 0 });
    const order: number[] = [];
    const calls = Array.from({ length: 6 }, (_, height) =>
      thread.apply(height, model.change(20)).then((applied) => {
        order.push(applied.height);
        return applied;
      }),
    );
    const results = await Promise.all(calls);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    expect(results.at(-1)!.root).toEqual(await model.peerRoot());
  });

  it('carries errors across: corruption by its code, others by their text', async () => {
    const model = new ModelState(new SeededRandom(3), { addresses: 50, slots: 5 });
    const store = new MemoryNodeStore();
    const { root } = await applyAndStore(await startThread(store), store, 0, model.change(50));
    const options = { height: 0, root, cacheNodesMax: 100 };
    const empty = await startThread(new MemoryNodeStore(), options);
    await expect(empty.apply(1, model.change(5))).rejects.toMatchObject({
      code: 'CORRUPT',
      name: 'TrieError',
      fields: { node: 'account trie at path []' },
    });
    const broken = await startThread(
      { getMany: () => Promise.reject(new Error('the disk is gone')) },
      options,
    );
    await expect(broken.prove(model.addresses[0]!, [])).rejects.toThrow('the disk is gone');
    await expect(broken.apply(7, model.change(5))).rejects.toThrow('height 7 does not follow 0');
  });

  it('rejects open and later calls when it stops', async () => {
    const model = new ModelState(new SeededRandom(4), { addresses: 50, slots: 5 });
    const thread = await startThread(new MemoryNodeStore());
    const open = expect(thread.apply(0, model.change(50))).rejects.toMatchObject({
      code: 'STOPPED',
    });
    await thread.stop();
    await open;
    await expect(thread.apply(1, model.change(5))).rejects.toMatchObject({ code: 'STOPPED' });
    await expect(thread.prove(model.addresses[0]!, [])).rejects.toMatchObject({ code: 'STOPPED' });
  });
});
