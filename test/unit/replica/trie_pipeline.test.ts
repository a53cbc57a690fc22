import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Chain } from '../../../src/ledger/chain.ts';
import { outcomeKey, trieNodeKey } from '../../../src/ledger/keys.ts';
import { genesisState, openLedger } from '../../../src/ledger/open_ledger.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import { TriePipeline } from '../../../src/replica/trie_pipeline.ts';
import { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import { StateTrie } from '../../../src/trie/state_trie.ts';
import { encodeOutcome, type Outcome } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { founders, genesis } from '../ledger/chain_fixture.ts';

const HEIGHTS = 12;

/** An outcome that changes a few accounts, other ones at each height. */
function outcomeOf(height: number): Outcome {
  return {
    height,
    blockId: new Uint8Array(32).fill(height),
    delta: {
      accounts: [1, 2, 3].map((step) => ({
        address: new Uint8Array(20).fill(0x10 * step + height),
        account: { nonce: 1n, balance: BigInt(height * step), codeHash: EMPTY_CODE_HASH },
        slots: [],
      })),
      codes: [],
    },
    receipts: [],
    gasUsed: 0n,
    receiptsRoot: new Uint8Array(32),
    logsBloom: new Uint8Array(256),
  };
}

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blockraft-trie-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

/** One life of a member's hashing: from what the database says up to `until`, then gone. */
async function live(directory: string, until: number) {
  const database = await Database.open({ directory });
  const opened = await openLedger(
    {
      genesis,
      state: await genesisState(genesis),
      limits: { transactionsMax: 1, transactionsPerSenderMax: 1, nonceGapMax: 1 },
      configuration: founders,
      newFolderId: () => new Uint8Array(16),
    },
    database,
  );
  const batch = new WriteBatch();
  for (let height = 1; height <= HEIGHTS; height += 1)
    batch.put(outcomeKey(height), encodeOutcome(outcomeOf(height)));
  await database.write(batch);
  const trie = new StateTrie(
    { height: opened.trieHeight, root: opened.trieRoot, cacheNodesMax: 0 },
    { nodes: { getMany: (keys) => database.getMany(keys.map(trieNodeKey)) } },
  );
  const stored: number[] = [];
  const roots = new Map<number, string>();
  const reached = Promise.withResolvers<void>();
  const pipeline: TriePipeline = new TriePipeline(
    { hashed: opened.trieHeight, executed: Math.max(opened.trieHeight, until) },
    {
      trie: {
        apply: (height, delta) => trie.apply(height, delta),
        stored: (height) => {
          stored.push(height);
          trie.stored(height);
        },
      },
      database,
      chain: new Chain(database),
      onRoot: (height, root) => {
        roots.set(height, toHex(root));
        if (height === until) reached.resolve();
      },
      onFatal: reached.reject,
    },
  );
  pipeline.start();
  if (opened.trieHeight < until) await reached.promise;
  await pipeline.stop();
  const root = await new Chain(database).stateRoot(until);
  await database.close();
  return { from: opened.trieHeight, stored, roots, root: root && toHex(root) };
}

it('continues after a restart from its own mark with the stored outcomes, to the same roots', async () => {
  const whole = await live(await temporaryDirectory(), HEIGHTS);
  const directory = await temporaryDirectory();
  const first = await live(directory, 5);
  const second = await live(directory, HEIGHTS);
  expect(second.from).toBe(5);
  expect(new Map([...first.roots, ...second.roots])).toEqual(whole.roots);
  expect(second.root).toBe(whole.root);
});

it('tells the trie of each height once its nodes are stored, in order', async () => {
  const { stored } = await live(await temporaryDirectory(), HEIGHTS);
  expect(stored).toEqual(Array.from({ length: HEIGHTS }, (_unused, index) => index + 1));
});
