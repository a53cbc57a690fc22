import type { Entry, MemberId } from '../types/entry.ts';
import { continueChange } from './configuration_change.ts';
import { entryBytes } from './log.ts';
import type { AppendReply, HeartbeatReply } from './messages.ts';
import type { Progress } from './progress.ts';
import { jointQuorumValue } from './quorum.ts';
import { confirmReads } from './reads.ts';
import type { RaftState } from './state.ts';
import { transferIfCaughtUp } from './transfer.ts';

/**
 * The leader's side of replication (dissertation 3.5, 3.6 and 10.2.1): Appends out, acknowledgements
 * in, commit index forward.
 */
export function flushAppends(state: RaftState): void {
  for (const [peer, progress] of state.progress) {
    let sent = false;
    while (!progress.paused && (progress.next <= state.log.lastIndex || mustProbe(progress))) {
      sendAppend(state, peer, progress);
      sent = true;
    }
    // A commit-index advance is not left waiting for the next entries or heartbeat.
    if (!sent && !progress.paused && progress.sentCommit < state.commit)
      sendAppend(state, peer, progress);
  }
}

function mustProbe(progress: Progress): boolean {
  return progress.state === 'probe' && !progress.probeSent;
}

/** Sends the entries from `next` on, none when there are none; or asks for a snapshot in their place. */
function sendAppend(state: RaftState, to: MemberId, progress: Progress): void {
  if (becomesSnapshot(state, to, progress)) return;
  const { log, options } = state;
  sendEntries(state, to, progress, log.entriesFrom(progress.next, options.maxAppendBytes));
}

/** The entry before `next` must be known, or there is nothing to compare the follower's log with. */
function becomesSnapshot(state: RaftState, to: MemberId, progress: Progress): boolean {
  if (progress.next >= state.log.firstIndex) return false;
  progress.becomeSnapshot();
  sendInstallSnapshot(state, to);
  return true;
}

function sendInstallSnapshot(state: RaftState, to: MemberId): void {
  const { id: from, term, log } = state;
  state.send({ type: 'installSnapshot', from, to, term, index: log.firstIndex - 1 });
}

function sendEntries(
  state: RaftState,
  to: MemberId,
  progress: Progress,
  entries: readonly Entry[],
): void {
  const prevIndex = progress.next - 1;
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  const { commit, id: from, term } = state;
  const prevTerm = state.log.requiredTerm(prevIndex);
  state.send({ type: 'append', from, to, term, prevIndex, prevTerm, commit, entries });
  progress.sent(prevIndex + entries.length, bytes, commit);
}

/** Carries the commit index as far as the follower is known to agree, and the latest read round. */
export function broadcastHeartbeat(state: RaftState): void {
  const { id: from, term } = state;
  state.lease?.roundStarted(state.reads.round);
  for (const [to, progress] of state.progress) {
    const commit = Math.min(progress.match, state.commit);
    progress.sentCommit = Math.max(progress.sentCommit, commit);
    state.send({ type: 'heartbeat', from, to, term, commit, readRound: state.reads.round });
  }
}

export function tickHeartbeat(state: RaftState): void {
  state.heartbeatElapsedTicks += 1;
  if (state.heartbeatElapsedTicks < state.options.heartbeatTicks) return;
  state.heartbeatElapsedTicks = 0;
  // Each answer must tell which heartbeat it answers.
  if (state.lease !== undefined) state.reads.round += 1;
  for (const [peer, progress] of state.progress) {
    progress.quiet = true;
    if (progress.state === 'snapshot') sendInstallSnapshot(state, peer);
  }
  broadcastHeartbeat(state);
}

export function handleAppendReply(state: RaftState, message: AppendReply): void {
  const progress = state.progress.get(message.from);
  if (progress === undefined) return;
  progress.heard();
  const { match, conflict } = message;
  if (conflict !== undefined) {
    const agreement = state.log.lastIndexAtMostTerm(conflict.hintIndex, conflict.hintTerm);
    progress.rejected(conflict.prevIndex, agreement);
    return;
  }
  if (match > state.log.lastIndex) return;
  if (!progress.acknowledged(match)) return;
  advanceCommit(state);
  transferIfCaughtUp(state, message.from);
}

export function handleHeartbeatReply(state: RaftState, message: HeartbeatReply): void {
  const progress = state.progress.get(message.from);
  if (progress === undefined) return;
  progress.heard();
  progress.eligible = message.eligible;
  if (progress.state === 'probe') {
    progress.probeSent = false;
  } else if (isStuck(state, progress)) {
    // Alive, yet nothing acknowledged for a heartbeat: an empty Append finds out what was lost.
    progress.quiet = false;
    if (!becomesSnapshot(state, message.from, progress))
      sendEntries(state, message.from, progress, []);
  }
  if (message.readRound > progress.readRound && message.readRound <= state.reads.round) {
    progress.readRound = message.readRound;
    // A member whose configuration differs promises something else.
    const durationMs = state.options.leaseReads?.durationMs ?? 0;
    if (message.leaseMs >= durationMs) progress.leaseRound = message.readRound;
    confirmReads(state);
  }
}

function isStuck({ log }: RaftState, { state, quiet, match }: Progress): boolean {
  return state === 'replicate' && quiet && match < log.lastIndex;
}

/**
 * Commits what a quorum holds durably, and only through an entry of the current term (figure 8,
 * section 3.6.2). The leader counts its own log only as far as storage reported it durable.
 */
export function advanceCommit(state: RaftState): void {
  const { id, log, progress } = state;
  const index = jointQuorumValue(state.configuration, (voter) =>
    voter === id ? log.stableIndex : (progress.get(voter)?.match ?? 0),
  );
  if (index <= state.commit || log.term(index) !== state.term) return;
  state.commitTo(index);
  continueChange(state);
}
