import { expect, it } from 'vitest';
import { command, TestCluster } from './cluster.ts';

it('scenario 65: a target that is behind is caught up, durably, before it is told', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.cutOff(3);
  leader.raft.propose([command('a'), command('b')]);
  cluster.settle();
  cluster.heal();
  leader.raft.transferLeadership(3);
  expect(leader.drain().map(({ type }) => type)).not.toContain('timeoutNow');
  cluster.tick(4);
  expect(cluster.member(3).status).toMatchObject({ role: 'leader', term: 2, lastIndex: 4 });
});

it('scenario 65: a target whose write is under way is not told yet', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const target = cluster.member(3);
  leader.raft.propose([command('a')]);
  cluster.deliver(leader.drain());
  const early = target.take();
  leader.raft.transferLeadership(3);
  cluster.deliver(early);
  expect(leader.drain().map(({ type }) => type)).not.toContain('timeoutNow');
  cluster.deliver(target.writeAll());
  expect(leader.drain().map(({ type }) => type)).toContain('timeoutNow');
});

it('scenario 66: a dead target ends the transfer after an election timeout; writes resume', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.cutOff(3);
  leader.raft.transferLeadership(3);
  cluster.tick(9);
  expect(leader.raft.propose([command('a')])).toMatchObject({ refused: 'transferring' });
  cluster.tick(1);
  expect(leader.status).toMatchObject({ role: 'leader', transferTarget: undefined });
  expect(leader.raft.propose([command('a')])).toMatchObject({ term: 1 });
});

it('scenario 67: writes during a transfer are refused and can be tried again', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.transferLeadership(2);
  expect(leader.raft.propose([command('a')])).toEqual({ refused: 'transferring', leader: 1 });
  expect(leader.raft.transferLeadership(3)).toEqual({ refused: 'transferring', leader: 1 });
  cluster.settle();
  expect(cluster.member(2).raft.propose([command('a')])).toMatchObject({ term: 2 });
});

it('scenario 69: a late TimeoutNow is ignored', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const target = cluster.member(3);
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  leader.raft.transferLeadership(3);
  cluster.tick(10);
  leader.raft.propose([command('a')]);
  cluster.settle();
  // The transfer was given up and the log has grown: this request is from before.
  const late = { type: 'timeoutNow', from: 1, to: 3, term: 1, lastIndex: 1 } as const;
  target.raft.step(late);
  target.raft.step({ ...late, term: 0, lastIndex: 2 });
  target.raft.step({ ...late, from: 2, lastIndex: 2 });
  expect(target.status).toMatchObject({ role: 'follower', term: 1, leader: 1 });
  leader.raft.step({ ...late, from: 3, to: 1, lastIndex: 2 });
  expect(leader.status.role).toBe('leader');
});

it('an election that the leader asked for is not held up by its lease', () => {
  const cluster = new TestCluster(5);
  const leader = cluster.elect(1);
  cluster.tick(1);
  leader.raft.transferLeadership(4);
  cluster.settle();
  expect(cluster.leaders().map(({ id }) => id)).toEqual([4]);
});

it('refuses a transfer by a follower or to a stranger; one to itself is done already', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  expect(cluster.member(2).raft.transferLeadership(3)).toEqual({
    refused: 'not-leader',
    leader: 1,
  });
  expect(leader.raft.transferLeadership(9)).toEqual({ refused: 'unknown-member', leader: 1 });
  expect(leader.raft.transferLeadership(1)).toBeUndefined();
  expect(leader.raft.propose([command('a')])).toHaveProperty('index');
});

it('a leader that steps down hands over to the follower with the longest log', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.cutOff(2);
  leader.raft.propose([command('a')]);
  cluster.settle();
  cluster.heal();
  leader.raft.stepDown();
  cluster.settle();
  expect(cluster.leaders().map(({ id }) => id)).toEqual([3]);
});

it('a fenced leader hands over, and leads nobody even when nobody takes over', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  leader.raft.setEligible(false);
  cluster.tick(10);
  expect(leader.status).toMatchObject({ role: 'follower', eligible: false });
  cluster.tick(40);
  expect(cluster.leaders()).toHaveLength(1);
  expect(cluster.leaders()[0]?.id).not.toBe(1);
});

it('a follower that is told to step down keeps its leader', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.member(2).raft.stepDown();
  expect(cluster.member(2).status.leader).toBe(1);
});
