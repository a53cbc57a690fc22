import { expect, it } from 'vitest';
import { initialConfiguration } from '../../../src/types/configuration.ts';
import { command, record, TestCluster } from './cluster.ts';

/** Members whose priorities are given in order. */
function preferring(...priorities: number[]): TestCluster {
  const members = priorities.map((priority, position) => record(position + 1, priority));
  const configuration = { index: 0, configuration: initialConfiguration(members) };
  return new TestCluster(priorities.length, () => ({ configuration }));
}

it('hands over to a voter of higher priority once it has kept up for an election timeout', () => {
  const cluster = preferring(100, 200, 150);
  cluster.elect(1);
  cluster.tick(8);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([1]);
  cluster.tick(8);
  expect(cluster.leaders().map(({ id, status }) => [id, status.term])).toEqual([[2, 2]]);
  cluster.tick(200);
  expect(cluster.leaders().map(({ id, status }) => [id, status.term])).toEqual([[2, 2]]);
});

it('equal priorities move nothing', () => {
  const cluster = preferring(100, 100, 100);
  cluster.elect(3);
  cluster.tick(300);
  expect(cluster.leaders().map(({ id, status }) => [id, status.term])).toEqual([[3, 1]]);
});

it('does not hand over to one that is behind, silent, or not eligible', () => {
  const cluster = preferring(100, 200, 100);
  const leader = cluster.elect(1);
  cluster.filter = ({ from, type }) => from !== 2 || type !== 'appendReply';
  for (let count = 0; count < 30; count += 1) {
    leader.raft.propose([command('a')]);
    cluster.tick(1);
  }
  cluster.cutOff(2);
  cluster.tick(30);
  cluster.heal();
  cluster.member(2).raft.setEligible(false);
  cluster.tick(60);
  expect(leader.status).toMatchObject({ role: 'leader', term: 1 });
  expect(leader.status.peers[0]).toMatchObject({ caughtUp: true, eligible: false });
  cluster.member(2).raft.setEligible(true);
  cluster.tick(20);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([2]);
});

it('after an attempt it waits for ten election timeouts, whatever became of it', () => {
  const cluster = preferring(100, 200, 100);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  const began: number[] = [];
  let target: number | undefined;
  for (let tick = 0; tick < 330; tick += 1) {
    cluster.tick(1);
    const { transferTarget } = leader.status;
    if (target === undefined && transferTarget !== undefined) began.push(tick);
    target = transferTarget;
  }
  expect(leader.status).toMatchObject({ role: 'leader', term: 1 });
  const [first = 0, second = 0, third = 0] = began;
  expect(began).toHaveLength(4);
  expect([second - first, third - second]).toEqual([100, 100]);
});

it('a preferred member that comes and goes does not make leadership flap', () => {
  const cluster = preferring(100, 200, 100);
  cluster.elect(1);
  const terms = new Set<number>();
  for (let round = 0; round < 10; round += 1) {
    cluster.cutOff(2);
    cluster.tick(35);
    cluster.heal();
    cluster.tick(15);
    for (const { status } of cluster.leaders()) terms.add(status.term);
  }
  // Five hundred ticks: at most one attempt in a hundred, and the election after each.
  expect(terms.size).toBeLessThanOrEqual(11);
});

it('does not hand over while the membership changes', () => {
  const cluster = preferring(100, 100, 100);
  const leader = cluster.elect(1);
  cluster.tick(30);
  cluster.filter = ({ type }) => type !== 'appendReply';
  leader.raft.changeConfiguration({ kind: 'update', member: record(2, 200) });
  cluster.tick(9);
  expect(leader.status.transferTarget).toBeUndefined();
  cluster.heal();
  cluster.tick(20);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([2]);
});

it('one that steps down chooses among those that keep up the one of the highest priority', () => {
  const cluster = preferring(300, 100, 200);
  const leader = cluster.elect(1);
  cluster.tick(5);
  leader.raft.stepDown();
  cluster.settle();
  expect(cluster.leaders().map(({ id }) => id)).toEqual([3]);
});

it('one that steps down does not choose a learner, however high its priority', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.join(4);
  const member = record(4, 500);
  leader.raft.changeConfiguration({
    kind: 'addLearner',
    member,
    promotion: 'manual',
    replaces: undefined,
  });
  cluster.tick(6);
  leader.raft.stepDown();
  expect([2, 3]).toContain(leader.status.transferTarget);
});

it('one that steps down chooses nobody that would not take over', () => {
  const cluster = preferring(300, 100, 200);
  const leader = cluster.elect(1);
  cluster.member(3).raft.setEligible(false);
  cluster.tick(5);
  leader.raft.stepDown();
  cluster.settle();
  expect(cluster.leaders().map(({ id }) => id)).toEqual([2]);
});

it('scenario 81: a leader whose disk stalls hands over after two election timeouts', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.tick(5);
  leader.raft.propose([command('a')]);
  let ticks = 0;
  for (; leader.status.role === 'leader' && ticks < 60; ticks += 1) {
    for (const member of cluster.members.values()) member.raft.tick();
    for (let round = 0; round < 4; round += 1)
      cluster.deliver([
        ...leader.take(),
        ...cluster.member(2).drain(),
        ...cluster.member(3).drain(),
      ]);
  }
  expect(ticks).toBeGreaterThanOrEqual(20);
  expect(ticks).toBeLessThanOrEqual(22);
  const [successor] = cluster.leaders();
  expect(successor?.status).toMatchObject({ term: 2 });
  expect([2, 3]).toContain(successor?.id);
  cluster.deliver(leader.writeAll());
  cluster.tick(4);
  expect(leader.status).toMatchObject({ role: 'follower', commit: successor?.status.commit });
});

it('scenario 81: a follower whose disk stalls is not chosen', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const stalled = cluster.member(2);
  leader.raft.propose([command('a')]);
  for (let tick = 0; tick < 15; tick += 1) {
    for (const member of cluster.members.values()) member.raft.tick();
    for (let round = 0; round < 4; round += 1)
      cluster.deliver([...leader.drain(), ...stalled.take(), ...cluster.member(3).drain()]);
  }
  expect(leader.status.peers[0]).toMatchObject({ id: 2, active: true, eligible: false });
});

it('scenario 81: a leader without anybody to hand over to keeps the lead', () => {
  const cluster = new TestCluster(1);
  const leader = cluster.elect(1);
  leader.raft.propose([command('a')]);
  for (let tick = 0; tick < 50; tick += 1) {
    leader.raft.tick();
    leader.take();
  }
  expect(leader.status.role).toBe('leader');
  leader.writeAll();
  expect(leader.status.commit).toBe(2);
});
