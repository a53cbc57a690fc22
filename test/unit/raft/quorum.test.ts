import { expect, it } from 'vitest';
import { quorumSize, quorumValue, voteResult } from '../../../src/raft/quorum.ts';
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
