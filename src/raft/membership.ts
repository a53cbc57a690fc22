import type { Configuration, MemberRecord } from '../types/configuration.ts';
import { isVoter, MEMBERS_MAX } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import type { ConfigurationChange, ConfigurationRefusal } from './ready.ts';

type Refused = ConfigurationRefusal['refused'];

/**
 * The configuration that a change leads to, or why it leads to none. Pure: whether this is the moment for a
 * change is the leader's business. Voters change through a joint configuration alone (dissertation 4.3),
 * which `finalConfiguration` ends; learners and descriptions change in one step, since no quorum rests on them.
 *
 * @param current must not be joint
 */
export function nextConfiguration(
  current: Configuration,
  change: ConfigurationChange,
): Configuration | Refused {
  switch (change.kind) {
    case 'addLearner':
      return withLearner(current, change);
    case 'promote':
      return promoted(current, change.id);
    case 'remove':
      return without(current, change.id);
    case 'update':
      return updated(current, change.member);
  }
}

/** What a joint configuration ends in: the outgoing half is gone, and whoever was only in it. */
export function finalConfiguration(joint: Configuration): Configuration {
  return described({ ...joint, outgoing: [] }, joint.members);
}

/** 0 for whoever is no member. */
export function priorityOf({ members }: Configuration, id: MemberId): number {
  return members.find((member) => member.id === id)?.priority ?? 0;
}

function withLearner(
  current: Configuration,
  change: Extract<ConfigurationChange, { kind: 'addLearner' }>,
): Configuration | Refused {
  const { member, promotion, replaces } = change;
  const { id } = member;
  if (isVoter(current, id)) return 'already-a-voter';
  // An id that came back could vote twice in one term, or acknowledge what its new disk does not hold.
  if (id <= current.highestId) return 'id-used-before';
  if (replaces !== undefined && !current.voters.includes(replaces)) return 'unknown-member';
  if (current.members.length >= MEMBERS_MAX) return 'too-many-members';
  const learners = [...current.learners, { id, promotion, replaces }];
  return described({ ...current, learners, highestId: id }, [...current.members, member]);
}

function promoted(current: Configuration, id: MemberId): Configuration | Refused {
  if (isVoter(current, id)) return 'already-a-voter';
  const learner = current.learners.find((each) => each.id === id);
  if (learner === undefined) return 'unknown-member';
  const learners = current.learners.filter((each) => each.id !== id);
  const voters = current.voters.filter((voter) => voter !== learner.replaces);
  return joint({ ...current, learners }, ascending([...voters, id]));
}

function without(current: Configuration, id: MemberId): Configuration | Refused {
  if (isVoter(current, id)) {
    if (current.voters.length === 1) return 'last-voter';
    return joint(
      current,
      current.voters.filter((voter) => voter !== id),
    );
  }
  const learners = current.learners.filter((learner) => learner.id !== id);
  if (learners.length === current.learners.length) return 'unknown-member';
  return described({ ...current, learners }, current.members);
}

function updated(current: Configuration, member: MemberRecord): Configuration | Refused {
  if (!current.members.some(({ id }) => id === member.id)) return 'unknown-member';
  const others = current.members.filter(({ id }) => id !== member.id);
  return described(current, [...others, member]);
}

/** Decisions take a majority of the new voters and one of the old until the final configuration. */
function joint(current: Configuration, voters: readonly MemberId[]): Configuration {
  return described({ ...current, voters, outgoing: current.voters }, current.members);
}

/** Describes exactly who is in force; a learner no longer replaces a voter that leaves or left. */
function described(
  configuration: Configuration,
  candidates: readonly MemberRecord[],
): Configuration {
  const { voters } = configuration;
  const learners = configuration.learners.map((learner) =>
    learner.replaces === undefined || voters.includes(learner.replaces)
      ? learner
      : { ...learner, replaces: undefined },
  );
  const members = candidates
    .filter(({ id }) => isVoter(configuration, id) || learners.some((each) => each.id === id))
    .sort((left, right) => left.id - right.id);
  return { ...configuration, learners, members };
}

function ascending(ids: MemberId[]): MemberId[] {
  return ids.sort((left, right) => left - right);
}
