import { expect, it } from 'vitest';
import type { Message, Vote } from '../../../src/raft/messages.ts';
import { TestCluster, TestMember } from './cluster.ts';

function voteRequest(from: number, to: number, fields: Partial<Vote> = {}): Vote {
  return {
    type: 'vote',
    from,
    to,
    term: 5,
    lastIndex: 10,
    lastTerm: 4,
    transfer: false,
    ...fields,
  };
}

function replies(messages: Message[]): unknown[] {
  return messages.map(({ type, ...rest }) =>
    'granted' in rest ? [type, rest.to, rest.granted] : [type, rest.to],
  );
}

function timeOut(member: TestMember): void {
  for (let count = 0; count < 20 && member.status.role === 'follower'; count += 1)
    member.raft.tick();
}

it('scenario 2: a vote leaves only after its write, and is never given twice in a term', () => {
  const voter = new TestMember(3);
  voter.raft.step(voteRequest(1, 3));
  expect(voter.take()).toEqual([]);
  // It crashes before the write: the vote never left, so it may go to another.
  voter.restart();
  voter.raft.step(voteRequest(2, 3));
  expect(replies(voter.drain())).toEqual([['voteReply', 2, true]]);
  // It crashes after the write: the vote is remembered.
  voter.restart();
  voter.raft.step(voteRequest(1, 3));
  expect(replies(voter.drain())).toEqual([['voteReply', 1, false]]);
  voter.raft.step(voteRequest(2, 3));
  expect(replies(voter.drain())).toEqual([['voteReply', 2, true]]);
});

it("scenario 2: a candidate's requests and its own vote wait for its write", () => {
  const candidate = new TestMember(1, { voters: [1] });
  timeOut(candidate);
  expect(candidate.take()).toEqual([]);
  expect(candidate.status.role).toBe('candidate');
  candidate.writeAll();
  expect(candidate.status.role).toBe('leader');

  const asking = new TestMember(1);
  timeOut(asking);
  const preVotes = asking.drain();
  expect(replies(preVotes)).toEqual([
    ['preVote', 2],
    ['preVote', 3],
  ]);
  asking.raft.step({
    type: 'preVoteReply',
    from: 2,
    to: 1,
    term: 0,
    askedTerm: 0,
    granted: true,
  });
  expect(asking.take()).toEqual([]);
  expect(replies(asking.writeAll())).toEqual([
    ['vote', 2],
    ['vote', 3],
  ]);
});

it('scenario 4: a longer log of an older last term loses', () => {
  const voter = new TestMember(3, { terms: [1, 1, 3] });
  voter.raft.step(voteRequest(1, 3, { lastIndex: 9, lastTerm: 2 }));
  expect(replies(voter.drain())).toEqual([['voteReply', 1, false]]);
  voter.raft.step(voteRequest(2, 3, { lastIndex: 3, lastTerm: 3 }));
  expect(replies(voter.drain())).toEqual([['voteReply', 2, true]]);
});

it('scenario 4: a shorter log of the same last term loses', () => {
  const voter = new TestMember(3, { terms: [1, 1, 3] });
  voter.raft.step(voteRequest(1, 3, { lastIndex: 2, lastTerm: 3 }));
  expect(replies(voter.drain())).toEqual([['voteReply', 1, false]]);
});

it('scenario 5: a partitioned member rejoins without disturbing the leader', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.cutOff(3);
  cluster.tick(100);
  expect(cluster.member(3).status).toMatchObject({ role: 'preCandidate', term: 1 });
  cluster.heal();
  cluster.tick(5);
  expect(cluster.leaders().map(({ id }) => id)).toEqual([1]);
  for (const member of cluster.members.values())
    expect(member.status).toMatchObject({ term: 1, leader: 1 });
});

it('scenario 6: a PreVote rejected with a higher term makes the candidate adopt it', () => {
  const cluster = new TestCluster(2, (id) => (id === 1 ? { hardState: { term: 7, vote: 1 } } : {}));
  const behind = cluster.member(2);
  timeOut(behind);
  cluster.settle();
  expect(behind.status).toMatchObject({ role: 'follower', term: 7 });
  cluster.tick(40);
  expect(cluster.leaders()).toHaveLength(1);
});

it('scenario 6: a candidate with the higher term and the shorter log does not block the others', () => {
  const cluster = new TestCluster(3, (id) =>
    id === 3 ? { hardState: { term: 9, vote: 3 } } : { terms: [1, 1] },
  );
  cluster.tick(100);
  expect(cluster.leaders()).toHaveLength(1);
  expect(cluster.leaders()[0]?.id).not.toBe(3);
});

it('scenario 7: PreVote replies that come after winning are ignored', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const before = leader.status;
  for (const granted of [true, false])
    for (const askedTerm of [0, 1])
      leader.raft.step({ type: 'preVoteReply', from: 2, to: 1, term: 1, askedTerm, granted });
  expect(leader.status).toEqual(before);
  expect(leader.drain()).toEqual([]);
});

it('scenario 8: granting a PreVote leaves the timer, the term and the vote as they were', () => {
  const asked = new TestMember(2);
  const silent = new TestMember(2);
  while (silent.status.role === 'follower') {
    asked.raft.step({ type: 'preVote', from: 1, to: 2, term: 0, lastIndex: 0, lastTerm: 0 });
    asked.raft.tick();
    silent.raft.tick();
    expect(asked.status).toEqual(silent.status);
  }
  expect(asked.status).toMatchObject({ role: 'preCandidate', term: 0 });
  expect(asked.log.hardState).toEqual({ term: 0, vote: undefined });
});

it('scenario 10: a leader that sends but hears nothing steps down', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = (message) => message.to !== 1;
  cluster.tick(20);
  expect(leader.status).toMatchObject({ role: 'follower', leader: undefined });
  cluster.tick(40);
  expect(cluster.leaders().map(({ id }) => id)).not.toContain(1);
  expect(cluster.leaders()).toHaveLength(1);
});

it('scenario 11: a follower that cannot hear the leader disturbs nobody', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.filter = (message) => !(message.from === 1 && message.to === 3);
  cluster.tick(200);
  expect(cluster.member(1).status).toMatchObject({ role: 'leader', term: 1 });
  expect(cluster.member(2).status).toMatchObject({ leader: 1, term: 1 });
});

it('scenario 13: a member that is not eligible never campaigns, but votes', () => {
  const cluster = new TestCluster(3);
  const fenced = cluster.member(1);
  fenced.raft.setEligible(false);
  cluster.tick(100, [1]);
  expect(fenced.status).toMatchObject({ role: 'follower', term: 0 });
  cluster.filter = (message) => message.from !== 3 && message.to !== 3;
  const leader = cluster.elect(2);
  expect(leader.status.role).toBe('leader');
  fenced.raft.step({ type: 'timeoutNow', from: 2, to: 1, term: 1, lastIndex: 1 });
  expect(fenced.status.role).toBe('follower');
});

it('scenario 12: a candidate that is unknown here gets the vote by its log alone', () => {
  const member = new TestMember(1, { terms: [1, 1] });
  member.raft.step(voteRequest(9, 1, { term: 50, lastTerm: 1, lastIndex: 1 }));
  expect(replies(member.drain())).toEqual([['voteReply', 9, false]]);
  member.raft.step(voteRequest(9, 1, { term: 51, lastTerm: 1, lastIndex: 2 }));
  expect(replies(member.drain())).toEqual([['voteReply', 9, true]]);
});

it('what is meant for another member changes nothing', () => {
  const member = new TestMember(1);
  member.raft.step(voteRequest(2, 3, { term: 50 }));
  member.raft.step(voteRequest(1, 1, { term: 50 }));
  expect(member.drain()).toEqual([]);
  expect(member.status.term).toBe(0);
});

it('scenario 14: repeated split votes end within a bound', () => {
  const cluster = new TestCluster(5);
  // All campaign at once; their timers differ only by what they draw afterwards.
  for (const member of cluster.members.values()) timeOut(member);
  for (let ticks = 0; cluster.leaders().length === 0; ticks += 1) {
    expect(ticks).toBeLessThan(200);
    cluster.tick();
  }
});

it('scenario 21: votes of an old term do not count', () => {
  const cluster = new TestCluster(5);
  cluster.filter = (message) => message.type !== 'voteReply';
  cluster.elect(1);
  const candidate = cluster.member(1);
  cluster.filter = () => false;
  timeOut(candidate);
  for (let count = 0; count < 40 && candidate.status.term === 1; count += 1) {
    candidate.raft.tick();
    cluster.settle();
    if (candidate.status.role === 'preCandidate')
      for (const from of [2, 3])
        candidate.raft.step({
          type: 'preVoteReply',
          from,
          to: 1,
          term: 1,
          askedTerm: 1,
          granted: true,
        });
  }
  candidate.drain();
  expect(candidate.status).toMatchObject({ role: 'candidate', term: 2 });
  for (const from of [2, 3, 4])
    candidate.raft.step({ type: 'voteReply', from, to: 1, term: 1, granted: true });
  expect(candidate.status.role).toBe('candidate');
});

it('a broken connection to the leader starts an election within two ticks', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.cutOff(1);
  for (const id of [2, 3]) cluster.member(id).raft.peerDisconnected(1);
  cluster.tick(2, [2, 3]);
  expect([2, 3].map((id) => cluster.member(id).status.term)).toEqual([2, 2]);
  expect(cluster.leaders().filter(({ id }) => id !== 1)).toHaveLength(1);
});

it('of two members that ask at the same moment one steps back, so that the vote is not split', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.cutOff(1);
  for (const id of [2, 3]) {
    cluster.member(id).raft.peerDisconnected(1);
    for (let tick = 0; tick < 2; tick += 1) cluster.member(id).raft.tick();
    expect(cluster.member(id).status.role).toBe('preCandidate');
  }
  cluster.settle();
  expect(cluster.member(3).status).toMatchObject({ role: 'leader', term: 2 });
  expect(cluster.member(2).status).toMatchObject({ role: 'follower', leader: 3 });
});

it('a connection that breaks for one follower alone does not depose the leader', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.tick(3);
  cluster.filter = (message) => message.from !== 1 || message.to !== 3;
  cluster.member(3).raft.peerDisconnected(1);
  cluster.tick(50);
  expect(cluster.member(1).status).toMatchObject({ role: 'leader', term: 1 });
});

it('scenario 81: a disk that stalls for many election timeouts leads to no second leader in a term', () => {
  const cluster = new TestCluster(3);
  const stalled = cluster.elect(1);
  const leadersOf = new Map<number, number>();
  for (let tick = 0; tick < 600; tick += 1) {
    for (const member of cluster.members.values()) member.raft.tick();
    for (let round = 0; round < 4; round += 1) {
      // The first member takes what it must write and never gets it written; what needs no write leaves.
      const out = [stalled.take(), cluster.member(2).drain(), cluster.member(3).drain()];
      cluster.deliver(out.flat());
    }
    if (tick % 10 === 0)
      for (const { raft } of cluster.leaders()) raft.propose([new Uint8Array([tick % 256])]);
    for (const { id, status } of cluster.leaders()) {
      expect(leadersOf.get(status.term) ?? id).toBe(id);
      leadersOf.set(status.term, id);
    }
  }
  // The leader with the stalled disk went on committing through the others, then handed over.
  expect([...leadersOf.values()]).toEqual([1, expect.any(Number)]);
  const [successor] = cluster.leaders();
  expect(successor?.status.commit).toBeGreaterThan(50);
  expect(stalled.status).toMatchObject({ role: 'follower', leader: successor?.id });
  expect(stalled.applied.length).toBe(1);
  cluster.deliver(stalled.writeAll());
  cluster.tick(6);
  expect(stalled.applied.length).toBe(successor?.status.commit);
});
