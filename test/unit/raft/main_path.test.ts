import { expect, it } from 'vitest';
import { command, TestCluster, TestMember } from './cluster.ts';

it('elects a leader, replicates, commits and applies on every member', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  expect(leader.status).toMatchObject({ role: 'leader', term: 1, commit: 1 });
  expect(leader.raft.propose([command('a'), command('b')])).toEqual({ index: 2, term: 1 });
  cluster.settle();
  for (const member of cluster.members.values()) {
    expect(member.status).toMatchObject({ leader: 1, term: 1, commit: 3 });
    expect(member.applied.map((entry) => entry.index)).toEqual([1, 2, 3]);
  }
});

it('a single member elects itself and commits after its own write', () => {
  const member = new TestMember(1, { voters: [1] });
  for (let count = 0; count < 20; count += 1) member.raft.tick();
  member.drain();
  expect(member.status).toMatchObject({ role: 'leader', commit: 1 });
});

it('serves a read on the leader and through a follower', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.readIndex(7);
  cluster.member(2).raft.readIndex(8);
  cluster.settle();
  expect(leader.reads).toEqual([{ requestId: 7, index: 1 }]);
  expect(cluster.member(2).reads).toEqual([{ requestId: 8, index: 1 }]);
});

it('hands leadership over', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  expect(leader.raft.transferLeadership(3)).toBeUndefined();
  cluster.settle();
  expect(cluster.member(3).status).toMatchObject({ role: 'leader', term: 2 });
});
