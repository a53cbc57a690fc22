import { continueChange } from './configuration_change.ts';
import { startPreVote } from './election.ts';
import { tickFollowers } from './followers.ts';
import { preferOther } from './preference.ts';
import { hasQuorum } from './quorum.ts';
import { tickHeartbeat } from './replication.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState } from './state.ts';
import { tickTransfer } from './transfer.ts';

/** A unit of time passed for a leader. */
export function tickLeader(state: RaftState): void {
  if (state.electionElapsedTicks >= state.options.electionTicks) {
    state.electionElapsedTicks = 0;
    if (!hasHeardQuorum(state)) {
      becomeFollower(state, state.term, undefined);
      return;
    }
  }
  tickHeartbeat(state);
  tickFollowers(state);
  if (tickTransfer(state)) {
    becomeFollower(state, state.term, undefined);
    return;
  }
  continueChange(state);
  if (state.isLeader) preferOther(state);
}

/** A unit of time passed for everybody else. */
export function tickFollower(state: RaftState): void {
  const { electionTicks } = state.options;
  state.reads.tickBatches(electionTicks);
  const timedOut = state.electionElapsedTicks >= state.electionTimeoutTicks;
  if (timedOut && state.mayCampaign) startPreVote(state);
}

/** CheckQuorum (6.2): a leader that no quorum answers may have been replaced already. */
function hasHeardQuorum(state: RaftState): boolean {
  const { id, progress } = state;
  const heard = hasQuorum(
    state.configuration,
    (voter) => voter === id || progress.get(voter)?.active === true,
  );
  for (const follower of progress.values()) follower.active = false;
  return heard;
}
