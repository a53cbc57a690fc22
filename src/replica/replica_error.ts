import { CodedError } from '../lib/error.ts';

export type ReplicaErrorCode =
  /** The cluster removed this member: it never takes part again. */
  | 'REMOVED'
  /** The survivor cannot be made a cluster of its own; nothing was changed. */
  | 'CANNOT_RECOVER';

/** Why a member does not start, or is not recovered; what it answers to requests is a NodeError. */
export class ReplicaError extends CodedError<ReplicaErrorCode> {}
