import { worstCaseCost } from '../execution/fees.ts';
import { copyBytes } from '../lib/bytes.ts';
import type { PooledTransaction } from '../mempool/pooled_transaction.ts';
import type { AdmittedTransaction } from '../types/command.ts';
import type { Hash } from '../types/primitives.ts';
import { decodeTransaction } from '../types/transaction.ts';

/** What the mempool keeps of a transaction: its own copy, since the entry's buffer is larger. */
export function pooledTransaction(
  { raw, sender }: AdmittedTransaction,
  place: { hash: Hash; sequence: number; expiresAtMs: number },
): PooledTransaction {
  const transaction = decodeTransaction(raw);
  return {
    ...place,
    raw: copyBytes(raw),
    sender: copyBytes(sender),
    nonce: transaction.nonce,
    gasLimit: transaction.gasLimit,
    maxFeePerGas: transaction.maxFeePerGas,
    maxPriorityFeePerGas: transaction.maxPriorityFeePerGas,
    worstCaseCost: worstCaseCost(transaction),
  };
}
