import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { audit } from '../../src/lab/audit.ts';
import { Load } from '../../src/lab/load.ts';
import { generateWorkload } from '../../src/lab/workload_generator.ts';
import { type PreparedWorkload, prepareWorkload } from '../../src/lab/workload_setup.ts';
import { systemClock } from '../../src/lib/environment.ts';
import { sleep, type TestCluster, testCluster } from './harness.ts';

const SEED = 20_260_301;
const TRANSACTIONS_PER_TEST = 1_500;
const LOADS = 5;

// One cluster lives through all of this; what it acknowledged on the way is audited at the end.
describe(`three members, one of which fails under load (seed ${SEED})`, () => {
  let cluster: TestCluster;
  let prepared: PreparedWorkload;
  const acknowledged: string[] = [];
  let nextSlice = 0;

  beforeAll(async () => {
    cluster = await testCluster('local-3');
    const workload = generateWorkload({
      family: 'wallet',
      transactions: TRANSACTIONS_PER_TEST * LOADS,
      conflictPercent: 20,
      seed: SEED,
      orderSensitive: true,
    });
    const { addresses, credentials, funder } = cluster;
    prepared = await prepareWorkload(
      { addresses, credentials, workload, funder, seed: String(SEED) },
      { clock: systemClock, signal: new AbortController().signal },
    );
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  /** Submits the next transactions to all members and does something to them once a third is acknowledged. */
  async function underLoad(act: () => Promise<void>): Promise<void> {
    const start = nextSlice * TRANSACTIONS_PER_TEST;
    nextSlice += 1;
    const load = new Load(
      prepared.transactions.slice(start, start + TRANSACTIONS_PER_TEST),
      {
        addresses: cluster.addresses,
        credentials: cluster.credentials,
        wait: 'WAIT_LEVEL_ADMITTED',
      },
      systemClock,
    );
    const acting = async (): Promise<void> => {
      while (load.acknowledgedCount < TRANSACTIONS_PER_TEST / 3) await sleep(5);
      await act();
    };
    await Promise.all([load.run(), acting()]);
    expect(load.refused).toEqual([]);
    expect(load.acknowledgedCount).toBe(TRANSACTIONS_PER_TEST);
    acknowledged.push(...load.acknowledgedHashes);
  }

  test('the leader is killed: another takes over, and the dead one catches up', async () => {
    const before = await cluster.leader();
    await underLoad(() => cluster.processes.kill(before.id, 'SIGKILL'));
    const after = await cluster.leader();
    expect(after.id).not.toBe(before.id);
    expect(Number(after.status?.term)).toBeGreaterThan(Number(before.status?.term));
    cluster.processes.start(before.id);
    await cluster.processes.waitReady();
  });

  test('a follower is killed: nobody notices, and it catches up', async () => {
    const leader = await cluster.leader();
    const victim = cluster.processes.members.find(({ id }) => id !== leader.id)!;
    await underLoad(() => cluster.processes.kill(victim.id, 'SIGKILL'));
    const after = await cluster.leader();
    expect([after.id, after.status?.term]).toEqual([leader.id, leader.status?.term]);
    cluster.processes.start(victim.id);
    await cluster.processes.waitReady();
  });

  test('the leader is paused for longer than the election timeout: it follows when it wakes', async () => {
    const before = await cluster.leader();
    await underLoad(async () => {
      await cluster.processes.kill(before.id, 'SIGSTOP');
      await sleep(2_000);
    });
    const during = await cluster.leader();
    expect(during.id).not.toBe(before.id);
    await cluster.processes.kill(before.id, 'SIGCONT');
    // It wakes up believing that it leads, until it hears of the new term.
    await cluster.watch.until('the old leader follows', (members) => {
      const woken = members.find(({ id }) => id === before.id)?.status;
      return woken?.role === 'MEMBER_ROLE_FOLLOWER' && woken.ready;
    });
    const status = await cluster.processes.status(before.id);
    expect(Number(status?.term)).toBeGreaterThan(Number(before.status?.term));
  });

  test('all members are killed at once and started again: nothing is forgotten', async () => {
    const leader = await cluster.leader();
    const height = Number(leader.status?.height);
    await Promise.all(
      cluster.processes.members.map(({ id }) => cluster.processes.kill(id, 'SIGKILL')),
    );
    cluster.processes.startAll();
    await cluster.processes.waitReady();
    for (const { id } of cluster.processes.members)
      expect(Number((await cluster.processes.status(id))?.height)).toBeGreaterThanOrEqual(height);
    await underLoad(async () => undefined);
  });

  test('all members stop in order and start again', async () => {
    await cluster.processes.stopAll();
    cluster.processes.startAll();
    await cluster.processes.waitReady();
    await underLoad(async () => undefined);
  });

  test('the audit from outside holds for all of it', async () => {
    const { genesis, processes } = cluster;
    const { workload, signers, contract, submitted } = prepared;
    const clients = processes.members.map(({ id }) => cluster.clientOf(id));
    const report = await audit(
      { clients, genesis, workload, signers, contract, submitted, acknowledged },
      systemClock,
    );
    expect(report.checks.filter(({ holds }) => !holds)).toEqual([]);
    expect(report).toMatchObject({
      holds: true,
      committed: TRANSACTIONS_PER_TEST * LOADS,
      lost: 0,
      duplicated: 0,
      rootsEqual: true,
    });
  });

  test('a member whose data was wiped is refused under its old id, the others go on', async () => {
    const leader = await cluster.leader();
    const victim = cluster.processes.members.find(({ id }) => id !== leader.id)!;
    await cluster.processes.kill(victim.id, 'SIGKILL');
    await rm(join(cluster.folder, 'cluster', 'data', `member-${victim.id}`), { recursive: true });
    cluster.processes.start(victim.id);
    const error = await cluster.processes.waitReady([victim.id]).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'EXITED' });
    expect(cluster.processes.logTail(victim.id)).toMatch(/wiped|lost|empty|new id/i);
    expect(Number((await cluster.client.status()).height)).toBeGreaterThan(0);
  });
});
