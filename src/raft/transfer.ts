import type { MemberId } from '../types/entry.ts';
import type { RaftState, Transfer } from './state.ts';

/** Leadership transfer (dissertation 3.10): catch the target up, then tell it to campaign at once. */
export function startTransfer(
  state: RaftState,
  target: MemberId,
  onTimeout: Transfer['onTimeout'],
): void {
  state.transfer = { target, elapsedTicks: 0, onTimeout };
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

/** The peer that can take over soonest: heard lately, and with the longest log. */
export function bestSuccessor(state: RaftState): MemberId | undefined {
  let best: MemberId | undefined;
  let bestMatch = -1;
  for (const [peer, progress] of state.progress) {
    if (!progress.active || progress.match <= bestMatch) continue;
    best = peer;
    bestMatch = progress.match;
  }
  return best;
}
