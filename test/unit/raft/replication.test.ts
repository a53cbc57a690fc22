import { expect, it } from 'vitest';
import { Raft } from '../../../src/raft/raft.ts';
import { accepted, append, appendsTo, loneLeader, matches } from './append_fixture.ts';
import { command, entriesOf, founded, MemoryLog, TestCluster, TestMember } from './cluster.ts';

function termsOf(member: TestMember): number[] {
  return member.log.stored.map((entry) => entry.term);
}

it('scenario 1: an old-term entry on a majority commits only through one of the current term', () => {
  // Figure 8 (c): member 1 leads term 4; index 2 of term 2 is on members 1, 2 and 3.
  const logs = [[], [1, 2], [1, 2], [1, 2], [1], [1, 3]];
  const cluster = new TestCluster(5, (id) => ({
    terms: logs[id] ?? [],
    hardState: { term: 3, vote: id === 5 ? 5 : undefined },
  }));
  cluster.filter = (message) => message.type !== 'append';
  const leader = cluster.elect(1);
  expect(leader.status).toMatchObject({ role: 'leader', term: 4, lastIndex: 3 });
  for (const from of [2, 3]) leader.raft.step(accepted(from, 2, 4));
  leader.drain();
  expect(leader.status.commit).toBe(0);
  for (const from of [2, 3]) leader.raft.step(accepted(from, 3, 4));
  leader.drain();
  expect(leader.status.commit).toBe(3);
});

it('scenario 1: the leader of figure 8 (d) may still replace what did not commit', () => {
  const logs = [[], [1, 2], [1, 2], [1, 2], [1], [1, 3]];
  const cluster = new TestCluster(5, (id) => ({ terms: logs[id] ?? [] }));
  const leader = cluster.elect(5);
  expect(leader.status.role).toBe('leader');
  for (const member of cluster.members.values()) expect(termsOf(member)).toEqual([1, 3, 4]);
});

it('scenario 3: a leader counts its own log only after its own flush', () => {
  const leader = loneLeader();
  leader.raft.propose([command('a')]);
  leader.take();
  leader.raft.step(accepted(2, 1));
  expect(leader.status.commit).toBe(1);
  expect(leader.raft.propose([command('b')])).toEqual({ index: 3, term: 1 });
  leader.take();
  leader.raft.step(accepted(2, 3));
  // One durable copy, on member 2: its own write is under way.
  expect(leader.status.commit).toBe(1);
  leader.writeAll();
  expect(leader.status.commit).toBe(3);
});

it('scenario 3: followers alone can commit; the leader applies after its own flush', () => {
  const leader = loneLeader();
  leader.raft.propose([command('a')]);
  leader.take();
  for (const from of [2, 3]) leader.raft.step(accepted(from, 2));
  leader.take();
  expect(leader.status.commit).toBe(2);
  expect(leader.applied.map(({ index }) => index)).toEqual([1]);
  leader.writeAll();
  expect(leader.applied.map(({ index }) => index)).toEqual([1, 2]);
});

it('scenario 16: a duplicate or older append truncates nothing that matches', () => {
  const follower = new TestMember(1);
  const entries = entriesOf([5, 5, 5, 5]);
  follower.raft.step(append({ entries }));
  follower.drain();
  follower.raft.step(append({ entries: entries.slice(0, 2) }));
  follower.raft.step(append({ prevIndex: 1, prevTerm: 5, entries: entries.slice(1, 3) }));
  follower.raft.step(append());
  expect(matches(follower.take())).toEqual([]);
  const writes = follower.unwritten.flatMap((ready) => ready.entries);
  expect(writes).toEqual([]);
  expect(matches(follower.writeAll())).toEqual([2, 3, 0]);
  expect(termsOf(follower)).toEqual([5, 5, 5, 5]);
});

it('scenario 17: the logs of figure 7 become equal to the leader in few round trips', () => {
  const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const figure7: Record<string, number[]> = {
    a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
    b: [1, 1, 1, 4],
    c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    e: [1, 1, 1, 4, 4, 4, 4],
    f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  };
  for (const [name, terms] of Object.entries(figure7)) {
    const cluster = new TestCluster(3, (id) => ({
      terms: id === 3 ? terms : leaderTerms,
      hardState: { term: 7, vote: undefined },
    }));
    cluster.filter = (message) => message.from !== 3 || message.type !== 'preVoteReply';
    cluster.elect(1);
    const rejections = cluster.sent.filter(
      (message) => message.type === 'appendReply' && message.conflict !== undefined,
    );
    expect(rejections.length, `log (${name})`).toBeLessThanOrEqual(2);
    expect(termsOf(cluster.member(3)), `log (${name})`).toEqual([...leaderTerms, 8]);
    expect(cluster.member(3).status.commit).toBe(11);
  }
});

it('scenario 17: a committed entry is never truncated; the member stops instead', () => {
  const follower = new TestMember(1);
  follower.raft.step(append({ entries: entriesOf([5, 5]), commit: 2 }));
  follower.drain();
  const conflicting = append({ term: 6, prevIndex: 1, prevTerm: 5, entries: entriesOf([6], 2) });
  expect(() => follower.raft.step(conflicting)).toThrow('committed index 2');
  expect(() => follower.raft.tick()).toThrow('must stop');
  expect(termsOf(follower)).toEqual([5, 5]);
});

it('scenario 18: a previous index below the commit index is not a conflict', () => {
  const follower = new TestMember(1);
  const entries = entriesOf([5, 5, 5, 5]);
  follower.raft.step(append({ entries: entries.slice(0, 3), commit: 3 }));
  follower.drain();
  follower.raft.step(append({ prevIndex: 1, prevTerm: 5, entries: entries.slice(1), commit: 3 }));
  expect(matches(follower.drain())).toEqual([4]);
  expect(termsOf(follower)).toEqual([5, 5, 5, 5]);
});

it('scenario 18: entries compacted away are neither compared nor written again', () => {
  const log = new MemoryLog();
  log.stored = entriesOf([5, 5, 5]);
  log.compactTo(2);
  const raft = new Raft(
    {
      id: 1,
      configuration: founded([1, 2, 3]),
      electionTicks: 10,
      heartbeatTicks: 2,
      applied: 2,
      hardState: { term: 5, vote: 2 },
    },
    { log, random: () => 0.5 },
  );
  raft.step(append({ entries: entriesOf([5, 5, 5, 5]), commit: 4 }));
  const ready = raft.takeReady();
  expect(ready?.entries.map(({ index }) => index)).toEqual([4]);
  expect(matches(ready?.messagesAfterPersist ?? [])).toEqual([4]);
});

it('scenario 19: a rejection that comes after a success changes nothing', () => {
  const leader = loneLeader();
  leader.raft.propose([command('a'), command('b')]);
  leader.drain();
  leader.raft.step(accepted(2, 3));
  leader.drain();
  const late = { prevIndex: 1, hintIndex: 0, hintTerm: 0 };
  leader.raft.step({ ...accepted(2, 0), conflict: late });
  leader.raft.step({ ...accepted(2, 0), conflict: { ...late, prevIndex: 3 } });
  expect(leader.status.peers[0]).toMatchObject({ match: 3, next: 4, state: 'replicate' });
  expect(appendsTo(2, leader.drain())).toHaveLength(0);
});

it('scenario 19: acknowledgements out of order never lower match', () => {
  const leader = loneLeader();
  leader.raft.propose([command('a'), command('b')]);
  leader.drain();
  for (const match of [3, 1, 2, 3]) {
    leader.raft.step(accepted(2, match));
    expect(leader.status.peers[0]).toMatchObject({ match: 3, next: 4 });
  }
});

it('scenario 20: an acknowledgement from before this term, or of more than there is, is not counted', () => {
  const leader = loneLeader();
  leader.raft.step(accepted(2, 1, 0));
  leader.raft.step(accepted(3, 2));
  leader.raft.step(accepted(3, Number.MAX_SAFE_INTEGER));
  expect(leader.status).toMatchObject({ commit: 0 });
  expect(leader.status.peers.map(({ match }) => match)).toEqual([0, 0]);
});

it('scenario 20: a follower that lost what it acknowledged is not asked in a tight loop, and stops', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.propose([command('a')]);
  cluster.settle();
  const wiped = cluster.member(3);
  wiped.log.stored = [];
  wiped.restart();
  leader.raft.peerDisconnected(3);
  leader.drain();
  const rejection = { prevIndex: 2, hintIndex: 0, hintTerm: 0 };
  leader.raft.step({ ...accepted(3, 0), conflict: rejection });
  expect(leader.drain()).toEqual([]);
  wiped.raft.step({ type: 'heartbeat', from: 1, to: 3, term: 1, commit: 0, readRound: 0 });
  expect(() =>
    wiped.raft.step({ type: 'heartbeat', from: 1, to: 3, term: 1, commit: 2, readRound: 0 }),
  ).toThrow('rejoin under a new id');
});

it('scenario 21: appends and heartbeats of an old term change nothing and tell the sender the new one', () => {
  const follower = new TestMember(1, { terms: [5], hardState: { term: 6, vote: undefined } });
  follower.raft.step(append({ term: 4, entries: entriesOf([4]) }));
  follower.raft.step({ type: 'heartbeat', from: 2, to: 1, term: 4, commit: 1, readRound: 9 });
  const answers = follower.drain();
  expect(answers.map(({ type, term }) => [type, term])).toEqual([
    ['heartbeatReply', 6],
    ['heartbeatReply', 6],
  ]);
  expect(follower.status).toMatchObject({ commit: 0, leader: undefined, lastIndex: 1 });
});

it('scenario 22: two of four acknowledgements do not commit', () => {
  const cluster = new TestCluster(4);
  cluster.filter = (message) => message.type !== 'append';
  const leader = cluster.elect(1);
  leader.raft.step(accepted(2, 1));
  expect(leader.status.commit).toBe(0);
  leader.raft.step(accepted(3, 1));
  expect(leader.status.commit).toBe(1);
});

it('scenario 24: a commit index beyond the verified prefix is clamped to it', () => {
  // Indexes 2 and 3 are a stale tail that the leader of term 5 may not have.
  const follower = new TestMember(1, { terms: [1, 2, 2] });
  follower.raft.step(append({ prevIndex: 1, prevTerm: 1, commit: 3 }));
  expect(follower.status.commit).toBe(1);
  follower.raft.step(append({ prevIndex: 1, prevTerm: 1, commit: 3, entries: entriesOf([5], 2) }));
  expect(follower.status.commit).toBe(2);
  expect(follower.status.lastIndex).toBe(2);
});

it('scenario 24: a heartbeat carries the commit index no further than the match', () => {
  const leader = loneLeader();
  leader.raft.propose([command('a'), command('b')]);
  leader.drain();
  leader.raft.step(accepted(2, 3));
  leader.drain();
  leader.raft.tick();
  leader.raft.tick();
  const heartbeats = leader.drain().filter(({ type }) => type === 'heartbeat');
  expect(heartbeats).toMatchObject([
    { to: 2, commit: 3 },
    { to: 3, commit: 0 },
  ]);
});

it('scenario 25: a full window stops the sender, lost messages do not stop it for ever', () => {
  const leader = loneLeader({ maxInflightAppends: 3, maxAppendBytes: 20 });
  leader.raft.step(accepted(2, 1));
  leader.drain();
  leader.raft.propose(Array.from({ length: 10 }, (_, position) => command(`${position}`)));
  const lost = appendsTo(2, leader.drain());
  expect(lost.map(({ entries }) => entries.length)).toEqual([1, 1, 1]);
  // All three are lost. After a silent heartbeat interval an empty append finds out.
  leader.raft.tick();
  leader.raft.tick();
  leader.drain();
  leader.raft.step({
    type: 'heartbeatReply',
    from: 2,
    to: 1,
    term: 1,
    readRound: 0,
    eligible: true,
    leaseMs: 0,
  });
  const [probe] = appendsTo(2, leader.drain());
  expect(probe).toMatchObject({ prevIndex: 4, entries: [] });
  const conflict = { prevIndex: 4, hintIndex: 1, hintTerm: 1 };
  leader.raft.step({ ...accepted(2, 0), conflict });
  expect(appendsTo(2, leader.drain())[0]).toMatchObject({ prevIndex: 1 });
  leader.raft.step(accepted(2, 2));
  expect(appendsTo(2, leader.drain())).toHaveLength(3);
});

it('scenario 25: a cluster that loses every third message still commits everything', () => {
  const cluster = new TestCluster(3, () => ({ maxInflightAppends: 2, maxAppendBytes: 20 }));
  const leader = cluster.elect(1);
  let count = 0;
  cluster.filter = ({ type }) => {
    if (type !== 'append') return true;
    count += 1;
    return count % 3 !== 0;
  };
  leader.raft.propose(Array.from({ length: 40 }, (_, position) => command(`${position}`)));
  cluster.tick(200);
  for (const member of cluster.members.values()) expect(member.status.commit).toBe(41);
});

it('scenario 26: a peer reported unreachable that is current leaves the probing state', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.peerDisconnected(2);
  expect(leader.status.peers[0]).toMatchObject({ state: 'probe', match: 1 });
  cluster.settle();
  expect(leader.status.peers[0]).toMatchObject({ state: 'replicate', match: 1, next: 2 });
});

it('scenario 26: a lost probe is repeated when the peer is heard again', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.cutOff(2);
  leader.raft.peerDisconnected(2);
  cluster.settle();
  expect(leader.status.peers[0]?.state).toBe('probe');
  cluster.heal();
  cluster.tick(4);
  expect(leader.status.peers[0]).toMatchObject({ state: 'replicate' });
});
