import { expect, it } from 'vitest';
import type { Message } from '../../../src/raft/messages.ts';
import { command, TestCluster } from './cluster.ts';

it('scenario 35: an isolated old leader answers no read, and refuses once it steps down', () => {
  const cluster = new TestCluster(3);
  const old = cluster.elect(1);
  cluster.cutOff(1);
  old.raft.readIndex(1);
  cluster.settle();
  expect(old.reads).toEqual([]);
  cluster.tick(20);
  expect(old.reads).toEqual([{ requestId: 1, refused: 'leader-changed' }]);
  old.raft.readIndex(2);
  cluster.settle();
  expect(old.reads.at(-1)).toEqual({ requestId: 2, refused: 'not-leader' });
});

it('scenario 35: confirmations of an earlier round or term do not count', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.cutOff(1);
  leader.raft.readIndex(1);
  leader.drain();
  const reply = { type: 'heartbeatReply', to: 1, eligible: true, leaseMs: 0 } as const;
  leader.raft.step({ ...reply, from: 2, term: 1, readRound: 0 });
  leader.raft.step({ ...reply, from: 2, term: 0, readRound: 1 });
  leader.raft.step({ ...reply, from: 2, term: 1, readRound: 2 });
  leader.drain();
  expect(leader.reads).toEqual([]);
  leader.raft.step({ ...reply, from: 2, term: 1, readRound: 1 });
  leader.drain();
  expect(leader.reads).toEqual([{ requestId: 1, index: 1 }]);
});

it('scenario 22: a read of four members needs three', () => {
  const cluster = new TestCluster(4);
  const leader = cluster.elect(1);
  cluster.filter = (message) => message.to === 2 || message.from === 2;
  leader.raft.readIndex(1);
  cluster.settle();
  expect(leader.reads).toEqual([]);
  cluster.heal();
  cluster.tick(3);
  expect(leader.reads).toEqual([{ requestId: 1, index: 1 }]);
});

it('scenario 36: a read waits until an entry of the current term is committed', () => {
  const cluster = new TestCluster(3, (id) => ({ terms: id === 3 ? [1] : [1, 1] }));
  cluster.filter = (message) => message.type !== 'append';
  const leader = cluster.elect(1);
  expect(leader.status).toMatchObject({ role: 'leader', commit: 0 });
  leader.raft.readIndex(1);
  cluster.settle();
  expect(leader.reads).toEqual([]);
  cluster.heal();
  cluster.tick(3);
  expect(leader.reads).toEqual([{ requestId: 1, index: 3 }]);
});

it('scenario 37: an answer from before a restart fits no request after it', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const follower = cluster.member(2);
  const late: Message[] = [];
  cluster.filter = (message) => {
    if (message.type === 'readIndexReply') late.push(message);
    return message.type !== 'readIndexReply';
  };
  follower.raft.readIndex(1);
  cluster.settle();
  expect(late).toMatchObject([{ batch: 1, index: 1 }]);
  leader.raft.propose([command('a')]);
  follower.restart();
  cluster.tick(4);
  // The first read after the restart has the number that the one before it had.
  follower.raft.readIndex(1);
  cluster.settle();
  expect(late).toMatchObject([{ batch: 1 }, { batch: 1, index: 2 }]);
  follower.raft.step(late[0]!);
  follower.drain();
  expect(follower.reads).toEqual([]);
  follower.raft.step(late[1]!);
  follower.drain();
  expect(follower.reads).toEqual([{ requestId: 1, index: 2 }]);
});

it('scenario 37: reads under way are refused when the leader changes, and late answers ignored', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  const follower = cluster.member(2);
  cluster.cutOff(1);
  follower.raft.readIndex(1);
  cluster.settle();
  const [asked] = cluster.sent.filter(({ type }) => type === 'readIndex');
  cluster.elect(3);
  cluster.tick(40, [2, 3]);
  expect(follower.reads).toEqual([{ requestId: 1, refused: 'leader-changed' }]);
  const { session, batch } = asked as { session: number; batch: number };
  const late = { from: 1, to: 2, term: 1, session, batch, index: 1 };
  follower.raft.step({ type: 'readIndexReply', ...late });
  follower.drain();
  expect(follower.reads).toHaveLength(1);
});

it('scenario 37: a lost request or answer is refused after an election timeout', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'readIndexReply';
  const follower = cluster.member(2);
  follower.raft.readIndex(5);
  cluster.tick(11);
  expect(follower.reads).toEqual([{ requestId: 5, refused: 'leader-changed' }]);
  cluster.heal();
  follower.raft.readIndex(6);
  cluster.settle();
  expect(follower.reads.at(-1)).toEqual({ requestId: 6, index: 1 });
});

it('scenario 41: a read during a leadership transfer is refused, also for a follower', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  cluster.filter = ({ type }) => type !== 'timeoutNow';
  leader.raft.transferLeadership(2);
  leader.raft.readIndex(1);
  cluster.member(3).raft.readIndex(2);
  cluster.settle();
  expect(leader.reads).toEqual([{ requestId: 1, refused: 'transferring' }]);
  expect(cluster.member(3).reads).toEqual([{ requestId: 2, refused: 'not-leader' }]);
});

it('scenario 42: after a restart the read index is ahead of the state machine, which must catch up', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.propose([command('a'), command('b')]);
  cluster.settle();
  const follower = cluster.member(2);
  follower.restart();
  expect(follower.status.commit).toBe(0);
  cluster.tick(4);
  follower.raft.readIndex(1);
  cluster.settle();
  expect(follower.reads).toEqual([{ requestId: 1, index: 3 }]);
});

it('all reads of one turn share a round', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  for (let id = 1; id <= 100; id += 1) leader.raft.readIndex(id);
  const heartbeats = leader.take().filter(({ type }) => type === 'heartbeat');
  expect(heartbeats).toHaveLength(2);
  cluster.deliver(heartbeats);
  cluster.settle();
  expect(leader.reads).toHaveLength(100);
});

it('refuses reads above its limit and serves the others', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  for (let id = 1; id <= 65_537; id += 1) leader.raft.readIndex(id);
  cluster.settle();
  const refused = leader.reads.filter((state) => 'refused' in state);
  expect(refused).toEqual([{ requestId: 65_537, refused: 'too-many-reads' }]);
  expect(leader.reads).toHaveLength(65_537);
});
