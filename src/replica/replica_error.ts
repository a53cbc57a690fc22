import { CodedError } from '../lib/error.ts';

export type ReplicaErrorCode =
  // Fatal for the member.
  /** The log holds something that this member cannot apply: it must stop rather than skip it. */
  | 'CANNOT_APPLY'
  /** The database and the log do not belong together, or the database is incomplete. */
  | 'STORE_DAMAGED'
  // Answers to a request; nothing is wrong with the member.
  /** No leader could be reached in time; nothing was admitted. */
  | 'NO_LEADER'
  /** This member has fenced itself and answers no reads. */
  | 'FENCED'
  /** The request may or may not have taken effect; asking again is harmless. */
  | 'OUTCOME_UNKNOWN'
  /** Too many requests are waiting here. */
  | 'OVERLOADED'
  | 'STOPPING'
  | 'BLOCK_NOT_FOUND'
  | 'TRANSACTION_NOT_FOUND'
  | 'RECEIPT_NOT_FOUND'
  | 'EXECUTION_FAILED'
  | 'UNKNOWN_MEMBER'
  | 'NOT_LEADER'
  | 'TRANSFER_FAILED';

export class ReplicaError extends CodedError<ReplicaErrorCode> {}
