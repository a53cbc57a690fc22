import { expect, it } from 'vitest';
import type { ConfigurationChange } from '../../../src/raft/ready.ts';
import { isJoint } from '../../../src/types/configuration.ts';
import { command, founded, learner, record, TestCluster, type TestMember } from './cluster.ts';

const remove = (id: number): ConfigurationChange => ({ kind: 'remove', id });

function votersOf(member: TestMember): unknown {
  const { configuration, committed } = member.status.configuration;
  return [configuration.voters, configuration.outgoing, committed];
}

/** Everybody who is in force agrees on who that is. */
function expectUniform(cluster: TestCluster, voters: readonly number[]): void {
  for (const id of voters)
    expect([id, votersOf(cluster.member(id))]).toEqual([id, [voters, [], true]]);
}

it('scenario 64: a new member is a learner until it has caught up, then it votes', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.propose([command('a')]);
  const joining = cluster.join(4);
  cluster.filter = ({ from }) => from !== 4;
  leader.raft.changeConfiguration(learner(4));
  cluster.tick(30);
  expect(leader.status.configuration.configuration).toMatchObject({ voters: [1, 2, 3] });
  expect(leader.status.peers[2]).toMatchObject({ id: 4, role: 'learner', caughtUp: false });
  cluster.heal();
  cluster.tick(20);
  expectUniform(cluster, [1, 2, 3, 4]);
  expect(joining.applied.map(({ index }) => index)).toEqual(
    leader.applied.map(({ index }) => index),
  );
});

it('scenario 64: a learner that answers too slowly is not made a voter by itself, nor by hand', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.join(4);
  leader.raft.changeConfiguration(learner(4, 'manual'));
  cluster.settle();
  // Its acknowledgements stay away while the log grows.
  cluster.filter = ({ from, type }) => from !== 4 || type === 'heartbeatReply';
  for (let count = 0; count < 15; count += 1) {
    leader.raft.propose([command('a')]);
    cluster.tick(1);
  }
  const promote = { kind: 'promote', id: 4 } as const;
  expect(leader.raft.changeConfiguration(promote)).toEqual({ refused: 'not-caught-up', leader: 1 });
  cluster.heal();
  cluster.tick(4);
  expect(votersOf(leader)).toEqual([[1, 2, 3], [], true]);
  expect(leader.raft.changeConfiguration(promote)).toHaveProperty('index');
  cluster.settle();
  expectUniform(cluster, [1, 2, 3, 4]);
});

it('scenario 15: a voter that was just added and is silent does not end its leader at once', () => {
  const cluster = new TestCluster(1);
  const leader = cluster.elect(1);
  cluster.join(2);
  leader.raft.changeConfiguration(learner(2, 'manual'));
  cluster.tick(9);
  // What the learner says next, after the quorum check of tick 10, is lost.
  cluster.filter = ({ from }) => from !== 2;
  cluster.tick(9);
  // Both voters of {1, 2} are needed when the next check is due, at tick 20.
  expect(leader.raft.changeConfiguration({ kind: 'promote', id: 2 })).toHaveProperty('index');
  cluster.tick(9);
  expect(leader.status.role).toBe('leader');
  cluster.heal();
  cluster.tick(20);
  expectUniform(cluster, [1, 2]);
});

it('scenario 15: a new leader whose followers are slow to answer has an election timeout', () => {
  const cluster = new TestCluster(3);
  cluster.filter = ({ to, type }) => to !== 1 || type === 'preVoteReply' || type === 'voteReply';
  const leader = cluster.elect(1);
  cluster.tick(19, [1]);
  expect(leader.status.role).toBe('leader');
  cluster.tick(1, [1]);
  expect(leader.status.role).toBe('follower');
});

it('of two learners the one that has caught up votes first; a silent one holds up nobody', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.join(5);
  leader.raft.changeConfiguration(learner(4));
  cluster.settle();
  leader.raft.changeConfiguration(learner(5));
  cluster.tick(6);
  expect(leader.status.configuration.configuration).toMatchObject({
    voters: [1, 2, 3, 5],
    learners: [{ id: 4 }],
  });
});

it('scenario 22: a cluster grows from one to five through even sizes, and shrinks again', () => {
  const cluster = new TestCluster(1);
  const leader = cluster.elect(1);
  const ids = [1];
  for (const id of [2, 3, 4, 5]) {
    cluster.join(id);
    leader.raft.changeConfiguration(learner(id));
    cluster.tick(6);
    ids.push(id);
    expectUniform(cluster, ids);
    expect(leader.raft.propose([command(`${id}`)])).toHaveProperty('index');
  }
  for (const id of [5, 4, 3, 2]) {
    leader.raft.changeConfiguration(remove(id));
    cluster.settle();
    ids.pop();
    expectUniform(cluster, ids);
  }
  expect(leader.raft.changeConfiguration(remove(1))).toMatchObject({ refused: 'last-voter' });
  leader.raft.propose([command('alone')]);
  cluster.settle();
  expect(leader.status.commit).toBe(leader.status.lastIndex);
});

it('scenario 22: in a joint configuration of two and one both halves decide', () => {
  const cluster = new TestCluster(2);
  const leader = cluster.elect(1);
  cluster.cutOff(2);
  leader.raft.changeConfiguration(remove(2));
  cluster.tick(3);
  expect(votersOf(leader)).toEqual([[1], [1, 2], false]);
  // Alone it is the majority of the new half only: it leads no longer either.
  cluster.tick(30);
  expect(leader.status.role).not.toBe('leader');
  cluster.heal();
  cluster.tick(60);
  expect(cluster.leaders()).toHaveLength(1);
  expectUniform(cluster, [1]);
});

it('scenario 54: a new leader changes nothing before it has committed in its term', () => {
  const cluster = new TestCluster(3);
  cluster.filter = ({ type }) => type !== 'appendReply';
  const leader = cluster.elect(1);
  expect(leader.raft.changeConfiguration(remove(3))).toEqual({
    refused: 'not-committed-in-term',
    leader: 1,
  });
  expect(leader.status.lastIndex).toBe(1);
  cluster.heal();
  cluster.tick(3);
  expect(leader.raft.changeConfiguration(remove(3))).toHaveProperty('index');
});

it("scenario 54: rival leaders' changes: what the first did not commit is gone for the second", () => {
  // The history of Ongaro's message of July 2015, with the changes that it adds and removes.
  const cluster = new TestCluster(4);
  const first = cluster.elect(1);
  cluster.join(5);
  cluster.cutOff(1);
  first.raft.changeConfiguration(learner(5));
  first.drain();
  const second = cluster.elect(2);
  cluster.tick(30, [2, 3, 4]);
  const leader = cluster.leaders().find(({ status }) => status.term > first.status.term);
  expect(leader?.raft.changeConfiguration(remove(1))).toHaveProperty('index');
  cluster.settle();
  expect(votersOf(second)).toEqual([[2, 3, 4], [], true]);
  cluster.heal();
  cluster.tick(30);
  expectUniform(cluster, [2, 3, 4]);
  for (const id of [2, 3, 4])
    expect(cluster.member(id).status.configuration.configuration.learners).toEqual([]);
});

it('scenario 55: a second change waits until the first is committed and final', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'appendReply';
  leader.raft.changeConfiguration(remove(3));
  cluster.settle();
  const pending = { refused: 'change-pending', leader: 1 };
  expect(leader.raft.changeConfiguration(remove(2))).toEqual(pending);
  expect(leader.raft.changeConfiguration(learner(4))).toEqual(pending);
  // The joint entry commits, the final one does not.
  const joint = leader.status.lastIndex;
  cluster.filter = (message) => message.type !== 'appendReply' || message.match <= joint;
  cluster.tick(4);
  expect(votersOf(leader)).toEqual([[1, 2], [], false]);
  expect(leader.raft.changeConfiguration(remove(2))).toEqual(pending);
  cluster.heal();
  cluster.tick(4);
  expect(leader.raft.changeConfiguration(remove(2))).toHaveProperty('index');
});

it('scenario 56: a configuration that is truncated leaves the one before it in force', () => {
  const cluster = new TestCluster(3);
  const old = cluster.elect(1);
  cluster.cutOff(1);
  old.raft.changeConfiguration(remove(3));
  old.drain();
  expect(votersOf(old)).toEqual([[1, 2], [1, 2, 3], false]);
  cluster.tick(40, [2, 3]);
  cluster.heal();
  cluster.tick(10);
  expectUniform(cluster, [1, 2, 3]);
  expect(old.status.configuration).toEqual({ ...founded([1, 2, 3]), committed: true });
});

it('scenario 57: a restart inside a joint configuration finds it, committed or not', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'appendReply';
  leader.raft.changeConfiguration(remove(3));
  cluster.settle();
  for (const member of cluster.members.values()) member.restart();
  for (const id of [1, 2, 3])
    expect(votersOf(cluster.member(id))).toEqual([[1, 2], [1, 2, 3], false]);
  expect(leader.raft.takeReady()?.configuration).toMatchObject({ index: 2 });
  cluster.heal();
  cluster.tick(60);
  expectUniform(cluster, [1, 2]);
  for (const id of [1, 2]) cluster.member(id).restart();
  for (const id of [1, 2]) expect(votersOf(cluster.member(id))).toEqual([[1, 2], [], false]);
});

it('scenario 60: a leader that is cut off cannot commit a change', () => {
  for (const change of [remove(2), remove(3), remove(1), learner(4)]) {
    const cluster = new TestCluster(3);
    const leader = cluster.elect(1);
    cluster.cutOff(1);
    leader.raft.changeConfiguration(change);
    cluster.tick(40, [1]);
    expect(leader.status).toMatchObject({ commit: 1, configuration: { committed: false } });
    expect(leader.status.role).not.toBe('leader');
  }
});

it('scenario 61: the leader dies in a joint configuration; its successor finishes the change', () => {
  for (const removed of [1, 2, 3]) {
    const cluster = new TestCluster(3);
    const leader = cluster.elect(1);
    cluster.filter = ({ type }) => type !== 'appendReply';
    leader.raft.changeConfiguration(remove(removed));
    cluster.settle();
    cluster.cutOff(1);
    cluster.tick(60, [2, 3]);
    const others = [2, 3].filter((id) => id !== removed);
    // Both halves must agree: without the first, {1, 2} and {1, 3} have no majority.
    if (removed === 1) expectUniform(cluster, others);
    else expect(cluster.leaders().filter(({ id }) => id !== 1)).toEqual([]);
    cluster.heal();
    cluster.tick(60);
    expectUniform(
      cluster,
      [1, 2, 3].filter((id) => id !== removed),
    );
  }
});

it('scenario 62: whatever rival leaders begin, all end in one uniform configuration', () => {
  const cluster = new TestCluster(5);
  const changes = [remove(5), learner(6), remove(4), learner(7, 'automatic', 3)];
  cluster.join(6);
  cluster.join(7);
  for (const [round, change] of changes.entries()) {
    for (const member of cluster.leaders()) {
      member.raft.changeConfiguration(change);
      member.drain();
    }
    cluster.cutOff(1 + (round % 5));
    cluster.tick(45);
    cluster.heal();
    cluster.tick(45);
  }
  const [leader] = cluster.leaders();
  const { voters } = leader!.status.configuration.configuration;
  expectUniform(cluster, voters);
  expect(isJoint(leader!.status.configuration.configuration)).toBe(false);
});

it('a change of address or priority takes one entry and no joint configuration', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.changeConfiguration({ kind: 'update', member: record(2, 50) });
  cluster.settle();
  expectUniform(cluster, [1, 2, 3]);
  expect(cluster.member(3).status.configuration).toMatchObject({ index: 2 });
  const bad = { kind: 'update', member: record(2, 5_000) } as const;
  expect(leader.raft.changeConfiguration(bad)).toEqual({ refused: 'invalid-member', leader: 1 });
});

it('only the leader changes the membership; others name it', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  const answer = cluster.member(2).raft.changeConfiguration(remove(3));
  expect(answer).toEqual({ refused: 'not-leader', leader: 1 });
});

it('a replacement under way loses nothing: the old voter leaves when the new one votes', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.join(4);
  leader.raft.changeConfiguration(learner(4, 'automatic', 3));
  for (let count = 0; count < 12; count += 1) {
    expect(leader.raft.propose([command(`${count}`)])).toHaveProperty('index');
    cluster.tick(1);
  }
  expectUniform(cluster, [1, 2, 4]);
  expect(cluster.member(4).applied).toHaveLength(leader.applied.length);
  // The one that left has stored that it did.
  expect(votersOf(cluster.member(3))).toEqual([[1, 2, 4], [], true]);
});
