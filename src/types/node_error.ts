import { CodedError } from '../lib/error.ts';
import type { RefusalCode } from './submission.ts';

/** Why a member did not do what a client or an operator asked; the reason that clients see. */
export type NodeErrorCode =
  | RefusalCode
  // The cluster could not do it.
  | 'NO_LEADER'
  /** The member that was asked has fenced itself. */
  | 'FENCED'
  | 'NOT_READY'
  | 'STOPPING'
  // Reads.
  | 'BLOCK_NOT_FOUND'
  | 'TRANSACTION_NOT_FOUND'
  | 'RECEIPT_NOT_FOUND'
  | 'EXECUTION_FAILED'
  // Administration.
  | 'UNKNOWN_MEMBER'
  | 'NOT_LEADER'
  | 'TRANSFER_FAILED';

/** An answer to a request; nothing is wrong with the member. */
export class NodeError extends CodedError<NodeErrorCode> {}
