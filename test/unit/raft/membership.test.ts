import { expect, it } from 'vitest';
import { finalConfiguration, nextConfiguration } from '../../../src/raft/membership.ts';
import type { ConfigurationChange } from '../../../src/raft/ready.ts';
import {
  type Configuration,
  configurationProblem,
  decodeConfiguration,
  encodeConfiguration,
  isJoint,
  isMember,
  isVoter,
  MEMBERS_MAX,
} from '../../../src/types/configuration.ts';
import { Dice } from '../../sim/random.ts';
import { founded, record } from './cluster.ts';

const three = founded([1, 2, 3]).configuration;

function learner(id: number, replaces?: number): ConfigurationChange {
  return { kind: 'addLearner', member: record(id), promotion: 'automatic', replaces };
}

function applied(current: Configuration, ...changes: ConfigurationChange[]): Configuration {
  return changes.reduce((configuration, change) => {
    const next = nextConfiguration(configuration, change);
    if (typeof next === 'string') throw new Error(`${change.kind} was refused: ${next}`);
    return next;
  }, current);
}

it('scenario 64: a new member is a learner first; only a learner becomes a voter', () => {
  const withLearner = applied(three, learner(4));
  expect(withLearner).toMatchObject({ voters: [1, 2, 3], outgoing: [], highestId: 4 });
  expect(withLearner.learners).toEqual([{ id: 4, promotion: 'automatic', replaces: undefined }]);
  expect(nextConfiguration(three, { kind: 'promote', id: 4 })).toBe('unknown-member');
  expect(nextConfiguration(three, { kind: 'promote', id: 3 })).toBe('already-a-voter');
  expect(nextConfiguration(three, learner(3))).toBe('already-a-voter');
});

it('scenario 63: an id is never used twice, also after its member is gone', () => {
  const gone = finalConfiguration(applied(three, { kind: 'remove', id: 3 }));
  expect(gone.members.map(({ id }) => id)).toEqual([1, 2]);
  expect(nextConfiguration(gone, learner(3))).toBe('id-used-before');
  expect(nextConfiguration(gone, learner(0))).toBe('id-used-before');
  expect(nextConfiguration(applied(gone, learner(4)), learner(4))).toBe('id-used-before');
});

it('every change of voters is joint, and its final configuration describes only who is left', () => {
  const joint = applied(three, { kind: 'remove', id: 2 });
  expect(joint).toMatchObject({ voters: [1, 3], outgoing: [1, 2, 3] });
  expect(joint.members.map(({ id }) => id)).toEqual([1, 2, 3]);
  const final = finalConfiguration(joint);
  expect(final).toMatchObject({ voters: [1, 3], outgoing: [] });
  expect(final.members.map(({ id }) => id)).toEqual([1, 3]);
});

it('a replacement takes the place of the voter in one joint step', () => {
  const joint = applied(three, learner(4, 2), { kind: 'promote', id: 4 });
  expect(joint).toMatchObject({ voters: [1, 3, 4], outgoing: [1, 2, 3], learners: [] });
  expect(finalConfiguration(joint).members.map(({ id }) => id)).toEqual([1, 3, 4]);
  expect(nextConfiguration(three, learner(4, 9))).toBe('unknown-member');
});

it('a learner whose place to take is gone becomes a voter beside the others', () => {
  const both = applied(three, learner(4, 2), learner(5, 2));
  const first = finalConfiguration(applied(both, { kind: 'promote', id: 4 }));
  expect(first.learners).toEqual([{ id: 5, promotion: 'automatic', replaces: undefined }]);
  expect(applied(first, { kind: 'promote', id: 5 }).voters).toEqual([1, 3, 4, 5]);
});

it('a learner leaves in one step, the last voter never does', () => {
  const configuration = applied(three, learner(4), { kind: 'remove', id: 4 });
  expect(configuration).toMatchObject({ learners: [], outgoing: [], members: three.members });
  const one = founded([1]).configuration;
  expect(nextConfiguration(one, { kind: 'remove', id: 1 })).toBe('last-voter');
  expect(nextConfiguration(one, { kind: 'remove', id: 2 })).toBe('unknown-member');
});

it('a member can be described anew; there are at most so many', () => {
  const preferred = applied(three, { kind: 'update', member: record(2, 500) });
  expect(preferred.members[1]).toEqual(record(2, 500));
  const unknown = nextConfiguration(three, { kind: 'update', member: record(4) });
  expect(unknown).toBe('unknown-member');
  const ids = Array.from({ length: MEMBERS_MAX }, (_, position) => position + 1);
  const full = founded(ids).configuration;
  expect(nextConfiguration(full, learner(MEMBERS_MAX + 1))).toBe('too-many-members');
});

function anyChange(dice: Dice, current: Configuration): ConfigurationChange {
  const known = dice.integer(1, current.highestId + 1);
  const id = dice.pick([known, current.highestId + 1]);
  return dice.pick<ConfigurationChange>([
    {
      kind: 'addLearner',
      member: record(id, dice.integer(0, 1_000)),
      promotion: dice.pick(['automatic', 'manual']),
      replaces: dice.pick([undefined, known]),
    },
    { kind: 'promote', id: known },
    { kind: 'remove', id: known },
    { kind: 'update', member: record(known, dice.integer(0, 1_000)) },
  ]);
}

it('whatever is changed, the outcome is a configuration, and voters change through a joint one alone', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const dice = new Dice(seed);
    let current = founded([1, 2, 3].slice(0, dice.integer(1, 3))).configuration;
    for (let step = 0; step < 40; step += 1) {
      const change = anyChange(dice, current);
      const next = nextConfiguration(current, change);
      if (typeof next === 'string') continue;
      const where = `seed ${seed} step ${step}: ${JSON.stringify(change)}`;
      expect(configurationProblem(next), where).toBeUndefined();
      expect(decodeConfiguration(encodeConfiguration(next)), where).toEqual(next);
      expect(next.highestId, where).toBeGreaterThanOrEqual(current.highestId);
      if (isJoint(next)) {
        expect(next.outgoing, where).toEqual(current.voters);
        expect(next.voters, where).not.toEqual(current.voters);
      } else {
        expect(next.voters, where).toEqual(current.voters);
      }
      const final = isJoint(next) ? finalConfiguration(next) : next;
      expect(configurationProblem(final), where).toBeUndefined();
      for (const { replaces } of final.learners)
        if (replaces !== undefined) expect(final.voters, where).toContain(replaces);
      for (const { id } of current.members)
        if (!isMember(final, id)) expect(isVoter(final, id), where).toBe(false);
      current = final;
    }
  }
});
