import type { MemberId } from '../types/entry.ts';

export type VoteResult = 'won' | 'lost' | 'pending';

/** Members that make a majority; for an even size one more than half. */
export function quorumSize(size: number): number {
  return Math.floor(size / 2) + 1;
}

/**
 * The largest value that a majority has reached, given one value a voter (match index, read round).
 * Sorts its argument in place: pass a scratch array.
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

/** Whether the votes so far decide: a majority for it, or so many against that none is left. */
export function voteResult(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  let granted = 0;
  let pending = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) pending += 1;
    else if (vote) granted += 1;
  }
  const quorum = quorumSize(voters.length);
  if (granted >= quorum) return 'won';
  return granted + pending >= quorum ? 'pending' : 'lost';
}
