import type { ReadIndex, ReadIndexReply } from './messages.ts';
import { jointQuorumValue } from './quorum.ts';
import type { ConfirmedRead, RemoteRead } from './read_queue.ts';
import type { RaftState } from './state.ts';

/**
 * Linearizable reads without log entries (dissertation 6.4): a read is answered with the commit
 * index of when its round started, once a majority confirmed in that round that the leader still leads.
 */
export function requestRead(state: RaftState, requestId: number): void {
  state.lease?.readAsked();
  if (state.isLeader && state.transfer !== undefined) {
    state.reads.states.push({ requestId, refused: 'transferring' });
  } else if (state.leader === undefined) {
    state.reads.states.push({ requestId, refused: 'not-leader' });
  } else {
    state.reads.addLocal(requestId);
  }
}

/**
 * Starts what waited for company: the leader's next round, the follower's next batch.
 * @returns whether heartbeats must carry a new round out
 */
export function flushReads(state: RaftState): boolean {
  const { reads } = state;
  if (!reads.hasWaiting) return false;
  if (!state.isLeader) {
    if (state.leader === undefined) reads.refuseWaiting('leader-changed');
    else forwardReads(state, state.leader);
    return false;
  }
  // A new leader may not know the latest commit index before its own first entry is committed.
  if (!state.hasCommittedInTerm) return false;
  if (state.lease?.inForce) {
    answer(state, reads.takeWaiting(state.commit));
    return false;
  }
  if (reads.startRound(state.commit) === undefined) return false;
  confirmReads(state);
  return reads.hasRounds;
}

function forwardReads(state: RaftState, to: number): void {
  const batch = state.reads.startBatch(to);
  if (batch === undefined) return;
  const { session } = state.reads;
  state.send({ type: 'readIndex', from: state.id, to, term: state.term, session, batch });
}

/** Answers every round that a quorum confirmed. */
export function confirmReads(state: RaftState): void {
  state.lease?.roundConfirmed(confirmedRound(state, 'leaseRound'));
  answer(state, state.reads.confirmRounds(confirmedRound(state, 'readRound')));
}

function confirmedRound(state: RaftState, kind: 'readRound' | 'leaseRound'): number {
  const { id, reads, progress, configuration } = state;
  return jointQuorumValue(configuration, (voter) =>
    voter === id ? reads.round : (progress.get(voter)?.[kind] ?? 0),
  );
}

function answer(state: RaftState, reads: readonly ConfirmedRead[]): void {
  for (const { read, index } of reads) replyRead(state, read, index);
}

export function handleReadIndex(state: RaftState, message: ReadIndex): void {
  const { from, session, batch } = message;
  const read = { from, session, batch };
  state.lease?.readAsked();
  const taken = state.isLeader && state.transfer === undefined && state.reads.addRemote(read);
  if (!taken) replyRead(state, read, undefined);
}

/** The answer holds whatever the term is now: the index was confirmed after the read was asked for. */
export function handleReadIndexReply(state: RaftState, message: ReadIndexReply): void {
  state.reads.answerBatch(message.session, message.batch, message.index);
}

export function replyRead(state: RaftState, read: RemoteRead, index: number | undefined): void {
  const { session, batch } = read;
  const { id: from, term } = state;
  state.send({ type: 'readIndexReply', from, to: read.from, term, session, batch, index });
}
