import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AuditedLoad } from './audited_load.ts';
import { ChangingCluster } from './changing_cluster.ts';
import { type TestCluster, testCluster } from './harness.ts';
import { runCli } from './run_cli.ts';

const SEED = 20_260_403;

async function changing(
  template: string,
): Promise<{ cluster: TestCluster; members: ChangingCluster }> {
  const cluster = await testCluster(template);
  const members = new ChangingCluster(cluster);
  onTestFinished(async () => {
    await members.stop();
    await cluster.stop();
  });
  return { cluster, members };
}

describe(`members come and go while clients submit (seed ${SEED})`, () => {
  test('a lost machine is replaced under load: nothing is lost, nobody else restarts, the old one stays out', async () => {
    const { cluster, members } = await changing('local-3');
    const load = await AuditedLoad.prepare(cluster, { transactions: 3_000, seed: SEED });
    const leader = await cluster.leader();
    const [lost, other] = [1, 2, 3].filter((id) => id !== leader.id) as [number, number];
    const oldFile = join(cluster.folder, 'cluster', 'old.yaml');
    await copyFile(cluster.configFile, oldFile);
    const pids = [leader.id, other].map((id) => cluster.processes.pidOf(id));
    await load.during(2_000, async () => {
      await cluster.processes.kill(lost, 'SIGKILL');
      await members.join(4, 'replace', String(lost), '4');
    });
    expect(await members.voters()).toEqual([leader.id, other, 4].sort());
    expect([leader.id, other].map((id) => cluster.processes.pidOf(id))).toEqual(pids);
    await load.during(1_000, async () => undefined);
    await load.expectSound([leader.id, other, 4].map((id) => members.clientOf(id)));
    // The old one returns with its old file, hears that the cluster went on without it, and ends well, for good.
    const command = ['member', '--config', oldFile, '--id', String(lost)];
    expect(await runCli(command)).toMatchObject({ code: 0 });
    const again = await runCli(command);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/never takes part again.*under a new id/);
  });

  test('scenarios 58 and 64: a cluster grows from 1 to 3 to 5 and shrinks to 1 again', async () => {
    const { cluster, members } = await changing('solo');
    const load = await AuditedLoad.prepare(cluster, { transactions: 3_000, seed: SEED + 1 });
    for (const ids of [
      [2, 3],
      [4, 5],
    ])
      await load.during(500, async () => {
        for (const id of ids) await members.join(id, 'add', String(id));
      });
    expect(await members.voters()).toEqual([1, 2, 3, 4, 5]);
    await load.expectSound([1, 2, 3, 4, 5].map((id) => members.clientOf(id)));
    for (const removed of [5, 1, 2, 3]) {
      await members.succeed('remove', String(removed));
      await members.ended(removed);
      expect(members.log(removed)).toContain('"msg":"this member was removed from the cluster"');
    }
    expect(await members.voters()).toEqual([4]);
    await members.processesOf(4).waitReady([4]);
    await load.expectSound([members.clientOf(4)]);
  });

  test('scenario 63: a wiped member is refused under its old id and comes back under a new one', async () => {
    const { cluster, members } = await changing('local-3');
    const load = await AuditedLoad.prepare(cluster, { transactions: 500, seed: SEED + 2 });
    const leader = await cluster.leader();
    const [wiped, other] = [1, 2, 3].filter((id) => id !== leader.id) as [number, number];
    await cluster.processes.kill(wiped, 'SIGKILL');
    await rm(join(cluster.folder, 'cluster', 'data', `member-${wiped}`), { recursive: true });
    cluster.processes.start(wiped);
    await members.ended(wiped);
    expect(cluster.processes.logTail(wiped)).toMatch(/blockraft members replace/);
    await load.during(500, () => members.join(4, 'replace', String(wiped), '4'));
    expect(await members.voters()).toEqual([leader.id, other, 4].sort());
    await load.expectSound([leader.id, other, 4].map((id) => members.clientOf(id)));
  });
});
