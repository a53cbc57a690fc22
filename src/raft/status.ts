import type { MemberId } from '../types/entry.ts';
import type { Progress } from './progress.ts';
import type { Leadership, PeerStatus, RaftStatus } from './ready.ts';
import type { RaftState } from './state.ts';

/** What a member tells of itself. */
export function statusOf(state: RaftState): RaftStatus {
  const { inForce } = state.configurations;
  return {
    id: state.id,
    ...leadershipOf(state),
    vote: state.vote,
    commit: state.commit,
    firstIndex: state.log.firstIndex,
    lastIndex: state.log.lastIndex,
    stableIndex: state.log.stableIndex,
    transferTarget: state.transfer?.target,
    eligible: state.eligible,
    configuration: { ...inForce, committed: inForce.index <= state.commit },
    peers: [...state.progress].map((follower) => peerStatus(state, follower)),
  };
}

export function leadershipOf({ role, term, leader }: RaftState): Leadership {
  return { role, term, leader };
}

function peerStatus(
  { configuration }: RaftState,
  [id, progress]: readonly [MemberId, Progress],
): PeerStatus {
  const { match, next, state, active, eligible, caughtUp } = progress;
  const isLearner = configuration.learners.some((learner) => learner.id === id);
  const stays = configuration.voters.includes(id);
  const role = isLearner ? 'learner' : stays ? 'voter' : 'leaving';
  return { id, match, next, state, role, active, eligible, caughtUp };
}
