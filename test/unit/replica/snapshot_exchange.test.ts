import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { SnapshotPosition } from '../../../src/raft/ready.ts';
import { SnapshotExchange } from '../../../src/replica/snapshot_exchange.ts';
import { decodeResponse, encodeRequest, encodeResponse } from '../../../src/snapshot/wire.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import {
  ManualClock,
  quiet,
  silent,
  TestLedger,
  transfer,
  until,
} from '../ledger/chain_fixture.ts';

const chain = { clusterId: 'test', genesisHash: new Uint8Array(32) };

let source: TestLedger;
let clock: ManualClock;
let serving: SnapshotExchange;
let folder: string;
let offered: SnapshotPosition[];
let installs: number;
let asked: number[];
let fenced: boolean;

beforeEach(async () => {
  source = await TestLedger.open();
  source.startTerm(4);
  source.admit(transfer(0n));
  await source.applyNext();
  await source.applyNext();
  clock = new ManualClock();
  folder = await mkdtemp(join(tmpdir(), 'blockraft-exchange-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  offered = [];
  installs = 0;
  asked = [];
  fenced = false;
  serving = exchangeOf({ request: () => Promise.reject(new Error('it asks nobody')) });
});

afterEach(async () => {
  await serving.stop();
  await source.close();
});

function exchangeOf(changes: {
  request?: (to: number, payload: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;
  answer?: 'install' | 'notNeeded';
  voters?: readonly number[];
}): SnapshotExchange {
  return new SnapshotExchange(
    { memberFolder: folder, chain },
    {
      database: source.database,
      fileSystem: nodeFileSystem,
      request:
        changes.request ??
        ((to, payload) => {
          asked.push(to);
          return serving.handle(payload);
        }),
      voters: () => changes.voters ?? [],
      isFenced: () => fenced,
      offer: (position) => {
        offered.push(position);
        return changes.answer ?? 'install';
      },
      onInstall: () => {
        installs += 1;
      },
      onFatal: (error) => {
        throw error;
      },
      clock,
      random: () => 0.5,
      logger: silent,
    },
  );
}

describe('SnapshotExchange', () => {
  it('fetches what the leader says, offers it to the core, and asks to install it', async () => {
    const exchange = exchangeOf({});
    for (let repeated = 0; repeated < 3; repeated += 1) exchange.wanted({ from: 2, index: 2 });
    await until(() => installs === 1, 'the snapshot');
    expect(offered).toMatchObject([{ index: 2, term: 4 }]);
    expect(new Set(asked)).toEqual(new Set([2]));
    await exchange.stop();
    expect(await readdir(join(folder, 'incoming'))).not.toEqual([]);
  });

  it('holds the log for whoever fetches', async () => {
    expect(serving.pinnedIndex).toBeUndefined();
    const exchange = exchangeOf({});
    exchange.wanted({ from: 2, index: 2 });
    await until(() => installs === 1, 'the snapshot');
    expect(serving.pinnedIndex).toBe(2);
    await exchange.stop();
  });

  it('scenario 45: throws away a snapshot that the log has overtaken', async () => {
    const exchange = exchangeOf({ answer: 'notNeeded' });
    exchange.wanted({ from: 2, index: 2 });
    await until(() => offered.length === 1, 'the snapshot');
    await exchange.stop();
    expect(installs).toBe(0);
    expect(await readdir(join(folder, 'incoming'))).toEqual([]);
  });

  it('scenario 44: leaves a fetch alone while the leader repeats its wish, or says less', async () => {
    let asking = 0;
    let aborted = 0;
    const exchange = exchangeOf({
      request: (_to, _payload, signal) => {
        asking += 1;
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted += 1;
            reject(signal.reason);
          });
        });
      },
    });
    for (const index of [2, 2, 1, 2]) {
      exchange.wanted({ from: 2, index });
      await quiet();
    }
    expect([asking, aborted]).toEqual([1, 0]);
    await exchange.stop();
    expect([asking, aborted]).toEqual([1, 1]);
  });

  it('serves nobody after its stop, and holds the log for nobody', async () => {
    const request = encodeRequest({ type: 'open', atLeastIndex: 1 });
    expect(decodeResponse(await serving.handle(request))).toMatchObject({ type: 'opened' });
    await serving.stop();
    expect(serving.pinnedIndex).toBeUndefined();
    expect(decodeResponse(await serving.handle(request))).toMatchObject({ refusal: 'stopping' });
    expect(clock.timers).toBe(0);
  });

  it('scenario 44: gives up the old wish for a newer one, also of another leader', async () => {
    let hung = 0;
    const exchange = exchangeOf({
      request: (to, payload, signal) => {
        if (to === 3) return serving.handle(payload);
        hung += 1;
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
      },
    });
    exchange.wanted({ from: 2, index: 1 });
    await until(() => hung === 1, 'the first question');
    exchange.wanted({ from: 3, index: 2 });
    await until(() => installs === 1, 'the snapshot');
    expect(offered).toMatchObject([{ index: 2 }]);
    await exchange.stop();
  });

  it('rests after a failure, and tries again when the leader repeats its wish', async () => {
    let fails = true;
    const exchange = exchangeOf({
      request: async (to, payload) => {
        asked.push(to);
        // The source has not applied so much yet.
        return fails ? refusal : serving.handle(payload);
      },
    });
    const refusal = await refusalOf(serving);
    exchange.wanted({ from: 2, index: 2 });
    await until(() => asked.length === 1, 'the question');
    await quiet();
    fails = false;
    exchange.wanted({ from: 2, index: 2 });
    await quiet();
    expect(asked).toHaveLength(1);
    clock.advance(1_000);
    exchange.wanted({ from: 2, index: 2 });
    await until(() => installs === 1, 'the snapshot');
    await exchange.stop();
  });

  it('scenario 53: asks another voter when the leader cannot read its state, and the leader again when nobody can', async () => {
    const whole = new Set<number>();
    const damaged = encodeResponse({ type: 'refused', refusal: 'damaged' });
    const exchange = exchangeOf({
      voters: [2, 3, 4],
      request: async (to, payload) => {
        asked.push(to);
        return whole.has(to) ? serving.handle(payload) : damaged;
      },
    });
    const attempt = async (): Promise<void> => {
      const before = asked.length;
      clock.advance(1_000);
      exchange.wanted({ from: 2, index: 2 });
      await until(() => asked.length > before, 'the question');
      await quiet();
    };
    for (let attempts = 0; attempts < 4; attempts += 1) await attempt();
    expect(asked).toEqual([2, 3, 4, 2]);
    whole.add(3);
    await attempt();
    await until(() => installs === 1, 'the snapshot');
    expect(new Set(asked.slice(4))).toEqual(new Set([3]));
    await exchange.stop();
  });

  it('stays with a leader that could not be reached for a moment: what it sent is of use', async () => {
    const exchange = exchangeOf({
      voters: [2, 3],
      request: (to, payload) => {
        asked.push(to);
        return asked.length <= 6 ? Promise.reject(new Error('lost')) : serving.handle(payload);
      },
    });
    exchange.wanted({ from: 2, index: 2 });
    for (let attempts = 0; attempts < 6; attempts += 1) {
      await until(() => asked.length > attempts, 'the question');
      await quiet();
      clock.advance(2_000);
    }
    await quiet();
    clock.advance(1_000);
    exchange.wanted({ from: 2, index: 2 });
    await until(() => installs === 1, 'the snapshot');
    expect(new Set(asked)).toEqual(new Set([2]));
    await exchange.stop();
  });

  it('gives its state to nobody once it is fenced, not even the rest of a snapshot', async () => {
    const ask = async (payload: Uint8Array) => decodeResponse(await serving.handle(payload));
    const open = encodeRequest({ type: 'open', atLeastIndex: 1 });
    const opened = await ask(open);
    if (opened.type !== 'opened') throw new Error('it is open');
    fenced = true;
    const { snapshotId, start } = opened;
    const chunk = encodeRequest({ type: 'chunk', snapshotId, number: 0, start });
    for (const request of [open, chunk])
      expect(await ask(request)).toEqual({ type: 'refused', refusal: 'damaged' });
    fenced = false;
    expect(await ask(chunk)).toMatchObject({ type: 'chunk' });
  });
});

/** What a source answers that is asked for more than it has. */
function refusalOf(exchange: SnapshotExchange): Promise<Uint8Array> {
  return exchange.handle(encodeRequest({ type: 'open', atLeastIndex: 1_000 }));
}
