import type { Hash } from './primitives.ts';
import type { TransactionState } from './transaction_state.ts';

/** Every state but pending stays. */
export type FinalState = Exclude<TransactionState, { readonly state: 'pending' }>;

/** Durable, or refused with the reason. */
export type SubmitResult =
  | {
      readonly kind: 'admitted';
      readonly hash: Hash;
      /** The cluster had this very transaction before. */
      readonly alreadyKnown: boolean;
      /** Pending, unless an already known one is further. */
      readonly state: TransactionState;
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** The shape of a NodeError, as a plain value: refusals are common and need no stack. */
export interface Refusal {
  readonly code: RefusalCode;
  /**
   * For people: what is wrong and what to change. For NOT_ADMITTED and OUTCOME_UNKNOWN only the cause: what it means
   * for the client is added to it.
   */
  readonly message: string;
  /** Becomes the metadata of the ErrorInfo, for example `expectedNonce`. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** Why a transaction was not admitted. */
export type RefusalCode =
  // The transaction itself can never be admitted.
  | 'MALFORMED_TRANSACTION'
  | 'UNSUPPORTED_TRANSACTION_TYPE'
  | 'TRANSACTION_TOO_LARGE'
  | 'WRONG_CHAIN_ID'
  | 'INVALID_SIGNATURE'
  | 'GAS_LIMIT_TOO_LOW'
  | 'GAS_LIMIT_TOO_HIGH'
  | 'FEE_INVALID'
  // It cannot be admitted in the present state.
  | 'NONCE_TOO_LOW'
  | 'NONCE_TOO_FAR'
  | 'INSUFFICIENT_FUNDS'
  | 'FEE_TOO_LOW'
  | 'REPLACEMENT_UNDERPRICED'
  | 'MEMPOOL_FULL'
  | 'SENDER_LIMIT_REACHED'
  // The cluster could not, now: nothing was admitted, submitting again is safe.
  | 'NOT_ADMITTED'
  | 'OVERLOADED'
  // It may or may not have been admitted; submitting again is harmless and tells.
  | 'OUTCOME_UNKNOWN';

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
