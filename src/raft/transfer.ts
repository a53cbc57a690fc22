import type { MemberId } from '../types/entry.ts';
import { priorityOf } from './membership.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState, Transfer } from './state.ts';

/** Leadership transfer (dissertation 3.10): catch the target up, then tell it to campaign at once. */
export function startTransfer(
  state: RaftState,
  target: MemberId,
  onTimeout: Transfer['onTimeout'],
): void {
  state.transfer = { target, elapsedTicks: 0, onTimeout };
  // The target campaigns at once and is voted for although this leader is alive.
  state.lease?.end();
  transferIfCaughtUp(state, target);
}

/** Sends TimeoutNow once the target holds the whole log durably; again at each heartbeat. */
export function transferIfCaughtUp(state: RaftState, member: MemberId): void {
  if (state.transfer?.target !== member) return;
  const { lastIndex } = state.log;
  if (state.progress.get(member)?.match !== lastIndex) return;
  state.send({ type: 'timeoutNow', from: state.id, to: member, term: state.term, lastIndex });
}

/**
 * Gives up after an election timeout: the target is dead or was not elected.
 * @returns whether the leader must step down instead of resuming
 */
export function tickTransfer(state: RaftState): boolean {
  const { transfer } = state;
  if (transfer === undefined) return false;
  transfer.elapsedTicks += 1;
  if (transfer.elapsedTicks < state.options.electionTicks) {
    if (state.heartbeatElapsedTicks === 0) transferIfCaughtUp(state, transfer.target);
    return false;
  }
  state.transfer = undefined;
  return transfer.onTimeout === 'stepDown';
}

/** Ends leadership or a candidacy; a leader hands over, if there is somebody to hand over to. */
export function giveUpLeadership(state: RaftState): void {
  if (state.role === 'follower' || state.transfer?.onTimeout === 'stepDown') return;
  const successor = state.isLeader ? bestSuccessor(state) : undefined;
  if (successor === undefined) becomeFollower(state, state.term, undefined);
  else startTransfer(state, successor, 'stepDown');
}

/** The voter that should take over: heard lately and willing; of these one that keeps up, is preferred, is ahead. */
export function bestSuccessor(state: RaftState): MemberId | undefined {
  const { voters } = state.configuration;
  let best: { id: MemberId; rank: readonly number[] } | undefined;
  for (const id of voters) {
    const progress = state.progress.get(id);
    if (progress === undefined || !progress.active || !progress.eligible) continue;
    const { caughtUp, match } = progress;
    const rank = [caughtUp ? 1 : 0, priorityOf(state.configuration, id), match];
    if (best === undefined || isAbove(rank, best.rank)) best = { id, rank };
  }
  return best?.id;
}

function isAbove(rank: readonly number[], other: readonly number[]): boolean {
  const position = rank.findIndex((value, at) => value !== other[at]);
  return position >= 0 && (rank[position] ?? 0) > (other[position] ?? 0);
}
