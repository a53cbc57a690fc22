import { isVoter } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import { priorityOf } from './membership.ts';
import type { RaftState } from './state.ts';
import { bestSuccessor, giveUpLeadership, startTransfer } from './transfer.ts';

/** Election timeouts between two attempts to hand over to a preferred voter, whatever became of the first. */
const PAUSE_TIMEOUTS = 10;
/** Election timeouts for which a leader's own write may be under way. */
const STALL_TIMEOUTS = 2;

/** A leader looks whether another voter should lead. */
export function preferOther(state: RaftState): void {
  if (state.transfer !== undefined) return;
  if (isStalled(state) && bestSuccessor(state) !== undefined) {
    giveUpLeadership(state);
    return;
  }
  const preferred = preferredVoter(state);
  if (preferred === undefined) return;
  state.preferencePauseTicks = PAUSE_TIMEOUTS * state.options.electionTicks;
  startTransfer(state, preferred, 'resume');
}

/** Commits go on without this disk, but nothing that the leader itself stores gets anywhere. */
function isStalled({ log, options }: RaftState): boolean {
  return log.pendingTicks >= STALL_TIMEOUTS * options.electionTicks;
}

/**
 * The voter of the highest priority above this member's own, once it has kept up for a whole election timeout.
 * None while the membership changes, or soon after the last attempt: leadership does not flap.
 */
function preferredVoter(state: RaftState): MemberId | undefined {
  const { configurations, options } = state;
  const { index, configuration } = configurations.inForce;
  if (state.preferencePauseTicks > 0 || index > state.commit || !state.hasCommittedInTerm)
    return undefined;
  if (!isVoter(configuration, state.id)) return undefined;
  let best: MemberId | undefined;
  let bestPriority = priorityOf(configuration, state.id);
  for (const id of configuration.voters) {
    const priority = priorityOf(configuration, id);
    const steadyTicks = state.progress.get(id)?.steadyTicks ?? 0;
    if (priority <= bestPriority || steadyTicks < options.electionTicks) continue;
    best = id;
    bestPriority = priority;
  }
  return best;
}
