import type { Hash, Height } from './primitives.ts';

/** What became of an admitted transaction. All but pending are final, and exactly one of them comes. */
export type TransactionState =
  | { readonly state: 'pending' }
  /** Executed as transaction `index`, from 0, of the block of this height. */
  | { readonly state: 'included'; readonly height: Height; readonly index: number }
  /** The sender gave another transaction with the same nonce and a higher fee. */
  | { readonly state: 'replaced'; readonly by: Hash }
  /** No block took it within its lifetime. */
  | { readonly state: 'expired' }
  /** Its nonce was used by another transaction. */
  | { readonly state: 'invalidated' };
