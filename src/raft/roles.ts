import { assert } from '../lib/assert.ts';
import { type Configuration, encodeConfiguration, isVoter } from '../types/configuration.ts';
import type { Entry, MemberId } from '../types/entry.ts';
import { followMembers } from './followers.ts';
import type { RaftState } from './state.ts';

const NO_DATA = new Uint8Array(0);

/**
 * Follows in this term, under this leader if one is known. A higher term alone does not restart the
 * election timer: only a leader heard or a vote given does, so that a candidate that cannot win does not
 * hold up one that can.
 */
export function becomeFollower(state: RaftState, term: number, leader: MemberId | undefined): void {
  const wasFollower = state.role === 'follower';
  enterRole(state, term);
  state.role = 'follower';
  followLeader(state, leader);
  if (leader !== undefined || !wasFollower) restartElectionTimer(state);
}

/** Asks around before raising the term (dissertation 9.6); term and vote stay. */
export function becomePreCandidate(state: RaftState): void {
  enterRole(state, state.term);
  state.role = 'preCandidate';
  followLeader(state, undefined);
  restartElectionTimer(state);
}

/** Raises the term and votes for itself; the vote counts once it is durable (section 3.4). */
export function becomeCandidate(state: RaftState): void {
  assert(state.role !== 'leader', 'a leader does not campaign');
  enterRole(state, state.term + 1);
  state.role = 'candidate';
  state.vote = state.id;
  followLeader(state, undefined);
  restartElectionTimer(state);
}

/** Takes over the term: every follower is probed, and a no-op of its own lets old entries commit. */
export function becomeLeader(state: RaftState): void {
  assert(state.role === 'candidate', 'only a candidate becomes leader');
  assert(state.log.durableHardState.term === state.term, "a leader's term is durable");
  enterRole(state, state.term);
  state.role = 'leader';
  followLeader(state, state.id);
  restartElectionTimer(state);
  state.heartbeatElapsedTicks = 0;
  followMembers(state);
  appendEntries(state, [NO_DATA], 'noop');
}

/** Appends to the leader's own log; followers get the entries with the next Ready. */
export function appendEntries(
  state: RaftState,
  datas: readonly Uint8Array[],
  type: Entry['type'],
): void {
  assert(state.isLeader, 'only a leader appends on its own');
  const { term } = state;
  const first = state.log.lastIndex + 1;
  const entries = datas.map((data, offset) => ({ index: first + offset, term, type, data }));
  state.append(entries);
  state.uncommitted.add(entries);
}

/**
 * Appends a configuration, which is in force from now on: whoever is new in it is followed (chapter 4). A new voter
 * has an election timeout to be heard before the quorum check misses it.
 */
export function appendConfiguration(state: RaftState, configuration: Configuration): void {
  const before = state.configuration;
  appendEntries(state, [encodeConfiguration(configuration)], 'configuration');
  followMembers(state);
  for (const [id, progress] of state.progress)
    if (isVoter(configuration, id) && !isVoter(before, id)) progress.active = true;
}

/** Takes note of who leads; reads that another leader was asked for are refused. */
function followLeader(state: RaftState, leader: MemberId | undefined): void {
  if (leader === state.leader) return;
  state.leader = leader;
  state.reads.refuseAll('leader-changed');
}

export function restartElectionTimer(state: RaftState): void {
  state.electionElapsedTicks = 0;
  state.drawElectionTimeout();
}

/** What a role leaves behind goes with it. */
function enterRole(state: RaftState, term: number): void {
  assert(term >= state.term, 'the term never falls');
  if (term > state.term) {
    state.term = term;
    state.vote = undefined;
  }
  state.votes.clear();
  state.progress.clear();
  state.uncommitted.clear();
  state.transfer = undefined;
  state.lease?.reset();
}
