import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { balanceModel } from '../linearizability/balance_model.ts';
import { check, requireLinearizable } from '../linearizability/check.ts';
import { seededRandom } from '../linearizability/random_history.ts';
import { requireTracesAllowed } from '../spec/check_trace.ts';
import { sleep, type TestCluster, testCluster } from './harness.ts';
import { TransferClients } from './transfer_clients.ts';

const SEED = 20_261_120;
const CLIENTS = 8;
const CALM_MS = 1_500;
/** Longer than an election. */
const PAUSE_MS = 2_500;

describe(`three members, killed and paused, seen by their clients (seed ${SEED})`, () => {
  let cluster: TestCluster;
  let clients: TransferClients;

  beforeAll(async () => {
    cluster = await testCluster('local-3', { started: true, traced: true });
    const random = seededRandom(SEED);
    clients = await TransferClients.prepare(cluster, { clients: CLIENTS, seed: SEED, random });
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test('scenarios 35 and 83: transfers and reads are linearizable while the leader is killed and paused', async () => {
    await clients.during(CLIENTS, async () => {
      await sleep(CALM_MS);
      const killed = await cluster.leader();
      await cluster.processes.kill(killed.id, 'SIGKILL');
      await sleep(CALM_MS);
      cluster.processes.start(killed.id);
      await cluster.processes.waitReady();
      const paused = await cluster.leader();
      await cluster.processes.kill(paused.id, 'SIGSTOP');
      await sleep(PAUSE_MS);
      // It wakes up believing that it leads, and is asked for reads at once.
      await cluster.processes.kill(paused.id, 'SIGCONT');
      await sleep(CALM_MS);
      await cluster.processes.waitReady();
    });
    const { history, initial } = clients;
    const transfers = history.filter(({ input }) => input.kind === 'transfer');
    expect(transfers.length - clients.unknown).toBeGreaterThan(10 * CLIENTS);
    expect(history.length - transfers.length).toBeGreaterThan(10 * CLIENTS);
    requireLinearizable(balanceModel(initial), history);
  });

  test('one stale read among them would have been seen', () => {
    const { history, initial } = clients;
    const victim = history.findLastIndex(({ input }) => input.kind === 'read');
    const changed = history.map((operation, position) => {
      const { result } = operation;
      if (position !== victim || result === undefined || typeof result.output === 'boolean')
        return operation;
      const output = result.output.map((balance) => balance + 1n);
      return { ...operation, result: { ...result, output } };
    });
    const limits = { statesMax: 50_000 };
    expect(check(balanceModel(initial), changed, limits).outcome).not.toBe('linearizable');
  });

  test('what the members wrote down is allowed by the specification of Raft', async () => {
    await cluster.processes.stopAll();
    const { counts, events } = requireTracesAllowed(await cluster.traces());
    expect(events).toBeGreaterThan(1_000);
    expect(counts.get('start')).toBe(4);
    expect(counts.get('receive voteReply')).toBeGreaterThanOrEqual(3);
    expect(counts.get('receive appendReply')).toBeGreaterThan(100);
  });
});
