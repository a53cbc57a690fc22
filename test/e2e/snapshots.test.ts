import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ClientError } from '../../src/lab/client_error.ts';
import { MemberConnection } from '../../src/lab/node_service.ts';
import { AuditedLoad } from './audited_load.ts';
import { ChangingCluster } from './changing_cluster.ts';
import { type TestCluster, testCluster } from './harness.ts';

const SEED = 20_260_404;
/** So short that a member which is away for a moment needs a snapshot. */
const SHORT_LOG =
  'wal:\n  segmentBytes: 65536\n  compactBytes: 131072\n  compactEntries: 40\n  tailEntries: 5\n';

async function withShortLogs(): Promise<{ cluster: TestCluster; members: ChangingCluster }> {
  const cluster = await testCluster('local-3', { started: false });
  const members = new ChangingCluster(cluster);
  onTestFinished(async () => {
    await members.stop();
    await cluster.stop();
  });
  await writeFile(cluster.configFile, `${await readFile(cluster.configFile, 'utf8')}${SHORT_LOG}`);
  cluster.processes.startAll();
  await cluster.processes.waitReady();
  return { cluster, members };
}

describe(`members whose logs are compacted (seed ${SEED})`, () => {
  test('scenarios 27 and 47: a follower that was away takes a snapshot, also when it is killed at each step', async () => {
    const { cluster, members } = await withShortLogs();
    const load = await AuditedLoad.prepare(cluster, { transactions: 6_000, seed: SEED });
    const leader = await cluster.leader();
    const away = [1, 2, 3].find((id) => id !== leader.id) as number;
    await cluster.processes.kill(away, 'SIGKILL');
    await load.during(1_500, async () => undefined);
    for (const [step, killAt] of [
      'fetching a snapshot',
      'snapshot fetched',
      'snapshot installed',
    ].entries()) {
      const before = members.count(away, killAt);
      cluster.processes.start(away);
      await load.during(500, () => members.logged(away, killAt, before + 1));
      await cluster.processes.kill(away, 'SIGKILL');
      if (step < 2) continue;
      // It has it now; the next time it needs another one.
      await load.during(1_500, async () => undefined);
    }
    cluster.processes.start(away);
    await cluster.processes.waitReady([away]);
    await load.during(500, async () => undefined);
    expect(members.log(away)).toContain('"msg":"snapshot installed"');
    await load.expectSound([1, 2, 3].map((id) => members.clientOf(id)));
  });

  test('a member that installs a snapshot keeps its ports and asks clients to go elsewhere', async () => {
    const { cluster, members } = await withShortLogs();
    const load = await AuditedLoad.prepare(cluster, { transactions: 1_500, seed: SEED + 2 });
    const leader = await cluster.leader();
    const away = [1, 2, 3].find((id) => id !== leader.id) as number;
    await cluster.processes.kill(away, 'SIGKILL');
    await load.during(1_500, async () => undefined);
    const address = cluster.processes.members.find(({ id }) => id === away)?.address ?? '';
    const connection = new MemberConnection(address, cluster.credentials);
    onTestFinished(() => connection.close());
    cluster.processes.start(away);
    const refusals = new Set<string>();
    let hasAnswered = false;
    while ((await cluster.processes.status(away))?.ready !== true) {
      try {
        await connection.call('GetBlock', { consistency: 'CONSISTENCY_LOCAL' }, 5_000);
        hasAnswered = true;
      } catch (thrown) {
        if (hasAnswered) refusals.add((thrown as ClientError).reason);
      }
    }
    expect(members.log(away)).toContain('"msg":"snapshot installed"');
    // From its first answer on the port was never closed: whatever was refused was refused by the member.
    expect([...refusals].filter((reason) => reason !== 'NOT_READY')).toEqual([]);
    await load.expectSound([1, 2, 3].map((id) => members.clientOf(id)));
  });

  test('scenario 28: a member joins a cluster whose log does not begin at its beginning', async () => {
    const { cluster, members } = await withShortLogs();
    const load = await AuditedLoad.prepare(cluster, { transactions: 2_000, seed: SEED + 1 });
    await load.during(1_000, async () => undefined);
    await load.during(500, () => members.join(4, 'add', '4'));
    expect(await members.voters()).toEqual([1, 2, 3, 4]);
    expect(members.log(4)).toContain('"msg":"snapshot installed"');
    // It has all of the state: without another member it answers alike.
    await load.during(500, async () => undefined);
    await load.expectSound([1, 2, 3, 4].map((id) => members.clientOf(id)));
  });
});
