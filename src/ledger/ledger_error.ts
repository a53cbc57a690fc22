import { CodedError } from '../lib/error.ts';

export type LedgerErrorCode =
  /** The log holds something that this member cannot apply: it must stop rather than skip it. */
  | 'CANNOT_APPLY'
  /** The database and the log do not belong together, or the database is incomplete. */
  | 'STORE_DAMAGED';

/** Fatal for the member; what it answers to requests is a NodeError. */
export class LedgerError extends CodedError<LedgerErrorCode> {}
