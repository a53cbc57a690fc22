import { expect, it } from 'vitest';
import type { Entry } from '../../../src/types/entry.ts';
import { accepted, append, appendsTo, loneLeader, matches } from './append_fixture.ts';
import { command, entriesOf, TestCluster, TestMember } from './cluster.ts';

it('scenario 29: a write that was overtaken does not make the entries that replaced it durable', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  const original = entriesOf([5, 5]);
  follower.raft.step(append({ entries: original }));
  follower.take();
  // Overwritten by the leader of term 6, then by one of term 7 that holds the original entries.
  follower.raft.step(append({ from: 3, term: 6, entries: entriesOf([6, 6]) }));
  follower.take();
  follower.raft.step(append({ term: 7, entries: original, commit: 2 }));
  follower.take();
  const [first, second, third] = follower.unwritten.splice(0);
  follower.log.write(first!);
  follower.raft.persisted(first!.persist!);
  expect(follower.status.stableIndex).toBe(0);
  expect(follower.raft.takeReady()).toBeUndefined();
  follower.log.write(second!);
  follower.raft.persisted(second!.persist!);
  expect(follower.status.stableIndex).toBe(0);
  follower.log.write(third!);
  follower.raft.persisted(third!.persist!);
  expect(follower.status.stableIndex).toBe(2);
  expect(follower.raft.takeReady()?.committed).toEqual({ from: 1, toInclusive: 2 });
});

it('scenario 30: completions that are reported late or twice change nothing', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  for (const index of [1, 2, 3]) {
    const prevTerm = index === 1 ? 0 : 5;
    follower.raft.step(append({ prevIndex: index - 1, prevTerm, entries: entriesOf([5], index) }));
    follower.take();
  }
  const [first, second, third] = follower.unwritten.splice(0);
  for (const ready of [first!, second!, third!]) follower.log.write(ready);
  follower.raft.persisted(second!.persist!);
  expect(follower.status.stableIndex).toBe(2);
  follower.raft.persisted(first!.persist!);
  follower.raft.persisted(second!.persist!);
  expect(follower.status.stableIndex).toBe(2);
  follower.raft.persisted(third!.persist!);
  expect(follower.status.stableIndex).toBe(3);
});

it('scenario 30: an acknowledgement without a write of its own waits for the earlier one', () => {
  const follower = new TestMember(1, { hardState: { term: 5, vote: undefined } });
  follower.raft.step(append({ entries: entriesOf([5, 5]) }));
  follower.take();
  follower.raft.step(append({ entries: entriesOf([5, 5]) }));
  expect(follower.take()).toEqual([]);
  expect(follower.unwritten.map((ready) => ready.persist !== undefined)).toEqual([true, false]);
  expect(matches(follower.writeAll())).toEqual([2, 2]);
});

it('scenario 31: a new term is written with or before its first entries', () => {
  const follower = new TestMember(1);
  follower.raft.step(append({ entries: entriesOf([5]) }));
  const ready = follower.raft.takeReady();
  expect(ready?.hardState).toEqual({ term: 5, vote: undefined });
  expect(ready?.entries).toHaveLength(1);
  expect(ready?.messages).toEqual([]);
});

it('scenario 31: a log with entries above the durable term does not start', () => {
  const start = () => new TestMember(1, { terms: [1, 2], hardState: { term: 1, vote: undefined } });
  expect(start).toThrow('the vote was lost');
  expect(() => new TestMember(1, { terms: [1], applied: 2 })).toThrow('the log was lost');
});

it('scenario 31: nothing shows a new term before it is durable', () => {
  const follower = new TestMember(1);
  const { from, to } = { from: 2, to: 1 };
  follower.raft.step({ type: 'heartbeat', from, to, term: 9, commit: 0, readRound: 0 });
  follower.raft.step(append({ term: 9, prevIndex: 4, prevTerm: 8 }));
  follower.raft.readIndex(1);
  expect(follower.take()).toEqual([]);
  expect(follower.writeAll().map(({ type }) => type)).toEqual([
    'heartbeatReply',
    'appendReply',
    'readIndex',
  ]);
});

it('scenario 32: proposals are refused while quorum is lost, and taken again when it is back', () => {
  const cluster = new TestCluster(3, () => ({ maxUncommittedBytes: 200 }));
  const leader = cluster.elect(1);
  cluster.cutOff(1);
  const taken: number[] = [];
  for (let count = 0; count < 100; count += 1) {
    const answer = leader.raft.propose([command('0123456789')]);
    if ('index' in answer) taken.push(answer.index);
    else expect(answer).toEqual({ refused: 'too-many-uncommitted', leader: 1 });
  }
  expect(taken).toHaveLength(7);
  cluster.heal();
  cluster.settle();
  cluster.tick(4);
  expect(leader.status.commit).toBe(8);
  // The counter is drained exactly: as much fits as before.
  cluster.cutOff(1);
  for (let count = 0; count < 7; count += 1)
    expect(leader.raft.propose([command('0123456789')])).toHaveProperty('index');
  expect(leader.raft.propose([command('0123456789')])).toHaveProperty('refused');
});

it('scenario 32: a batch above the limit is taken when nothing waits', () => {
  const cluster = new TestCluster(3, () => ({ maxUncommittedBytes: 10 }));
  const leader = cluster.elect(1);
  expect(leader.raft.propose([new Uint8Array(500)])).toHaveProperty('index');
  expect(leader.raft.propose([new Uint8Array(1)])).toHaveProperty('refused');
  cluster.settle();
  expect(leader.raft.propose([new Uint8Array(1)])).toHaveProperty('index');
});

it('scenario 33: a follower never forwards a proposal; it names the leader', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1);
  expect(cluster.member(2).raft.propose([command('a')])).toEqual({
    refused: 'not-leader',
    leader: 1,
  });
  expect(cluster.member(2).drain()).toEqual([]);
});

it('scenario 34: a log read that fails while replicating stops the member; nothing leaves', () => {
  const leader = loneLeader();
  leader.raft.propose([command('a')]);
  leader.drain();
  leader.log.entries = (): Entry[] => {
    throw new Error('the disk cannot be read');
  };
  const conflict = { prevIndex: 0, hintIndex: 0, hintTerm: 0 };
  leader.raft.peerDisconnected(2);
  leader.raft.step({ ...accepted(2, 0), conflict });
  expect(() => leader.raft.takeReady()).toThrow('the disk cannot be read');
  expect(() => leader.raft.takeReady()).toThrow('must stop');
  expect(() => leader.raft.step(accepted(2, 1))).toThrow('must stop');
});

it('scenario 77: writes that a crash loses were never acknowledged', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const follower = cluster.member(2);
  cluster.filter = ({ from, to }) => from !== 3 && to !== 3;
  leader.raft.propose([command('a')]);
  cluster.deliver(leader.drain());
  expect(follower.take()).toEqual([]);
  expect(follower.unwritten.flatMap(({ entries }) => entries)).toHaveLength(1);
  follower.restart();
  cluster.settle();
  expect(leader.status).toMatchObject({ commit: 1, lastIndex: 2 });
  cluster.tick(6);
  expect(leader.status.commit).toBe(2);
  expect(follower.log.stored).toHaveLength(2);
});

it('scenario 82: power loss everywhere loses nothing that was acknowledged', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.propose([command('acknowledged')]);
  cluster.settle();
  expect(leader.applied).toHaveLength(2);
  leader.raft.propose([command('under way')]);
  cluster.deliver(leader.take());
  for (const id of [2, 3]) cluster.member(id).take();
  for (const member of cluster.members.values()) member.restart();
  cluster.tick(60);
  const [next] = cluster.leaders();
  expect(next?.status.commit).toBe(3);
  for (const member of cluster.members.values()) {
    const texts = member.log.stored.map(({ data }) => new TextDecoder().decode(data));
    expect(texts).toEqual(['', 'acknowledged', '']);
  }
});

it('scenario 78: a single member commits after its own flush', () => {
  const member = new TestMember(1, { voters: [1] });
  for (let count = 0; count < 20; count += 1) member.raft.tick();
  member.drain();
  member.raft.propose([command('a')]);
  member.take();
  expect(member.status.commit).toBe(1);
  member.writeAll();
  expect(member.status.commit).toBe(2);
});

it('tells followers of a new commit index at once, without entries or a heartbeat', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  leader.raft.propose([command('a')]);
  cluster.settle();
  for (const member of cluster.members.values()) expect(member.status.commit).toBe(2);
});

it('gathers the proposals of one turn into one append, and sends no data twice', () => {
  const cluster = new TestCluster(3);
  const leader = cluster.elect(1);
  const datas = Array.from({ length: 50 }, (_, position) => command(`${position}`));
  for (const data of datas) leader.raft.propose([data]);
  const appends = appendsTo(2, leader.take());
  expect(appends.map(({ entries }) => entries.length)).toEqual([50]);
  expect(appends[0]?.entries[0]?.data).toBe(datas[0]);
});

it('keeps an append within its byte limit, but sends a larger entry alone', () => {
  const leader = loneLeader({ maxAppendBytes: 100 });
  leader.raft.step(accepted(2, 1));
  leader.drain();
  leader.raft.propose([30, 30, 30, 500, 30].map((size) => new Uint8Array(size)));
  const sizes = appendsTo(2, leader.drain()).map(({ entries }) =>
    entries.map(({ data }) => data.length),
  );
  expect(sizes).toEqual([[30, 30], [30], [500], [30]]);
});

it('refuses data that no message could carry', () => {
  const leader = loneLeader();
  const tooLarge = new Uint8Array(16 * 1024 * 1024 + 1);
  expect(leader.raft.propose([tooLarge])).toEqual({ refused: 'too-large', leader: 1 });
});
