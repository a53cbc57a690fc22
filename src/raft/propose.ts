import { ENTRY_DATA_BYTES_MAX, ENTRY_OVERHEAD_BYTES } from './options.ts';
import type { ProposalAccepted, ProposalRefusal } from './ready.ts';
import { appendEntries } from './roles.ts';
import type { RaftState } from './state.ts';

/** Takes commands into the leader's log, all or none. */
export function proposeCommands(
  state: RaftState,
  datas: readonly Uint8Array[],
): ProposalAccepted | ProposalRefusal {
  const refused = refusalOf(state, datas);
  if (refused !== undefined) return { refused, leader: state.leader };
  const index = state.log.lastIndex + 1;
  appendEntries(state, datas, 'command');
  return { index, term: state.term };
}

function refusalOf(
  state: RaftState,
  datas: readonly Uint8Array[],
): ProposalRefusal['refused'] | undefined {
  if (!state.isLeader) return 'not-leader';
  if (state.transfer !== undefined) return 'transferring';
  let bytes = 0;
  for (const data of datas) {
    if (data.length > ENTRY_DATA_BYTES_MAX) return 'too-large';
    bytes += data.length + ENTRY_OVERHEAD_BYTES;
  }
  // With nothing waiting a batch above the limit is taken, or it could never be.
  const { total } = state.uncommitted;
  if (total > 0 && total + bytes > state.options.maxUncommittedBytes) return 'too-many-uncommitted';
  return undefined;
}
