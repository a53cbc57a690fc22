import { RaftError } from './error.ts';
import type { SnapshotPosition, SnapshotWanted } from './ready.ts';
import type { RaftState } from './state.ts';

/**
 * Whether a snapshot must replace state and log (dissertation, chapter 5). A log that holds its last entry
 * holds all that it covers (Log Matching), and learns that this much is committed.
 */
export function compareSnapshot(
  state: RaftState,
  { index, term }: SnapshotPosition,
): 'install' | 'notNeeded' {
  const { commit, log } = state;
  const held = log.term(index);
  if (index <= commit) {
    // What is compacted cannot be compared any more.
    if (held === undefined || held === term) return 'notNeeded';
    throw new RaftError(
      'COMMITTED_ENTRY_CONFLICT',
      `a snapshot ends with term ${term} at the committed index ${index}, which has term ${held} here: stop this member and compare it with the sender`,
      { fields: { index, commit, term, held } },
    );
  }
  if (held !== term) return 'install';
  state.commitTo(index);
  return 'notNeeded';
}

/** The latest wish of a leader, unless Appends have met it meanwhile. */
export function takeSnapshotWanted(state: RaftState): SnapshotWanted | undefined {
  const { snapshotWanted, commit } = state;
  state.snapshotWanted = undefined;
  return snapshotWanted !== undefined && snapshotWanted.index > commit ? snapshotWanted : undefined;
}
