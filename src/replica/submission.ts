import type { Hash } from '../types/primitives.ts';
import type { TransactionState } from '../types/transaction_state.ts';

/** Why a transaction was not admitted; names are those that clients see. */
export type RefusalCode =
  | 'MALFORMED_TRANSACTION'
  | 'UNSUPPORTED_TRANSACTION_TYPE'
  | 'TRANSACTION_TOO_LARGE'
  | 'WRONG_CHAIN_ID'
  | 'INVALID_SIGNATURE'
  | 'GAS_LIMIT_TOO_LOW'
  | 'GAS_LIMIT_TOO_HIGH'
  | 'FEE_INVALID'
  | 'NONCE_TOO_LOW'
  | 'NONCE_TOO_FAR'
  | 'INSUFFICIENT_FUNDS'
  | 'FEE_TOO_LOW'
  | 'REPLACEMENT_UNDERPRICED'
  | 'MEMPOOL_FULL'
  | 'SENDER_LIMIT_REACHED'
  /** The cluster could not, now: nothing was admitted, submitting again is safe. */
  | 'NOT_ADMITTED'
  | 'OVERLOADED'
  /** It may or may not have been admitted; submitting again is harmless and tells. */
  | 'OUTCOME_UNKNOWN';

export interface Refusal {
  readonly code: RefusalCode;
  /** What is wrong and what to change. */
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export type SubmitResult =
  | {
      readonly kind: 'admitted';
      readonly hash: Hash;
      /** The cluster had this very transaction before. */
      readonly alreadyKnown: boolean;
      readonly state: TransactionState;
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export function refusal(
  code: RefusalCode,
  message: string,
  fields: Refusal['fields'] = {},
): Refusal {
  return { code, message, fields };
}

export function refused(reason: Refusal): SubmitResult {
  return { kind: 'refused', refusal: reason };
}
