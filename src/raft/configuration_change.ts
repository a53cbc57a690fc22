import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
  isJoint,
  isVoter,
} from '../types/configuration.ts';
import { finalConfiguration, nextConfiguration } from './membership.ts';
import type { ConfigurationChange, ConfigurationRefusal, ProposalAccepted } from './ready.ts';
import { appendConfiguration } from './roles.ts';
import type { RaftState } from './state.ts';
import { giveUpLeadership } from './transfer.ts';

type Refused = ConfigurationRefusal['refused'];

/** Takes one step of membership into the leader's log (dissertation, chapter 4). */
export function proposeConfiguration(
  state: RaftState,
  change: ConfigurationChange,
): ProposalAccepted | ConfigurationRefusal {
  const { leader } = state;
  const refused = momentRefusal(state) ?? learnerRefusal(state, change);
  if (refused !== undefined) return { refused, leader };
  const next = nextConfiguration(state.configuration, change);
  if (typeof next === 'string') return { refused: next, leader };
  if (!isStorable(next)) return { refused: 'invalid-member', leader };
  appendConfiguration(state, next);
  return { index: state.log.lastIndex, term: state.term };
}

/**
 * Goes on with a change as far as the commit index allows; for every leader, whoever began it. A committed
 * joint configuration is followed by the final one (4.3). A leader that is not in a committed one has done
 * its last duty and leaves (4.2.2). A learner that has caught up becomes a voter (4.2.1).
 */
export function continueChange(state: RaftState): void {
  const { index, configuration } = state.configurations.inForce;
  if (!state.isLeader || index > state.commit || !state.hasCommittedInTerm) return;
  if (isJoint(configuration)) appendConfiguration(state, finalConfiguration(configuration));
  else if (!isVoter(configuration, state.id)) giveUpLeadership(state);
  else promoteCaughtUp(state);
}

function promoteCaughtUp(state: RaftState): void {
  if (state.transfer !== undefined) return;
  const ready = state.configuration.learners.find(({ id, promotion }) => {
    const eligible = state.progress.get(id)?.eligible === true;
    return promotion === 'automatic' && eligible && keepsUp(state, id);
  });
  if (ready !== undefined) proposeConfiguration(state, { kind: 'promote', id: ready.id });
}

/** Whether this is no moment for a change, whatever it is. */
function momentRefusal(state: RaftState): Refused | undefined {
  if (!state.isLeader) return 'not-leader';
  if (state.transfer !== undefined) return 'transferring';
  // What a leader of an earlier term appended may still come to count elsewhere (Ongaro, 2015).
  if (!state.hasCommittedInTerm) return 'not-committed-in-term';
  const { index, configuration } = state.configurations.inForce;
  if (index > state.commit || isJoint(configuration)) return 'change-pending';
  return undefined;
}

/** A voter that is far behind would hold up every commit that needs it. */
function learnerRefusal(state: RaftState, change: ConfigurationChange): Refused | undefined {
  if (change.kind !== 'promote') return undefined;
  const isLearner = state.configuration.learners.some(({ id }) => id === change.id);
  return isLearner && !keepsUp(state, change.id) ? 'not-caught-up' : undefined;
}

function keepsUp(state: RaftState, id: number): boolean {
  const progress = state.progress.get(id);
  if (progress === undefined) return false;
  return progress.caughtUp && progress.silentTicks <= state.options.electionTicks;
}

/** What an operator entered must be readable on every member. */
function isStorable(configuration: Configuration): boolean {
  try {
    decodeConfiguration(encodeConfiguration(configuration));
    return true;
  } catch {
    return false;
  }
}
