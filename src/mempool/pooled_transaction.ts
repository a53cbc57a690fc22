import type { Address, Hash } from '../types/primitives.ts';

/** A transaction that waits for a block. */
export interface PooledTransaction {
  readonly hash: Hash;
  readonly sender: Address;
  readonly nonce: bigint;
  readonly gasLimit: bigint;
  /** Wei per gas. */
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Wei: value plus the whole gas limit at the fee cap. */
  readonly worstCaseCost: bigint;
  /** Order of arrival; no two are equal. */
  readonly sequence: number;
  /** A block of this time or later gives it up. */
  readonly expiresAtMs: number;
  /** EIP-2718 bytes. */
  readonly raw: Uint8Array;
}

/** What a block pays for it at most, beside the base fee: the order across senders. */
export function effectiveTip(transaction: PooledTransaction, baseFeePerGas: bigint): bigint {
  const spare = transaction.maxFeePerGas - baseFeePerGas;
  const { maxPriorityFeePerGas } = transaction;
  if (spare < maxPriorityFeePerGas) return spare;
  return maxPriorityFeePerGas;
}
