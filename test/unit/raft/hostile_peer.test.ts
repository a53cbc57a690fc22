import { expect, it } from 'vitest';
import { RaftError } from '../../../src/raft/error.ts';
import type { Message } from '../../../src/raft/messages.ts';
import { Dice } from '../../sim/random.ts';
import { entriesOf, TestCluster, TestMember } from './cluster.ts';

/** A message with plausible but arbitrary numbers. */
function anyMessage(dice: Dice, term: number): Message {
  const small = () => dice.pick([0, 1, 2, 3, 4, 5, 9, Number.MAX_SAFE_INTEGER]);
  const header = { from: dice.integer(0, 4), to: 1, term: Math.max(0, term + dice.integer(-1, 1)) };
  const position = { lastIndex: small(), lastTerm: small() };
  const prevIndex = dice.integer(0, 6);
  const prevTerm = dice.integer(0, header.term);
  const count = header.term === 0 ? 0 : dice.integer(0, 3);
  const draw = () => dice.integer(Math.max(1, prevTerm), header.term);
  const terms = Array.from({ length: count }, draw).sort((left, right) => left - right);
  const conflict = { prevIndex: small(), hintIndex: small(), hintTerm: small() };
  const read = { session: small(), batch: small() };
  return dice.pick<Message>([
    { type: 'preVote', ...header, ...position },
    { type: 'preVoteReply', ...header, askedTerm: term, granted: dice.chance(0.5) },
    { type: 'vote', ...header, ...position, transfer: dice.chance(0.5) },
    { type: 'voteReply', ...header, granted: dice.chance(0.5) },
    {
      type: 'append',
      ...header,
      prevIndex,
      prevTerm,
      commit: small(),
      entries: entriesOf(terms, prevIndex + 1),
    },
    { type: 'appendReply', ...header, match: small(), conflict: undefined },
    { type: 'appendReply', ...header, match: 0, conflict },
    { type: 'heartbeat', ...header, commit: small(), readRound: small() },
    {
      type: 'heartbeatReply',
      ...header,
      readRound: small(),
      eligible: dice.chance(0.5),
      leaseMs: small(),
    },
    { type: 'installSnapshot', ...header, index: small() },
    { type: 'readIndex', ...header, ...read },
    { type: 'readIndexReply', ...header, ...read, index: dice.pick([undefined, small()]) },
    { type: 'timeoutNow', ...header, lastIndex: small() },
  ]);
}

it('whatever a peer sends, no assertion of ours breaks and committed entries stay', () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const dice = new Dice(seed);
    const cluster = new TestCluster(3);
    const member = dice.chance(0.5) ? cluster.elect(1) : new TestMember(1, { terms: [1, 1] });
    for (let step = 0; step < 100; step += 1) {
      const applied = [...member.applied];
      try {
        if (dice.chance(0.2)) member.raft.tick();
        else if (dice.chance(0.05)) member.raft.propose([new Uint8Array(4)]);
        else member.raft.step(anyMessage(dice, member.status.term));
        if (dice.chance(0.5)) member.drain();
        else member.take();
      } catch (thrown) {
        expect(thrown, `seed ${seed}`).toBeInstanceOf(RaftError);
        break;
      }
      expect(member.applied.slice(0, applied.length), `seed ${seed}`).toEqual(applied);
    }
  }
});
