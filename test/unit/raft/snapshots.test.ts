import { expect, it } from 'vitest';
import type { Append } from '../../../src/raft/messages.ts';
import { accepted, append, appendsTo, matches } from './append_fixture.ts';
import { command, entriesOf, record, TestCluster, TestMember } from './cluster.ts';

/** A leader whose log begins behind what the third member holds. */
function compactedPast(third: number): { cluster: TestCluster; leader: TestMember } {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.cutOff(third);
  for (let count = 0; count < 6; count += 1) leader.raft.propose([command(`${count}`)]);
  cluster.settle();
  leader.compactTo(5);
  return { cluster, leader };
}

function peer(leader: TestMember, id: number) {
  return leader.status.peers.find((each) => each.id === id);
}

it('scenario 27: a follower behind the compacted log gets a snapshot, never a match at term 0', () => {
  const { cluster, leader } = compactedPast(3);
  cluster.heal();
  cluster.tick(4);
  expect(peer(leader, 3)).toMatchObject({ state: 'snapshot', match: 1 });
  const wanted = cluster.member(3).wanted.at(-1);
  expect(wanted).toEqual({ from: 1, index: 5 });
  for (const { prevIndex, prevTerm } of appendsTo(3, cluster.sent))
    expect([prevIndex, prevTerm]).toEqual([prevIndex, prevIndex === 0 ? 0 : 1]);
  expect(cluster.member(3).offerSnapshotOf(cluster.member(2))).toBe('install');
  cluster.tick(4);
  expect(peer(leader, 3)).toMatchObject({ state: 'replicate', match: 7 });
  leader.raft.propose([command('after')]);
  cluster.settle();
  expect(cluster.member(3).status.commit).toBe(8);
  expect(cluster.member(3).applied.map(({ index }) => index)).toContain(8);
});

it('scenario 27: a slow follower that is overtaken by compaction in the midst of replication', () => {
  const cluster = new TestCluster(3, () => ({ maxInflightAppends: 2, maxAppendBytes: 20 }));
  const leader = cluster.elect(1);
  cluster.tick(2);
  cluster.filter = (message) => message.from !== 3 || message.type === 'heartbeatReply';
  for (let count = 0; count < 8; count += 1) leader.raft.propose([command(`${count}`)]);
  cluster.settle();
  expect(peer(leader, 3)).toMatchObject({ state: 'replicate', match: 1, next: 4 });
  leader.compactTo(8);
  cluster.tick(4);
  expect(peer(leader, 3)).toMatchObject({ state: 'snapshot' });
  // What was in flight is acknowledged after all, and that is not enough.
  leader.raft.step(accepted(3, 3));
  cluster.heal();
  cluster.tick(4);
  expect(peer(leader, 3)).toMatchObject({ state: 'snapshot', match: 3 });
  cluster.member(3).offerSnapshotOf(cluster.member(2));
  cluster.tick(4);
  expect(peer(leader, 3)).toMatchObject({ state: 'replicate', match: 9 });
});

it('scenario 27: logs that agreed only in what is compacted need no second probe', () => {
  for (const behind of [[1], [1, 2, 2, 2]]) {
    const cluster = new TestCluster(2, (id) => ({
      terms: id === 1 ? [1, 3, 3, 3, 3, 3] : behind,
    }));
    cluster.member(1).raft.step(append({ term: 3, prevIndex: 6, prevTerm: 3, commit: 6 }));
    cluster.member(1).drain();
    cluster.member(1).compactTo(3);
    cluster.elect(1);
    expect(appendsTo(2, cluster.sent).map(({ prevIndex }) => prevIndex)).toEqual([6]);
    expect(cluster.member(2).wanted).toEqual([{ from: 1, index: 3 }]);
  }
});

it('scenario 26: a follower that holds the log, but has applied less than is compacted, needs no snapshot when it connects', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  for (let count = 0; count < 6; count += 1) leader.raft.propose([command(`${count}`)]);
  cluster.settle();
  cluster.member(2).compactTo(5);
  cluster.cutOff(3);
  cluster.member(3).restart();
  cluster.member(1).raft.stepDown();
  cluster.settle();
  const successor = cluster.member(2);
  expect(successor.status).toMatchObject({ role: 'leader', firstIndex: 6 });
  expect(cluster.member(3).status).toMatchObject({ commit: 0, lastIndex: 7 });
  cluster.heal();
  for (let connection = 0; connection < 3; connection += 1) {
    successor.raft.peerDisconnected(3);
    successor.raft.peerConnected(3);
  }
  cluster.tick(4);
  expect(cluster.member(3).wanted).toEqual([]);
  expect(peer(successor, 3)).toMatchObject({ state: 'replicate', match: 8 });
});

it('scenario 28: with a log that is compacted to its end, an idle leader offers a new member a snapshot', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.propose([command('a')]);
  const joining = cluster.join(4);
  const member = record(4);
  leader.raft.changeConfiguration({
    kind: 'addLearner',
    member,
    promotion: 'automatic',
    replaces: undefined,
  });
  cluster.filter = ({ to }) => to !== 4;
  cluster.settle();
  leader.compactTo(leader.status.lastIndex);
  expect(leader.status.firstIndex).toBe(leader.status.lastIndex + 1);
  cluster.sent.length = 0;
  cluster.heal();
  cluster.tick(4);
  expect(joining.wanted.at(-1)).toEqual({ from: 1, index: 3 });
  // One probe told that the log agrees nowhere that is still held.
  expect(appendsTo(4, cluster.sent).filter(({ prevIndex }) => prevIndex > 2)).toHaveLength(1);
  expect(joining.offerSnapshotOf(leader)).toBe('install');
  cluster.tick(10);
  expect(leader.status.configuration.configuration.voters).toEqual([1, 2, 3, 4]);
  expect(joining.status.configuration.configuration.voters).toEqual([1, 2, 3, 4]);
});

it('scenario 43: from the moment a snapshot is to be installed, nothing else is taken', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  follower.raft.step({ type: 'installSnapshot', from: 2, to: 1, term: 5, index: 9 });
  expect(follower.take()).toEqual([]);
  expect(follower.raft.acceptSnapshot({ index: 12, term: 5 })).toBe('install');
  const { raft } = follower;
  const installing = expect.objectContaining({ code: 'INSTALLING' });
  for (const input of [
    () => raft.step(append({ entries: entriesOf([5]) })),
    () => raft.tick(),
    () => raft.takeReady(),
    () => raft.acceptSnapshot({ index: 13, term: 5 }),
    () => raft.readIndex(1),
  ])
    expect(input).toThrow(installing);
});

it('scenario 43: Appends that fill the gap before the snapshot is there make it needless', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  follower.raft.step({ type: 'installSnapshot', from: 2, to: 1, term: 5, index: 2 });
  follower.raft.step(append({ entries: entriesOf([5, 5, 5]), commit: 2 }));
  follower.drain();
  expect(follower.wanted).toEqual([]);
  // It ends in the log behind the commit index: the log holds what it covers.
  expect(follower.raft.acceptSnapshot({ index: 3, term: 5 })).toBe('notNeeded');
  expect(follower.status.commit).toBe(3);
  follower.drain();
  expect(follower.applied.map(({ index }) => index)).toEqual([1, 2, 3]);
});

it('scenario 44: of two snapshots asked for in quick succession the newest wins', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  const ask = { type: 'installSnapshot', from: 2, to: 1, term: 5 } as const;
  follower.raft.step({ ...ask, index: 20 });
  follower.raft.step({ ...ask, index: 30 });
  follower.drain();
  expect(follower.wanted).toEqual([{ from: 2, index: 30 }]);
  // A late one of a leader that is none any more does not come back.
  follower.raft.step({ ...ask, from: 3, term: 6, index: 40 });
  follower.raft.step({ ...ask, index: 31 });
  follower.drain();
  expect(follower.wanted.at(-1)).toEqual({ from: 3, index: 40 });
});

it('scenario 45: a snapshot at or below the commit index is acknowledged and not asked for', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  follower.raft.step(append({ entries: entriesOf([5, 5, 5]), commit: 3 }));
  follower.drain();
  follower.raft.step({ type: 'installSnapshot', from: 2, to: 1, term: 5, index: 3 });
  expect(matches(follower.drain())).toEqual([3]);
  expect(follower.wanted).toEqual([]);
  expect(follower.raft.acceptSnapshot({ index: 2, term: 5 })).toBe('notNeeded');
  follower.compactTo(3);
  expect(follower.raft.acceptSnapshot({ index: 1, term: 4 })).toBe('notNeeded');
  expect(follower.status.commit).toBe(3);
});

it('scenario 45: that acknowledgement waits for what it promises', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  follower.raft.step(append({ entries: entriesOf([5, 5, 5]), commit: 3 }));
  follower.raft.step({ type: 'installSnapshot', from: 2, to: 1, term: 5, index: 3 });
  expect(follower.take()).toEqual([]);
  expect(matches(follower.writeAll())).toEqual([3, 3]);
});

it('scenario 46: a snapshot with another term at a committed index stops the member', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  follower.raft.step(append({ entries: entriesOf([5, 5, 5]), commit: 3 }));
  const conflict = expect.objectContaining({ code: 'COMMITTED_ENTRY_CONFLICT' });
  expect(() => follower.raft.acceptSnapshot({ index: 2, term: 4 })).toThrow(conflict);
  expect(() => follower.raft.takeReady()).toThrow('must stop');
});

it('a snapshot replaces entries that were never committed: another term at its index, or a log too short', () => {
  for (const [index, term] of [
    [3, 7],
    [9, 7],
  ] as const) {
    const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
    follower.raft.step(append({ entries: entriesOf([5, 5, 5, 5]), commit: 1 }));
    follower.drain();
    expect(follower.raft.acceptSnapshot({ index, term })).toBe('install');
  }
});

it('scenario 49: a snapshot within a joint configuration restores it, also after a second compaction', () => {
  const cluster = new TestCluster(4);
  const leader = cluster.elect(1);
  cluster.cutOff(4);
  leader.raft.changeConfiguration({ kind: 'remove', id: 3 });
  // The joint entry is committed and applied, the final one reaches nobody.
  const joint = leader.status.lastIndex;
  const isFinal = ({ prevIndex, entries }: Append) => prevIndex + entries.length > joint;
  cluster.filter = (message) =>
    message.from !== 4 && message.to !== 4 && (message.type !== 'append' || !isFinal(message));
  cluster.settle();
  expect(leader.configurationAt(leader.appliedIndex)).toMatchObject({
    index: joint,
    configuration: { voters: [1, 2, 4], outgoing: [1, 2, 3, 4] },
  });
  leader.compactTo(leader.appliedIndex);
  const member = cluster.member(4);
  expect(member.offerSnapshotOf(leader)).toBe('install');
  expect(member.status.configuration).toMatchObject({
    index: joint,
    committed: true,
    configuration: { voters: [1, 2, 4], outgoing: [1, 2, 3, 4] },
  });
  member.restart();
  expect(member.status.configuration).toMatchObject({ index: joint, committed: true });
  // Everybody has compacted it away: the configuration lives in the state alone.
  for (const id of [1, 2, 3]) {
    const each = cluster.member(id);
    each.compactTo(Math.min(each.appliedIndex, each.log.lastIndex));
    each.restart();
  }
  cluster.heal();
  cluster.tick(80);
  for (const id of [1, 2, 4])
    expect(cluster.member(id).status.configuration).toMatchObject({
      committed: true,
      configuration: { voters: [1, 2, 4], outgoing: [] },
    });
});

it('scenario 51: a member that waits for a snapshot, or cannot be reached, holds up nobody', () => {
  const { cluster, leader } = compactedPast(3);
  cluster.heal();
  cluster.tick(4);
  cluster.filter = ({ from }) => from !== 3;
  cluster.tick(10);
  expect(peer(leader, 3)).toMatchObject({ state: 'snapshot' });
  cluster.sent.length = 0;
  for (let count = 0; count < 10; count += 1) {
    leader.raft.propose([command('more')]);
    cluster.settle();
    expect(leader.status.commit).toBe(leader.status.lastIndex);
  }
  expect(appendsTo(3, cluster.sent)).toEqual([]);
  expect(peer(leader, 2)).toMatchObject({ state: 'replicate', match: leader.status.lastIndex });
  expect(cluster.member(2).applied.at(-1)?.index).toBe(leader.status.lastIndex);
});

it('scenario 28: the wish is repeated with heartbeats, and at once when the connection is back', () => {
  const { cluster, leader } = compactedPast(3);
  cluster.heal();
  cluster.tick(2);
  const asked = () => cluster.sent.filter(({ type }) => type === 'installSnapshot').length;
  const before = asked();
  expect(before).toBeGreaterThan(0);
  cluster.tick(6);
  expect(asked()).toBe(before + 3);
  leader.raft.peerDisconnected(3);
  leader.raft.peerConnected(3);
  cluster.settle();
  expect(asked()).toBe(before + 4);
});
