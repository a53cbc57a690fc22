import { toPrefixedHex } from '../lib/bytes.ts';
import type { PooledTransaction } from './pooled_transaction.ts';

type MempoolRefusalCode =
  | 'NONCE_TOO_LOW'
  | 'NONCE_TOO_FAR'
  | 'INSUFFICIENT_FUNDS'
  | 'REPLACEMENT_UNDERPRICED'
  | 'MEMPOOL_FULL'
  | 'SENDER_LIMIT_REACHED';

/** Why a transaction is not taken. A plain value: refusals are common and need no stack. */
export interface MempoolRefusal {
  readonly code: MempoolRefusalCode;
  /** What is wrong and what to change. */
  readonly message: string;
  /** The values in the message, big ones in decimal. */
  readonly fields: Readonly<Record<string, string | number>>;
}

export function nonceTooLow(nonce: bigint, expectedNonce: bigint): MempoolRefusal {
  return {
    code: 'NONCE_TOO_LOW',
    message: `nonce ${nonce} was used already; sign again with nonce ${expectedNonce}`,
    fields: { nonce: String(nonce), expectedNonce: String(expectedNonce) },
  };
}

export function nonceTaken(waiting: PooledTransaction): MempoolRefusal {
  return {
    code: 'NONCE_TOO_LOW',
    message: `nonce ${waiting.nonce} is taken by ${toPrefixedHex(waiting.hash)} in the block being decided; sign again with the next`,
    fields: { nonce: String(waiting.nonce), expectedNonce: String(waiting.nonce + 1n) },
  };
}

export function nonceTooFar(
  nonce: bigint,
  { expectedNonce, nonceGapMax }: { expectedNonce: bigint; nonceGapMax: number },
): MempoolRefusal {
  return {
    code: 'NONCE_TOO_FAR',
    message: `nonce ${nonce} is more than ${nonceGapMax} above the sender's next, ${expectedNonce}; submit those between first`,
    fields: { nonce: String(nonce), expectedNonce: String(expectedNonce), nonceGapMax },
  };
}

export function insufficientFunds(balance: bigint, needed: bigint): MempoolRefusal {
  return {
    code: 'INSUFFICIENT_FUNDS',
    message: `the sender owns ${balance} wei, but this transaction and those of its that wait may cost ${needed}; lower value, gas limit or fee cap, or fund the account`,
    fields: { balance: String(balance), needed: String(needed) },
  };
}

export function replacementUnderpriced(
  nonce: bigint,
  { fee, tip }: { fee: bigint; tip: bigint },
): MempoolRefusal {
  return {
    code: 'REPLACEMENT_UNDERPRICED',
    message: `nonce ${nonce} waits already; to replace it raise the fee cap to ${fee} and the priority fee to ${tip} at least`,
    fields: { minimumFeePerGas: String(fee), minimumPriorityFeePerGas: String(tip) },
  };
}

export function mempoolFull(transactionsMax: number): MempoolRefusal {
  return {
    code: 'MEMPOOL_FULL',
    message: `${transactionsMax} transactions wait already; submit again after the next blocks`,
    fields: { transactionsMax },
  };
}

export function senderLimitReached(transactionsPerSenderMax: number): MempoolRefusal {
  return {
    code: 'SENDER_LIMIT_REACHED',
    message: `${transactionsPerSenderMax} transactions of this sender wait already; submit again when blocks have taken some`,
    fields: { transactionsPerSenderMax },
  };
}
