import { isMember } from '../types/configuration.ts';
import type { RaftState } from './state.ts';

/**
 * Whom a leader sends its log to: everybody in force and, for a while, whoever has just left. A new follower
 * counts as heard, so that the quorum check gives it an election timeout to answer.
 */
export function followMembers(state: RaftState): void {
  for (const { id } of state.configuration.members)
    if (id !== state.id && !state.progress.has(id)) state.progress.set(id, state.newProgress());
}

/** Measures every follower. One that left is told so for an election timeout after that is certain. */
export function tickFollowers(state: RaftState): void {
  const { configuration, log, options } = state;
  const isCertain = state.configurations.inForce.index <= state.commit;
  for (const [id, progress] of state.progress) {
    progress.tick(log.lastIndex, options.electionTicks);
    if (isMember(configuration, id) || !isCertain) continue;
    progress.leftTicks += 1;
    if (progress.leftTicks >= options.electionTicks) state.progress.delete(id);
  }
}
