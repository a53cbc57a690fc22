import { CodedError } from '../lib/error.ts';

export type RaftErrorCode =
  /** The options contradict each other; nothing was started. */
  | 'INVALID_OPTIONS'
  /** Log, term and applied index do not fit together; nothing was started. */
  | 'INCONSISTENT_STORAGE'
  /** An earlier call threw (a log read failed, an invariant broke): the member must stop. */
  | 'STOPPED'
  /** A snapshot is to be installed in place of the log: this member takes nothing more until it starts again. */
  | 'INSTALLING'
  /** The leader's log contradicts an entry committed here: one of the two histories is wrong. */
  | 'COMMITTED_ENTRY_CONFLICT'
  /** The leader knows of acknowledgements by this member that its log does not hold any more. */
  | 'ACKNOWLEDGED_ENTRIES_LOST'
  /** Bytes from a peer are not the canonical form of a message. */
  | 'MALFORMED_MESSAGE';

/** Everything that the Raft core throws, except broken assertions. All but the last code are fatal. */
export class RaftError extends CodedError<RaftErrorCode> {}

/** What the codec throws for bytes that no member of ours would write. */
export function malformedMessage(what: string, cause?: unknown): RaftError {
  return new RaftError('MALFORMED_MESSAGE', `message from a member: ${what}`, { cause });
}
