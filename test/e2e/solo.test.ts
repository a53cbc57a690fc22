import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditedLoad } from './audited_load.ts';
import { sleep, type TestCluster, testCluster } from './harness.ts';

const SEED = 20_260_306;
const KILLS = 3;
const TRANSACTIONS_PER_KILL = 800;
const POLL_INTERVAL_MS = 5;

// Nobody else has a copy: what it acknowledged must come back from its own disk.
describe(`a cluster of one member that is killed again and again (seed ${SEED})`, () => {
  let cluster: TestCluster;
  let load: AuditedLoad;

  beforeAll(async () => {
    cluster = await testCluster('solo');
    const transactions = TRANSACTIONS_PER_KILL * (KILLS + 1);
    load = await AuditedLoad.prepare(cluster, { transactions, seed: SEED });
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  const height = async (): Promise<number> => Number((await cluster.client.status()).height);

  test.each(Array.from({ length: KILLS }, (_, index) => index + 1))(
    'kill %i: it goes on where it was',
    async () => {
      let before = 0;
      await load.during(TRANSACTIONS_PER_KILL, async () => {
        before = await height();
        await cluster.processes.kill(1, 'SIGKILL');
        cluster.processes.start(1);
      });
      await cluster.processes.waitReady();
      expect(await height()).toBeGreaterThanOrEqual(before);
    },
  );

  test('killed in the midst of its recovery, it recovers the next time', async () => {
    await load.during(TRANSACTIONS_PER_KILL, async () => {
      for (const until of [untilLogOpened, untilAnswering]) {
        await cluster.processes.kill(1, 'SIGKILL');
        cluster.processes.start(1);
        await until();
      }
      await cluster.processes.kill(1, 'SIGKILL');
      cluster.processes.start(1);
    });
    await cluster.processes.waitReady();
  });

  test('nothing that was acknowledged is lost, and the chain holds', async () => {
    await load.expectSound([cluster.clientOf(1)]);
  });

  /** The member has begun to read its log, and serves nothing yet. */
  async function untilLogOpened(): Promise<void> {
    const pid = `"pid":${cluster.processes.pidOf(1)},`;
    while (!cluster.processes.logTail(1).includes(pid)) await sleep(POLL_INTERVAL_MS);
  }

  async function untilAnswering(): Promise<void> {
    while ((await cluster.processes.status(1)) === undefined) await sleep(POLL_INTERVAL_MS);
  }
});
