import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status as grpcStatus } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load_config.ts';
import { settle } from '../../src/lab/audit.ts';
import type { MemberView } from '../../src/lab/cluster_watch.ts';
import { stateRootKey, TRIE_HEIGHT_KEY } from '../../src/ledger/keys.ts';
import { decodeHeight } from '../../src/ledger/records.ts';
import { systemClock } from '../../src/lib/environment.ts';
import { Database } from '../../src/storage/database.ts';
import { WriteBatch } from '../../src/storage/write_batch.ts';
import { AuditedLoad } from './audited_load.ts';
import { type TestCluster, testCluster } from './harness.ts';
import { adminCall } from './operator.ts';
import { rawCall, refusalOf } from './raw_call.ts';

const SEED = 20_260_303;
const TRANSACTIONS = 600;
const LOADS = 5;

// One member of the cluster is made wrong and stays so; the tests follow each other.
describe(`a member whose state is not that of the others (seed ${SEED})`, () => {
  let cluster: TestCluster;
  let config: Config;
  let load: AuditedLoad;
  /** The member that is made wrong, and the two others. */
  let wrong: number;
  let sound: readonly number[];

  beforeAll(async () => {
    cluster = await testCluster('local-3');
    config = await loadConfig({ file: cluster.configFile, environment: {} });
    load = await AuditedLoad.prepare(cluster, { transactions: TRANSACTIONS * LOADS, seed: SEED });
    const leader = await cluster.leader();
    const ids = cluster.processes.members.map(({ id }) => id);
    wrong = ids.find((id) => id !== leader.id) as number;
    sound = ids.filter((id) => id !== wrong);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  const statusOf = (members: readonly MemberView[], id: number) =>
    members.find((member) => member.id === id)?.status;

  async function untilFenced(): Promise<void> {
    await cluster.watch.until('the wrong member is fenced', (members) => {
      const status = statusOf(members, wrong);
      return status !== undefined && status.fencedReason !== '' && status.leaderId !== 0;
    });
  }

  async function expectFenced(): Promise<void> {
    const status = await cluster.processes.status(wrong);
    expect(status).toMatchObject({ ready: false, role: 'MEMBER_ROLE_FOLLOWER' });
    expect(status?.fencedReason).toMatch(/has the state root 0x5a5a.* where .* 0x/);
    expect(await health(cluster, wrong)).toBe('NOT_SERVING');
  }

  test('it fences itself: alive, but of no use to anyone who asks', async () => {
    await load.during(TRANSACTIONS, async () => undefined);
    const clients = cluster.processes.members.map(({ id }) => cluster.clientOf(id));
    expect((await settle(clients, systemClock)).check.holds).toBe(true);
    expect(await health(cluster, wrong)).toBe('SERVING');
    await cluster.processes.kill(wrong, 'SIGTERM');
    await changeStateRoot(join(cluster.folder, 'cluster', 'data', `member-${wrong}`));
    cluster.processes.start(wrong);
    await untilFenced();
    await expectFenced();
    const account = new Uint8Array(20);
    const slot = new Uint8Array(32);
    const consistency = 'CONSISTENCY_LOCAL';
    for (const [method, request] of [
      ['GetAccount', { address: account }],
      ['GetAccount', { address: account, consistency }],
      ['GetStorage', { address: account, slot, consistency }],
      ['GetBlock', { height: 1, consistency }],
      ['GetProof', { address: account }],
      ['Call', { message: { to: account }, consistency }],
      ['SubscribeBlocks', { fromHeight: 1 }],
      ['SubscribeLogs', { fromHeight: 1 }],
    ] as const) {
      const address = addressOf(cluster, wrong);
      const refusal = await refusalOf({ address, service: 'Node', method, request });
      expect([method, refusal]).toEqual([
        method,
        { code: grpcStatus.UNAVAILABLE, reason: 'FENCED' },
      ]);
    }
  });

  test('it keeps the log: with one other member it is a majority', async () => {
    const leader = await cluster.leader();
    const stopped = sound.filter((id) => id !== leader.id);
    for (const id of stopped) await cluster.processes.kill(id, 'SIGTERM');
    await load.during(TRANSACTIONS, async () => undefined);
    for (const id of stopped) cluster.processes.start(id);
    await cluster.processes.waitReady(stopped);
  });

  test('it does not take the lead when it is offered', async () => {
    const request = { target: wrong };
    const { id: memberId } = await cluster.leader();
    const transfer = { memberId, method: 'TransferLeadership', request };
    expect(await refusalOf(adminCall(config, transfer))).toEqual({
      code: grpcStatus.ABORTED,
      reason: 'TRANSFER_FAILED',
    });
    await load.during(TRANSACTIONS, async () => undefined);
  });

  test('it does not lead when the leader is killed, but votes', async () => {
    const { id: leader } = await cluster.leader();
    await load.during(TRANSACTIONS, () => cluster.processes.kill(leader, 'SIGKILL'));
    expect([(await cluster.leader()).id]).toEqual(sound.filter((id) => id !== leader));
    await expectFenced();
    cluster.processes.start(leader);
    await cluster.processes.waitReady([leader]);
  });

  test('it stays fenced after a restart, and all others agree', async () => {
    await cluster.processes.kill(wrong, 'SIGTERM');
    cluster.processes.start(wrong);
    await untilFenced();
    await expectFenced();
    await load.during(TRANSACTIONS, async () => undefined);
    await load.expectSound(sound.map((id) => cluster.clientOf(id)));
    const log = await readFile(cluster.processes.logFile(wrong), 'utf8');
    const sinceFenced = log.slice(log.indexOf('this member fences itself'));
    expect(sinceFenced).toContain('"role":"follower"');
    expect(sinceFenced).not.toMatch(/"role":"(leader|candidate|preCandidate)"/);
  });
});

/** Exchanges the root of the last height but one in the database of a member that does not run. */
async function changeStateRoot(dataFolder: string): Promise<void> {
  const database = await Database.open({ directory: join(dataFolder, 'generation-1', 'state') });
  const newest = await database.get(TRIE_HEIGHT_KEY);
  const batch = new WriteBatch();
  batch.put(
    stateRootKey(decodeHeight(newest ?? new Uint8Array(0)) - 1),
    new Uint8Array(32).fill(0x5a),
  );
  await database.write(batch);
  await database.flush();
  await database.close();
}

function addressOf(cluster: TestCluster, id: number): string {
  return cluster.processes.members.find((member) => member.id === id)?.address ?? '';
}

async function health(cluster: TestCluster, id: number): Promise<unknown> {
  const address = addressOf(cluster, id);
  return (await rawCall({ address, service: 'Health', method: 'Check' })).status;
}
