import type { MemberId } from '../types/entry.ts';
import type { PreVote, PreVoteReply, Vote, VoteReply } from './messages.ts';
import { voteResult } from './quorum.ts';
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  restartElectionTimer,
} from './roles.ts';
import type { RaftState } from './state.ts';

/** The election timeout passed: finds out whether a campaign can succeed (dissertation 9.6). */
export function startPreVote(state: RaftState): void {
  becomePreCandidate(state);
  const { id: from, term, log } = state;
  const { lastIndex, lastTerm } = log;
  for (const to of otherVoters(state))
    state.send({ type: 'preVote', from, to, term, lastIndex, lastTerm });
  takePreVote(state, from, true);
}

/**
 * Campaigns in a new term (section 3.4). The requests leave after the new term and the vote for
 * oneself are durable, and only then does that vote count.
 */
export function startElection(state: RaftState, transfer: boolean): void {
  becomeCandidate(state);
  const { id: from, term, log } = state;
  const { lastIndex, lastTerm } = log;
  for (const to of otherVoters(state))
    state.send({ type: 'vote', from, to, term, lastIndex, lastTerm, transfer });
}

/** Storage reported a write: the candidate's own vote may have become durable. */
export function countOwnVote(state: RaftState): void {
  if (state.role !== 'candidate' || state.votes.has(state.id)) return;
  const { term, vote } = state.log.durableHardState;
  if (term === state.term && vote === state.id) takeVote(state, state.id, true);
}

/**
 * Granting changes nothing here: neither term, vote, nor election timer. Of two members that ask at
 * the same moment, as they do when a broken connection told both of a dead leader, the lower id
 * steps back; otherwise both would campaign and split the vote.
 */
export function handlePreVote(state: RaftState, message: PreVote): void {
  const { log, id: from, term } = state;
  const { from: to, lastIndex, lastTerm, term: askedTerm } = message;
  const granted = askedTerm >= term && log.isUpToDate(lastTerm, lastIndex);
  state.send({ type: 'preVoteReply', from, to, term, askedTerm, granted });
  const equal = lastTerm === log.lastTerm && lastIndex === log.lastIndex;
  const precedes = granted && (!equal || to > from);
  if (precedes && state.role === 'preCandidate') becomeFollower(state, term, undefined);
}

/** The reply of a member with a higher term never comes here: that term is adopted first. */
export function handlePreVoteReply(state: RaftState, message: PreVoteReply): void {
  if (state.role !== 'preCandidate' || message.askedTerm !== state.term) return;
  takePreVote(state, message.from, message.granted);
}

/** RequestVote (figure 3.1): one vote a term, for a log at least as complete as ours. */
export function handleVote(state: RaftState, message: Vote): void {
  const { log, id: from, term } = state;
  const free = state.vote === undefined && state.leader === undefined;
  const granted =
    (free || state.vote === message.from) && log.isUpToDate(message.lastTerm, message.lastIndex);
  if (granted) {
    if (state.role === 'preCandidate') becomeFollower(state, term, undefined);
    state.vote = message.from;
    restartElectionTimer(state);
  }
  state.send({ type: 'voteReply', from, to: message.from, term, granted });
}

export function handleVoteReply(state: RaftState, message: VoteReply): void {
  if (state.role === 'candidate') takeVote(state, message.from, message.granted);
}

/** Whoever decides an election, in both halves of a joint configuration, but this member. */
function otherVoters({ configuration, id }: RaftState): Set<MemberId> {
  const voters = new Set([...configuration.voters, ...configuration.outgoing]);
  voters.delete(id);
  return voters;
}

function takePreVote(state: RaftState, voter: number, granted: boolean): void {
  if (!state.votes.has(voter)) state.votes.set(voter, granted);
  const result = voteResult(state.configuration, state.votes);
  if (result === 'won') startElection(state, false);
  else if (result === 'lost') becomeFollower(state, state.term, undefined);
}

function takeVote(state: RaftState, voter: number, granted: boolean): void {
  if (!state.votes.has(voter)) state.votes.set(voter, granted);
  const result = voteResult(state.configuration, state.votes);
  if (result === 'won') becomeLeader(state);
  else if (result === 'lost') becomeFollower(state, state.term, undefined);
}
