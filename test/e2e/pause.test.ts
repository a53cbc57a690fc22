import { expect, onTestFinished, test } from 'vitest';
import { askStatus } from '../../src/lab/processes.ts';
import { sleep, testCluster } from './harness.ts';

/** Longer than any election. */
const PAUSE_MS = 2_000;
const ANSWER_MS_MAX = 20_000;

test('a leader that was paused is not ready before it knows who leads now', async () => {
  const cluster = await testCluster('local-3');
  onTestFinished(() => cluster.stop());
  const before = await cluster.leader();
  const endpoint = cluster.processes.members.find(({ id }) => id === before.id);
  const address = endpoint?.address ?? '';
  await cluster.processes.kill(before.id, 'SIGSTOP');
  await sleep(PAUSE_MS);
  // Asked while it sleeps, it answers first of all when it wakes, before it has heard of the new term.
  const answers = Array.from({ length: 20 }, () =>
    askStatus(address, cluster.credentials, ANSWER_MS_MAX),
  );
  await cluster.processes.kill(before.id, 'SIGCONT');
  for (const status of await Promise.all(answers)) {
    const isStale = status?.term === before.status?.term && status?.ready === true;
    expect(isStale, `ready in term ${status?.term}`).toBe(false);
  }
  await cluster.watch.until('it follows and is ready', (members) => {
    const woken = members.find(({ id }) => id === before.id)?.status;
    return woken?.ready === true && woken.term !== before.status?.term;
  });
});
