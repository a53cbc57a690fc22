import { expect, onTestFinished, test } from 'vitest';
import { AuditedLoad } from './audited_load.ts';
import { ChangingCluster } from './changing_cluster.ts';
import { testCluster } from './harness.ts';

const SEED = 20_260_405;

test(`a cluster comes back from one survivor after a majority is lost for good (seed ${SEED})`, async () => {
  const cluster = await testCluster('local-3');
  const members = new ChangingCluster(cluster);
  onTestFinished(async () => {
    await members.stop();
    await cluster.stop();
  });
  const load = await AuditedLoad.prepare(cluster, { transactions: 2_000, seed: SEED });
  await load.during(1_000, async () => undefined);
  // A leader has all that it acknowledged; another survivor could lack what the two lost ones alone had.
  const { id: survivor } = await cluster.leader();
  const lost = [1, 2, 3].filter((id) => id !== survivor);
  const recover = (...args: string[]) =>
    members.run('recover', '--id', String(survivor), ...args, '--force');
  // A member that runs is not recovered: its own process holds the folder.
  const running = await recover('--lost', lost.join(','));
  expect(running.code).not.toBe(0);
  for (const id of lost) await cluster.processes.kill(id, 'SIGKILL');
  await cluster.processes.kill(survivor, 'SIGKILL');
  const half = await recover('--lost', String(lost[0]));
  expect(half.code).not.toBe(0);
  expect(half.stderr).toContain(`${lost[1]} may still vote`);
  const done = await recover('--lost', lost.join(','), '--json');
  expect(done).toMatchObject({ code: 0 });
  expect(JSON.parse(done.stdout)).toMatchObject({ id: survivor, lost, recoveries: 1 });
  const again = await recover('--lost', lost.join(','));
  expect(again.stderr).toMatch(/only voter already/);
  cluster.processes.start(survivor);
  await cluster.processes.waitReady([survivor]);
  await load.during(500, async () => undefined);
  // What is signed from now on cannot be taken for a signature of the lost ones.
  const client = members.clientOf(survivor);
  expect((await client.block(1))?.commit?.round).toBe(0);
  expect((await client.block('latest'))?.commit?.round).toBe(1);
  for (const id of [4, 5]) await members.join(id, 'add', String(id));
  expect(await members.voters()).toEqual([survivor, 4, 5]);
  await load.during(500, async () => undefined);
  await load.expectSound([survivor, 4, 5].map((id) => members.clientOf(id)));
});
