import { beforeEach, describe, expect, it } from 'vitest';
import type { ReadState } from '../../../src/raft/ready.ts';
import { command, TestCluster, type TestMember } from './cluster.ts';

const DURATION_MS = 90;

let cluster: TestCluster;
let leader: TestMember;
let nowMs: number;

beforeEach(() => {
  cluster = new TestCluster(3, () => ({ leaseReads: { durationMs: DURATION_MS } }));
  nowMs = 1_000;
  setTime();
  leader = cluster.elect(1);
  tick(2);
});

function setTime(): void {
  for (const { raft } of cluster.members.values()) raft.setTime(nowMs);
}

/** Ten milliseconds each; the clock is told before the tick. */
function tick(count: number): void {
  for (let done = 0; done < count; done += 1) {
    nowMs += 10;
    setTime();
    cluster.tick(1);
  }
}

/** A read behind which the clock is told: what it is answered before any other member is heard. */
function readAtOnce(requestId: number): ReadState | undefined {
  leader.raft.readIndex(requestId);
  leader.raft.setTime(nowMs);
  cluster.deliver(leader.take());
  return leader.reads.find((each) => each.requestId === requestId);
}

function isServed(state: ReadState | undefined): boolean {
  return state !== undefined && 'index' in state;
}

it('a leader with a lease answers reads without asking anybody', () => {
  expect(leader.status.role).toBe('leader');
  expect(readAtOnce(1)).toEqual({ requestId: 1, index: 1 });
  cluster.member(2).raft.readIndex(2);
  cluster.deliver(cluster.member(2).drain());
  leader.raft.setTime(nowMs);
  const out = leader.drain();
  expect(out.map(({ type, to }) => [type, to])).toEqual([['readIndexReply', 2]]);
});

it('scenario 38: a leader that was paused beyond its lease answers no read on it', () => {
  nowMs += DURATION_MS + 20;
  expect(readAtOnce(1)).toBeUndefined();
  cluster.settle();
  expect(leader.reads).toEqual([{ requestId: 1, index: 1 }]);
});

it('scenario 38: a pause between the clock and the read does not help it', () => {
  leader.raft.setTime(nowMs);
  // The clock was looked at, the member slept, a new leader has written since, and then the read came.
  leader.raft.readIndex(1);
  leader.take();
  expect(leader.reads).toEqual([]);
});

it('scenario 38: an isolated leader answers for as long as its lease holds, and no longer', () => {
  cluster.cutOff(1);
  const answered: boolean[] = [];
  for (let count = 1; count <= 20; count += 1) {
    tick(1);
    answered.push(isServed(readAtOnce(count)));
  }
  const last = answered.lastIndexOf(true) + 1;
  expect(last).toBeGreaterThan(0);
  expect(last * 10).toBeLessThanOrEqual(DURATION_MS);
  expect(answered.slice(0, last)).not.toContain(false);
});

it('scenario 39: the lease starts when the heartbeat was sent, not when its answer came', () => {
  nowMs += DURATION_MS;
  setTime();
  leader.raft.tick();
  leader.raft.tick();
  const sentMs = nowMs;
  cluster.deliver(leader.take());
  // The answers take long.
  nowMs += DURATION_MS - 1;
  setTime();
  cluster.settle();
  expect(readAtOnce(1)).toEqual({ requestId: 1, index: 1 });
  nowMs = sentMs + DURATION_MS;
  expect(readAtOnce(2)).toBeUndefined();
});

it('scenario 39: a clock that is set back changes nothing', () => {
  nowMs += DURATION_MS + 20;
  leader.raft.setTime(nowMs);
  nowMs -= DURATION_MS;
  expect(readAtOnce(1)).toBeUndefined();
});

it('scenario 40: the lease is looked at for each read, to the millisecond', () => {
  cluster.cutOff(1);
  let lastMs = nowMs;
  for (let requestId = 1; isServed(readAtOnce(requestId)); requestId += 1) {
    lastMs = nowMs;
    nowMs += 1;
  }
  // The last round that was answered left with the second tick.
  expect(lastMs).toBe(1_020 + DURATION_MS - 1);
});

it('scenario 41: no read is answered on a lease during a transfer, nor after it in that term', () => {
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  leader.raft.transferLeadership(2);
  expect(readAtOnce(1)).toEqual({ requestId: 1, refused: 'transferring' });
  tick(12);
  expect(leader.status).toMatchObject({ role: 'leader', transferTarget: undefined, term: 1 });
  expect(readAtOnce(2)).toBeUndefined();
  cluster.settle();
  expect(leader.reads.at(-1)).toEqual({ requestId: 2, index: 1 });
});

it('a leader that handed over and leads again has a lease again, of its own term', () => {
  for (const [from, to] of [
    [1, 2],
    [2, 1],
  ] as const) {
    cluster.member(from).raft.transferLeadership(to);
    cluster.settle();
  }
  expect(leader.status).toMatchObject({ role: 'leader', term: 3 });
  expect(readAtOnce(1)).toBeUndefined();
  tick(2);
  expect(readAtOnce(2)).toEqual({ requestId: 2, index: 3 });
});

it('scenario 36: a new leader answers nothing on a lease before it has committed in its term', () => {
  cluster.cutOff(1);
  cluster.filter = ({ type, from, to }) => type !== 'append' && from !== 1 && to !== 1;
  tick(60);
  leader = cluster.leaders().find(({ id }) => id !== 1)!;
  expect(leader.status.role).toBe('leader');
  expect(readAtOnce(1)).toBeUndefined();
});

describe('with leases on, members keep the promise that a lease rests on', () => {
  const vote = { type: 'vote', from: 3, to: 2, term: 7, lastIndex: 99, lastTerm: 1 } as const;

  it('a broken connection to the leader shortens no election timeout', () => {
    cluster.member(2).raft.peerDisconnected(1);
    cluster.cutOff(1);
    cluster.member(2).raft.tick();
    cluster.member(2).raft.tick();
    expect(cluster.member(2).status).toMatchObject({ role: 'follower', leader: 1 });
  });

  it('a higher term that came some other way frees no vote', () => {
    const voter = cluster.member(2);
    voter.raft.step({ type: 'voteReply', from: 3, to: 2, term: 7, granted: false });
    expect(voter.status).toMatchObject({ term: 7, leader: undefined });
    voter.raft.step({ ...vote, transfer: false });
    expect(voter.drain()).toEqual([]);
    for (let count = 0; count < 10; count += 1) voter.raft.tick();
    voter.raft.step({ ...vote, transfer: false });
    expect(voter.drain()).toMatchObject([{ type: 'voteReply', granted: true }]);
  });

  it('a restart frees no vote; an election that the leader asked for does', () => {
    const voter = cluster.member(2);
    voter.restart();
    voter.raft.step({ ...vote, transfer: false });
    expect(voter.drain()).toEqual([]);
    voter.raft.step({ ...vote, transfer: true });
    expect(voter.drain()).toMatchObject([{ type: 'voteReply', granted: true }]);
  });

  it('no rival leads before the lease is over', () => {
    leader.raft.propose([command('a')]);
    cluster.settle();
    cluster.cutOff(1);
    for (let requestId = 1; requestId <= 40; requestId += 1) {
      tick(1);
      const rival = cluster.leaders().some(({ id }) => id !== 1);
      const answered = isServed(readAtOnce(requestId));
      expect(rival && answered).toBe(false);
    }
    expect(cluster.leaders().some(({ id }) => id !== 1)).toBe(true);
  });
});

describe('members whose configurations differ', () => {
  it.each([
    ['without leases', undefined],
    ['with shorter ones', { durationMs: DURATION_MS - 10 }],
  ])('a quorum that needs one %s gives no lease, and every read asks it', (_what, leaseReads) => {
    cluster = new TestCluster(3, (id) => ({
      leaseReads: id === 1 ? { durationMs: DURATION_MS } : leaseReads,
    }));
    setTime();
    leader = cluster.elect(1);
    tick(6);
    expect(readAtOnce(1)).toBeUndefined();
    cluster.settle();
    expect(leader.reads).toEqual([{ requestId: 1, index: 1 }]);
  });

  it('an old leader answers no stale read while those without leases elect another', () => {
    cluster = new TestCluster(3, (id) =>
      id === 1 ? { leaseReads: { durationMs: DURATION_MS } } : {},
    );
    setTime();
    leader = cluster.elect(1);
    tick(6);
    cluster.cutOff(1);
    for (const id of [2, 3]) cluster.member(id).raft.peerDisconnected(1);
    cluster.tick(3, [2, 3]);
    const successor = cluster.leaders().find(({ id }) => id !== 1);
    expect(successor?.raft.propose([command('new')])).toMatchObject({ term: 2 });
    cluster.settle();
    expect(isServed(readAtOnce(1))).toBe(false);
  });

  it('one that differs does not end the lease that the others give', () => {
    cluster = new TestCluster(3, (id) =>
      id === 3 ? {} : { leaseReads: { durationMs: DURATION_MS } },
    );
    setTime();
    leader = cluster.elect(1);
    tick(6);
    expect(isServed(readAtOnce(1))).toBe(true);
  });
});
