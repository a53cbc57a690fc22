import { appendFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AuditedLoad } from './audited_load.ts';
import { type TestCluster, testCluster } from './harness.ts';
import { eventsOf, type OwnProcess, startMember, startUp } from './own_process.ts';

const SEED = 20_260_305;
const TRANSACTIONS = 1_200;
/** So long that an election by timeout would show, even where everything is slow. */
const ELECTION_TIMEOUT_MS = 2_000;

async function newCluster(template: string): Promise<TestCluster> {
  const made = await testCluster(template, { started: false });
  onTestFinished(() => made.stop());
  return made;
}

async function untilReady(cluster: TestCluster): Promise<void> {
  await cluster.watch.until('all members are ready', (members) =>
    members.every(({ status }) => status?.ready === true),
  );
}

async function stopInOrder(member: OwnProcess): Promise<void> {
  member.child.kill('SIGTERM');
  const { code, stderr } = await member.ended;
  expect([code, stderr]).toEqual([0, '']);
  expect(eventsOf(member).at(-1)?.msg).toBe('stopped');
}

function expectSound(cluster: TestCluster, load: AuditedLoad): Promise<void> {
  return load.expectSound(cluster.processes.members.map(({ id }) => cluster.clientOf(id)));
}

describe(`a stop in order, under load (seed ${SEED})`, () => {
  test('a leader that is told to stop hands over first: nobody waits for an election timeout', async () => {
    const cluster = await newCluster('local-3');
    await appendFile(
      cluster.configFile,
      `raft:\n  electionTimeoutMs: ${ELECTION_TIMEOUT_MS}\n  heartbeatMs: 100\n`,
    );
    const running = new Map(
      cluster.processes.members.map(({ id }) => [id, startMember(cluster.configFile, id)]),
    );
    await untilReady(cluster);
    const load = await AuditedLoad.prepare(cluster, { transactions: 2 * TRANSACTIONS, seed: SEED });
    const before = await cluster.leader();
    const leader = before.id;
    const stopped = running.get(leader) as OwnProcess;
    await load.during(TRANSACTIONS, () => stopInOrder(stopped));
    const { id: successor } = await cluster.leader();
    expect(successor).not.toBe(leader);

    // It gave way to a higher term before it left.
    const events = eventsOf(stopped);
    const stopping = events.findIndex(({ msg }) => msg === 'stopping');
    const gaveWay = events.slice(stopping).find(({ msg }) => msg === 'leadership changed');
    expect(gaveWay?.role).toBe('follower');
    expect(gaveWay?.term).toBeGreaterThan(Number(before.status?.term));
    // Whoever campaigns after a timeout asks around first; who was told to take over does not.
    const roles = [...running.values()]
      .flatMap(eventsOf)
      .filter(({ time }) => time >= Number(events[stopping]?.time))
      .map(({ role }) => role);
    expect(roles).toContain('leader');
    expect(roles).not.toContain('preCandidate');

    startMember(cluster.configFile, leader);
    await untilReady(cluster);
    await load.during(TRANSACTIONS, async () => undefined);
    await expectSound(cluster, load);
  });

  test('Ctrl-C stops all members of `up` at once, and they go on where they were', async () => {
    const cluster = await newCluster('local-3');
    const first = startUp(cluster.configFile);
    await untilReady(cluster);
    const load = await AuditedLoad.prepare(cluster, { transactions: TRANSACTIONS, seed: SEED });
    const members = await cluster.watch.look();
    await load.during(TRANSACTIONS, async () => {
      first.child.kill('SIGINT');
      const { code, stderr } = await first.ended;
      expect(code).toBe(0);
      // It may have said that all were ready; it must not have complained.
      expect(stderr.replace(/^blockraft: all members are ready, .*\n/, '')).toBe('');
      for (const { id, status } of members) {
        const lines = first.lines().filter((line) => line.startsWith(`${id} | `));
        expect(lines.at(-1)).toContain('"stopped"');
        expect(isAlive(status?.pid as number)).toBe(false);
      }
      startUp(cluster.configFile);
    });
    await untilReady(cluster);
    await expectSound(cluster, load);
  });
});

describe('a stop while starting', () => {
  test('a member that is told to stop in the midst of its start ends well and can start again', async () => {
    const cluster = await newCluster('solo');
    for (const stop of [atOnce, atFirstLine, atFirstLine]) {
      const member = startMember(cluster.configFile, 1);
      await stop(member);
      const { code, stderr } = await member.ended;
      const events = eventsOf(member);
      // Before the program has begun, the signal itself ends the process.
      if (events.length === 0) expect([0, null]).toContain(code);
      else expect([code, events.at(-1)?.msg]).toEqual([0, 'stopped']);
      expect(stderr).toBe('');
    }
    startMember(cluster.configFile, 1);
    await untilReady(cluster);
  });

  test('a member that waits for the others stops as well', async () => {
    const cluster = await newCluster('local-3');
    const member = startMember(cluster.configFile, 1);
    await cluster.watch.until('it waits', ([only]) => only?.status?.role !== undefined);
    await stopInOrder(member);
  });

  test('Ctrl-C while `up` starts leaves nothing behind', async () => {
    const cluster = await newCluster('local-3');
    const up = startUp(cluster.configFile);
    await atFirstLine(up);
    const { code, stdout, stderr } = await up.ended;
    expect([code, stderr]).toEqual([0, '']);
    const pids = new Set([...stdout.matchAll(/"pid":(\d+)/g)].map(([, pid]) => Number(pid)));
    expect(pids.size).toBeGreaterThan(0);
    for (const pid of pids) expect(isAlive(pid)).toBe(false);
    for (const { status } of await cluster.watch.look()) expect(status).toBeUndefined();
  });
});

async function atOnce({ child }: OwnProcess): Promise<void> {
  child.kill('SIGTERM');
}

/** Its first line of log: the data folder is being opened then. */
async function atFirstLine({ child }: OwnProcess): Promise<void> {
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  child.kill('SIGTERM');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
