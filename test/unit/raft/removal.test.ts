import { expect, it } from 'vitest';
import type { Message, Vote } from '../../../src/raft/messages.ts';
import { command, learner, TestCluster, TestMember } from './cluster.ts';

const remove = (id: number) => ({ kind: 'remove', id }) as const;

it('scenario 58: a leader that removes itself is not counted, and steps down when that is committed', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.changeConfiguration(remove(1));
  // The joint configuration is committed by both halves; then one of the two others is silent.
  cluster.filter = ({ from, to }) => from !== 3 && to !== 3;
  cluster.settle();
  expect(leader.status.configuration).toMatchObject({
    configuration: { voters: [2, 3], outgoing: [1, 2, 3] },
  });
  // Of {2, 3} only one holds the final entry; the leader's own log is no second.
  expect(leader.status.configuration.committed).toBe(false);
  expect(leader.status.role).toBe('leader');
  cluster.heal();
  cluster.tick(4);
  expect(leader.status).toMatchObject({
    role: 'follower',
    configuration: { committed: true, configuration: { voters: [2, 3], outgoing: [] } },
  });
  expect(cluster.leaders()).toHaveLength(1);
  expect(cluster.leaders()[0]?.id).not.toBe(1);
  // It was a hand-over: no election timeout has passed.
  expect(cluster.leaders()[0]?.status.term).toBe(2);
  cluster.tick(60, [1]);
  expect(leader.status).toMatchObject({ role: 'follower', term: 2 });
});

it('scenario 58: its own acknowledgement would be the missing one', () => {
  const cluster = new TestCluster(2);
  const leader = cluster.elect(1);
  leader.raft.changeConfiguration(remove(1));
  cluster.deliver(leader.drain());
  cluster.deliver(cluster.member(2).drain());
  // The final entry is here, flushed, and nowhere else.
  leader.drain();
  expect(leader.status.configuration).toMatchObject({ index: 3, committed: false });
  expect(leader.status.stableIndex).toBe(3);
  expect(leader.status.commit).toBe(2);
  cluster.tick(3);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([2]);
  expect(cluster.member(2).status.commit).toBeGreaterThanOrEqual(3);
});

it('scenario 58: who alone holds the final configuration gets it committed, although it is not in it', () => {
  const cluster = new TestCluster(2);
  const leader = cluster.elect(1);
  leader.raft.changeConfiguration(remove(1));
  cluster.deliver(leader.drain());
  cluster.deliver(cluster.member(2).drain());
  leader.drain();
  // Its last entry reaches nobody and it loses the lead. The other cannot win: its log is shorter.
  cluster.filter = () => false;
  cluster.tick(25);
  expect(cluster.leaders()).toEqual([]);
  cluster.heal();
  cluster.tick(60);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([2]);
  for (const id of [1, 2])
    expect(cluster.member(id).status.configuration).toMatchObject({
      committed: true,
      configuration: { voters: [2], outgoing: [] },
    });
});

it('scenario 59: a removed member that does not know it disturbs nobody', () => {
  const cluster = new TestCluster(4);
  const leader = cluster.elect(1);
  cluster.cutOff(4);
  leader.raft.changeConfiguration(remove(4));
  cluster.tick(30);
  const terms = () => [1, 2, 3].map((id) => cluster.member(id).status.term);
  expect(leader.status.peers.map(({ id }) => id)).toEqual([2, 3]);
  cluster.heal();
  cluster.tick(100);
  expect(cluster.member(4).status.role).toBe('preCandidate');
  expect(terms()).toEqual([1, 1, 1]);
  expect(leader.status.role).toBe('leader');
  // One that campaigns all the same is not heard while there is a leader.
  const vote: Vote = {
    type: 'vote',
    from: 4,
    to: 2,
    term: 9,
    lastIndex: 99,
    lastTerm: 8,
    transfer: false,
  };
  for (const to of [1, 2, 3]) cluster.member(to).raft.step({ ...vote, to });
  cluster.tick(10);
  expect(terms()).toEqual([1, 1, 1]);
});

it('scenario 59: a removed member is told so, and then asks nobody for votes', () => {
  const cluster = new TestCluster(4);
  const leader = cluster.elect(1);
  const gone = cluster.member(4);
  leader.raft.changeConfiguration(remove(4));
  cluster.settle();
  expect(gone.status.configuration).toMatchObject({
    committed: true,
    configuration: { voters: [1, 2, 3] },
  });
  expect(leader.status.peers[2]).toMatchObject({ id: 4, role: 'leaving' });
  cluster.tick(12);
  expect(leader.status.peers.map(({ id }) => id)).toEqual([2, 3]);
  cluster.sent.length = 0;
  cluster.tick(60, [4]);
  expect(cluster.sent.filter(({ from }) => from === 4)).toEqual([]);
  expect(gone.status).toMatchObject({ role: 'follower', term: 1 });
});

it('scenario 59: a leader goes on telling the one that it removed, also when messages are lost', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  let lost = 0;
  cluster.filter = ({ to }: Message) => to !== 3 || ++lost > 6;
  leader.raft.changeConfiguration(remove(3));
  cluster.tick(9);
  expect(cluster.member(3).status.configuration).toMatchObject({
    committed: true,
    configuration: { voters: [1, 2] },
  });
});

it('scenario 68: whoever is being removed is not handed the lead, and nobody is removed during a transfer', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'timeoutNow' && type !== 'appendReply';
  leader.raft.changeConfiguration(remove(3));
  cluster.settle();
  expect(leader.raft.transferLeadership(3)).toEqual({ refused: 'unknown-member', leader: 1 });
  expect(leader.raft.transferLeadership(2)).toBeUndefined();
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  cluster.tick(4);
  // The final entry was appended in the midst of the transfer, which goes on to a member that stays.
  expect(leader.status).toMatchObject({ transferTarget: 2, configuration: { committed: true } });
  expect(leader.raft.changeConfiguration(remove(2))).toEqual({
    refused: 'transferring',
    leader: 1,
  });
  cluster.heal();
  cluster.tick(4);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([2]);
});

it('scenario 67: no change of membership is taken during a transfer', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  leader.raft.transferLeadership(2);
  const change = learner(4);
  expect(leader.raft.changeConfiguration(change)).toEqual({ refused: 'transferring', leader: 1 });
  cluster.tick(11);
  expect(leader.raft.changeConfiguration(change)).toHaveProperty('index');
});

it('a learner is not handed the lead and takes none', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const joined = cluster.join(4);
  leader.raft.changeConfiguration(learner(4, 'manual'));
  cluster.settle();
  expect(leader.raft.transferLeadership(4)).toEqual({ refused: 'unknown-member', leader: 1 });
  joined.raft.step({ type: 'timeoutNow', from: 1, to: 4, term: 1, lastIndex: 2 });
  expect(joined.status.role).toBe('follower');
});

it('scenario 13: a learner never campaigns, and gets neither vote nor term when one in its name does', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const joined = cluster.join(4);
  leader.raft.changeConfiguration(learner(4, 'manual'));
  cluster.settle();
  const { lastIndex } = joined.status;
  cluster.filter = () => false;
  cluster.tick(100, [4]);
  expect(joined.status).toMatchObject({ role: 'follower', term: 1 });
  const voter = cluster.member(2);
  while (voter.status.role === 'follower') voter.raft.tick();
  voter.drain();
  for (const transfer of [false, true]) {
    voter.raft.step({ type: 'vote', from: 4, to: 2, term: 9, lastIndex, lastTerm: 1, transfer });
    voter.raft.step({ type: 'preVote', from: 4, to: 2, term: 9, lastIndex, lastTerm: 1 });
  }
  expect(voter.drain()).toEqual([]);
  expect(voter.status.term).toBe(1);
});

it('scenario 12: a promoted learner that does not know it yet votes when asked', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const promoted = cluster.join(4);
  leader.raft.changeConfiguration(learner(4, 'manual'));
  cluster.tick(3);
  cluster.filter = ({ to }) => to !== 4;
  leader.raft.changeConfiguration({ kind: 'promote', id: 4 });
  cluster.settle();
  expect(leader.status.configuration.configuration.voters).toEqual([1, 2, 3, 4]);
  expect(promoted.status.configuration.configuration.voters).toEqual([1, 2, 3]);
  // Two of the three others are left: the vote of the one that was promoted is needed.
  cluster.filter = ({ from, to }) => from !== 1 && to !== 1;
  cluster.tick(60, [2, 3, 4]);
  expect(cluster.leaders().filter(({ id }) => id !== 1)).toHaveLength(1);
});

it('scenario 12: a voter that does not know of a promotion elects the promoted one when nobody else can be', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const promoted = cluster.join(4);
  leader.raft.changeConfiguration(learner(4, 'manual'));
  cluster.tick(3);
  // The joint entry reaches 2 and 4, and one more entry 4 alone; 3 takes 4 for a learner.
  cluster.filter = ({ to }) => to !== 3;
  leader.raft.changeConfiguration({ kind: 'promote', id: 4 });
  cluster.deliver(leader.drain());
  for (const id of [2, 4]) cluster.member(id).drain();
  leader.raft.propose([command('a')]);
  cluster.filter = ({ to }) => to === 4;
  leader.raft.step({ type: 'appendReply', from: 4, to: 1, term: 1, match: 3, conflict: undefined });
  cluster.deliver(leader.drain());
  promoted.drain();
  expect(cluster.member(3).status.configuration.configuration.voters).toEqual([1, 2, 3]);
  expect(promoted.status.lastIndex).toBeGreaterThan(cluster.member(2).status.lastIndex);
  // The leader dies for good.
  cluster.cutOff(1);
  cluster.tick(80, [2, 3, 4]);
  expect(
    cluster
      .leaders()
      .filter(({ id }) => id !== 1)
      .map(({ id }) => id),
  ).toEqual([4]);
});

it('a member that belongs to no cluster follows whoever leads, and never campaigns', () => {
  const member = new TestMember(7, { voters: [] });
  for (let tick = 0; tick < 50; tick += 1) member.raft.tick();
  expect(member.drain()).toEqual([]);
  expect(member.status).toMatchObject({ role: 'follower', term: 0 });
  member.raft.step({ type: 'heartbeat', from: 2, to: 7, term: 3, commit: 0, readRound: 0 });
  expect(member.status).toMatchObject({ term: 3, leader: 2 });
});
