import type { Entry, MemberId } from '../types/entry.ts';
import { startElection } from './election.ts';
import { RaftError } from './error.ts';
import type { Append, Conflict, Heartbeat, InstallSnapshot, TimeoutNow } from './messages.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState } from './state.ts';

/** AppendEntries (figure 3.1). The positive reply leaves once everything it claims is durable. */
export function handleAppend(state: RaftState, message: Append): void {
  if (!hearLeader(state, message.from)) return;
  const { prevIndex, prevTerm, entries } = message;
  checkCommitted(state, message);
  if (prevIndex > state.commit && !state.log.matches(prevIndex, prevTerm)) {
    replyConflict(state, message);
    return;
  }
  const present = countPresent(state, entries);
  if (present < entries.length) state.append(entries.slice(present));
  const lastNew = prevIndex + entries.length;
  // What lies behind the last entry of this message has not been compared with the leader's log.
  state.commitTo(Math.min(message.commit, lastNew));
  replyMatch(state, message.from, Math.max(lastNew, state.commit));
}

/**
 * Section 3.5: entries that are here already are not touched, so that a late Append deletes nothing.
 * Committed ones are here, even when they have been compacted away.
 */
function countPresent(state: RaftState, entries: readonly Entry[]): number {
  let present = 0;
  for (const entry of entries) {
    if (entry.index > state.commit && !state.log.matches(entry.index, entry.term)) break;
    present += 1;
  }
  return present;
}

/** Leader Completeness (3.6.3): no leader has another entry where one is committed here. */
function checkCommitted(state: RaftState, message: Append): void {
  const { commit, log } = state;
  if (message.prevIndex > commit) return;
  const previous = { index: message.prevIndex, term: message.prevTerm };
  for (const { index, term } of [previous, ...message.entries]) {
    if (index > commit) return;
    if ((log.term(index) ?? term) === term) continue;
    throw new RaftError(
      'COMMITTED_ENTRY_CONFLICT',
      `member ${message.from} leads term ${message.term} with another entry at the committed index ${index}: stop this member and compare both logs`,
      { fields: { index, commit, leader: message.from, term: message.term } },
    );
  }
}

/** Carries the commit index no further than what this member acknowledged to this leader. */
export function handleHeartbeat(state: RaftState, message: Heartbeat): void {
  if (!hearLeader(state, message.from)) return;
  const { lastIndex } = state.log;
  if (message.commit > lastIndex)
    throw new RaftError(
      'ACKNOWLEDGED_ENTRIES_LOST',
      `this member acknowledged index ${message.commit} but its log ends at ${lastIndex}: its disk went back in time; it must rejoin under a new id`,
      { fields: { acknowledged: message.commit, lastIndex, leader: message.from } },
    );
  state.commitTo(message.commit);
  const { id: from, term, wouldTakeOver: eligible } = state;
  const { from: to, readRound } = message;
  const leaseMs = state.options.leaseReads?.durationMs ?? 0;
  state.send({ type: 'heartbeatReply', from, to, term, readRound, eligible, leaseMs });
}

/** What the leader has compacted this member lacks, unless it is committed here already. */
export function handleInstallSnapshot(state: RaftState, message: InstallSnapshot): void {
  if (!hearLeader(state, message.from)) return;
  const { from, index } = message;
  if (index <= state.commit) replyMatch(state, from, state.commit);
  else state.snapshotWanted = { from, index };
}

/** The leader hands over (section 3.10). A late request is one that its log or term has passed. */
export function handleTimeoutNow(state: RaftState, message: TimeoutNow): void {
  if (state.role !== 'follower' || state.leader !== message.from || !state.mayCampaign) return;
  if (state.log.lastIndex !== message.lastIndex) return;
  startElection(state, true);
}

/** Whoever sends as leader of this term is its leader. */
function hearLeader(state: RaftState, leader: number): boolean {
  // No member but this one can lead a term that this one won.
  if (state.isLeader) return false;
  becomeFollower(state, state.term, leader);
  state.leaderContactTicks = 0;
  return true;
}

function replyMatch(state: RaftState, to: MemberId, match: number): void {
  const { id: from, term } = state;
  state.send({ type: 'appendReply', from, to, term, match, conflict: undefined });
}

/**
 * The hint skips every entry that cannot be the leader's: those of higher terms than prevTerm. Committed
 * ones are the leader's.
 */
function replyConflict(state: RaftState, message: Append): void {
  const { id: from, term, log } = state;
  const { prevIndex, prevTerm } = message;
  const hintIndex = Math.max(state.commit, log.lastIndexAtMostTerm(prevIndex, prevTerm));
  const conflict: Conflict = { prevIndex, hintIndex, hintTerm: log.requiredTerm(hintIndex) };
  state.send({ type: 'appendReply', from, to: message.from, term, match: 0, conflict });
}
