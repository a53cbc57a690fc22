import { expect, onTestFinished, test } from 'vitest';
import { MemberConnection } from '../../src/lab/node_service.ts';
import { sleep, testCluster } from './harness.ts';

/** Longer than any election. */
const PAUSE_MS = 2_000;
const ANSWER_MS_MAX = 20_000;

test('a leader that was paused is not ready before it knows who leads now', async () => {
  const cluster = await testCluster('local-3');
  onTestFinished(() => cluster.stop());
  const before = await cluster.leader();
  const endpoint = cluster.processes.members.find(({ id }) => id === before.id);
  const connection = new MemberConnection(endpoint?.address ?? '', cluster.credentials);
  onTestFinished(() => connection.close());
  const ask = () => connection.call('GetStatus', {}, ANSWER_MS_MAX);
  const { term } = await ask();
  await cluster.processes.kill(before.id, 'SIGSTOP');
  // Asked while it sleeps, it answers first of all when it wakes, before it has heard of the new term.
  const answers = Array.from({ length: 20 }, ask);
  await sleep(PAUSE_MS);
  await cluster.processes.kill(before.id, 'SIGCONT');
  for (const status of await Promise.all(answers))
    expect(status.ready && status.term === term, `ready in term ${status.term}`).toBe(false);
  for (let status = await ask(); !status.ready || status.term === term; status = await ask())
    expect(status.ready, `ready in term ${status.term}`).toBe(false);
});
