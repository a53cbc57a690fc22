import { CodedError } from '../lib/error.ts';

export type ReplicaErrorCode =
  /** The log holds something that this member cannot apply: it must stop rather than skip it. */
  | 'CANNOT_APPLY'
  /** The database and the log do not belong together, or the database is incomplete. */
  | 'STORE_DAMAGED'
  /** No leader could be reached in time; nothing was admitted. */
  | 'NO_LEADER'
  /** This member has fenced itself and answers no reads. */
  | 'FENCED'
  /** The request may or may not have taken effect; asking again is harmless. */
  | 'OUTCOME_UNKNOWN'
  /** The state moved too quickly for a consistent answer, or the member is stopping; try again. */
  | 'TRY_AGAIN'
  /** Too many requests are waiting here. */
  | 'OVERLOADED';

export class ReplicaError extends CodedError<ReplicaErrorCode> {}
