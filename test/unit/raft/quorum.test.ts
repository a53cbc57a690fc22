import { expect, it } from 'vitest';
import {
  hasQuorum,
  jointQuorumValue,
  quorumSize,
  quorumValue,
  voteResult,
} from '../../../src/raft/quorum.ts';
import { Dice } from '../../sim/random.ts';

const simple = (voters: number[]) => ({ voters, outgoing: [] });

it('scenario 22: an even-sized cluster needs more than half', () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(quorumSize)).toEqual([1, 2, 2, 3, 3, 4, 4]);
  expect(quorumValue([9, 9, 1, 1])).toBe(1);
  expect(quorumValue([9, 1])).toBe(1);
  const half = new Map([
    [1, true],
    [2, true],
  ]);
  expect(voteResult(simple([1, 2, 3, 4]), half)).toBe('pending');
  expect(voteResult(simple([1, 2, 3, 4]), new Map([...half, [3, false], [4, false]]))).toBe('lost');
});

it('scenario 23: the quorum value equals the one found by trying every value', () => {
  const seed = 23;
  const dice = new Dice(seed);
  for (let round = 0; round < 5_000; round += 1) {
    const values = Array.from({ length: dice.integer(1, 7) }, () => dice.integer(0, 6));
    const reached = values.filter(
      (value) => values.filter((other) => other >= value).length > values.length / 2,
    );
    expect(quorumValue([...values]), `seed ${seed}: ${values}`).toBe(Math.max(0, ...reached));
  }
});

it('votes of strangers do not count', () => {
  expect(
    voteResult(
      simple([1, 2, 3]),
      new Map([
        [1, true],
        [8, true],
        [9, true],
      ]),
    ),
  ).toBe('pending');
});

function subsets([first, ...rest]: readonly number[]): number[][] {
  if (first === undefined) return [[]];
  const without = subsets(rest);
  return [...without, ...without.map((subset) => [first, ...subset])];
}

it('scenario 23: majorities of both halves equal those found by trying every set of members', () => {
  const seed = 230;
  const dice = new Dice(seed);
  const ids = [1, 2, 3, 4, 5, 6];
  for (let round = 0; round < 1_000; round += 1) {
    const half = () => dice.pick(subsets(ids));
    const electorate = { voters: [dice.pick(ids)], outgoing: half() };
    electorate.voters = [...new Set([...electorate.voters, ...half()])];
    const halves = [electorate.voters, electorate.outgoing].filter(({ length }) => length > 0);
    const decides = (members: readonly number[]) =>
      halves.every((each) => each.filter((id) => members.includes(id)).length * 2 > each.length);
    const match = new Map(ids.map((id) => [id, dice.integer(0, 5)]));
    const reached = [0, 1, 2, 3, 4, 5].filter((index) =>
      decides(ids.filter((id) => (match.get(id) ?? 0) >= index)),
    );
    const where = `seed ${seed} round ${round}`;
    const value = jointQuorumValue(electorate, (id) => match.get(id) ?? 0);
    expect(value, where).toBe(Math.max(...reached));
    const some = half();
    expect(
      hasQuorum(electorate, (id) => some.includes(id)),
      where,
    ).toBe(decides(some));
    const votes = new Map(half().map((id) => [id, dice.chance(0.6)]));
    const granted = ids.filter((id) => votes.get(id) === true);
    const open = ids.filter((id) => votes.get(id) !== false);
    const expected = decides(granted) ? 'won' : decides(open) ? 'pending' : 'lost';
    expect(voteResult(electorate, votes), where).toBe(expected);
  }
});
