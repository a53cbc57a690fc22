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
  | 'TRANSFER_FAILED'
  /** Another change of the cluster is not finished; trying again later is safe. */
  | 'CHANGE_PENDING'
  | 'ALREADY_A_VOTER'
  /** A member that is gone had this id, or a later one: ids are never used again. */
  | 'ID_USED_BEFORE'
  | 'ADDRESS_IN_USE'
  | 'LAST_VOTER'
  | 'TOO_MANY_MEMBERS'
  | 'NOT_CAUGHT_UP';

/** An answer to a request; nothing is wrong with the member. */
export class NodeError extends CodedError<NodeErrorCode> {}
