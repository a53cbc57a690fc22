import { decodeConfiguration, encodeConfiguration, isJoint } from '../types/configuration.ts';
import { nextConfiguration } from './membership.ts';
import type { ConfigurationChange, ConfigurationRefusal, ProposalAccepted } from './ready.ts';
import { appendEntries } from './roles.ts';
import type { RaftState } from './state.ts';

type Refused = ConfigurationRefusal['refused'];

/** Takes one step of membership into the leader's log (dissertation, chapter 4). */
export function proposeConfiguration(
  state: RaftState,
  change: ConfigurationChange,
): ProposalAccepted | ConfigurationRefusal {
  const { leader } = state;
  const refused = refusalOf(state);
  if (refused !== undefined) return { refused, leader };
  const next = nextConfiguration(state.configuration, change);
  if (typeof next === 'string') return { refused: next, leader };
  const data = encodeConfiguration(next);
  if (!isStorable(data)) return { refused: 'invalid-member', leader };
  appendEntries(state, [data], 'configuration');
  return { index: state.log.lastIndex, term: state.term };
}

function refusalOf(state: RaftState): Refused | undefined {
  if (!state.isLeader) return 'not-leader';
  if (state.transfer !== undefined) return 'transferring';
  // Two leaders that change the membership side by side could end in majorities that do not meet.
  if (!state.hasCommittedInTerm) return 'not-committed-in-term';
  const { index, configuration } = state.configurations.inForce;
  if (index > state.commit || isJoint(configuration)) return 'change-pending';
  return undefined;
}

/** What an operator entered must be readable on every member. */
function isStorable(data: Uint8Array): boolean {
  try {
    decodeConfiguration(data);
    return true;
  } catch {
    return false;
  }
}
