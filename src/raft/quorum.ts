import type { Configuration } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';

/**
 * Majorities, in the one place where they are counted. While a configuration is joint every decision takes
 * a majority of either half (dissertation 4.3). Whoever is in neither half is not asked, the deciding member included.
 */
export type Electorate = Pick<Configuration, 'voters' | 'outgoing'>;

export type VoteResult = 'won' | 'lost' | 'pending';

/** Members that make a majority; for an even size one more than half. */
export function quorumSize(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** The largest value that a quorum has reached, given one value a voter (match index, read round). */
export function jointQuorumValue(
  { voters, outgoing }: Electorate,
  reachedBy: (voter: MemberId) => number,
): number {
  const incoming = quorumValue(voters.map(reachedBy));
  if (outgoing.length === 0) return incoming;
  return Math.min(incoming, quorumValue(outgoing.map(reachedBy)));
}

/**
 * The largest value that a majority has reached. Sorts its argument in place: pass a scratch array.
 */
export function quorumValue(values: number[]): number {
  // Insertion sort, descending: a cluster has at most a handful of voters.
  for (let i = 1; i < values.length; i += 1) {
    const value = values[i] ?? 0;
    let position = i;
    while (position > 0 && (values[position - 1] ?? 0) < value) {
      values[position] = values[position - 1] ?? 0;
      position -= 1;
    }
    values[position] = value;
  }
  return values[quorumSize(values.length) - 1] ?? 0;
}

/** Whether a quorum of the voters has a property. */
export function hasQuorum(
  { voters, outgoing }: Electorate,
  has: (voter: MemberId) => boolean,
): boolean {
  return hasMajority(voters, has) && (outgoing.length === 0 || hasMajority(outgoing, has));
}

function hasMajority(voters: readonly MemberId[], has: (voter: MemberId) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (has(voter)) count += 1;
  return count >= quorumSize(voters.length);
}

/** Whether the votes so far decide: a quorum for it, or so many against that none is left. */
export function voteResult(
  electorate: Electorate,
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  if (hasQuorum(electorate, (voter) => votes.get(voter) === true)) return 'won';
  return hasQuorum(electorate, (voter) => votes.get(voter) !== false) ? 'pending' : 'lost';
}
