import { toPrefixedHex } from '../lib/bytes.ts';
import type { SenderAccount, TransactionCandidate } from './pooled_transaction.ts';

export type RefusalCode =
  | 'NONCE_TOO_LOW'
  | 'NONCE_TOO_HIGH'
  | 'INSUFFICIENT_FUNDS'
  | 'UNDERPRICED_REPLACEMENT'
  | 'POOL_FULL'
  | 'SENDER_FULL';

/** Why a transaction is not admitted. A plain value: refusals are common and need no stack. */
export interface Refusal {
  readonly result: 'refused';
  readonly code: RefusalCode;
  /** For people: what is wrong and what to change. */
  readonly message: string;
  /** For programs: the values in the message, big ones in decimal. */
  readonly fields: Readonly<Record<string, string | number>>;
}

export function nonceTooLow(candidate: TransactionCandidate, expectedNonce: bigint): Refusal {
  return refusal('NONCE_TOO_LOW', {
    message: `nonce ${candidate.nonce} is already used by ${senderOf(candidate)}; sign again with nonce ${expectedNonce}`,
    fields: { nonce: String(candidate.nonce), expectedNonce: String(expectedNonce) },
  });
}

export function nonceTooHigh(
  candidate: TransactionCandidate,
  { expectedNonce, nonceGapMax }: { expectedNonce: bigint; nonceGapMax: number },
): Refusal {
  return refusal('NONCE_TOO_HIGH', {
    message: `nonce ${candidate.nonce} is more than ${nonceGapMax} ahead of ${expectedNonce}, the next one of ${senderOf(candidate)}; submit the transactions in between first`,
    fields: {
      nonce: String(candidate.nonce),
      expectedNonce: String(expectedNonce),
      nonceGapMax,
    },
  });
}

export function insufficientFunds(
  candidate: TransactionCandidate,
  { account, costBefore }: { account: SenderAccount; costBefore: bigint },
): Refusal {
  const required = costBefore + candidate.worstCaseCost;
  return refusal('INSUFFICIENT_FUNDS', {
    message: `balance ${account.balance} of ${senderOf(candidate)} does not cover ${required} wei: ${candidate.worstCaseCost} for this transaction (value + gas limit × fee cap) and ${costBefore} for its waiting ones with lower nonces; lower value, gas limit or fee cap, or fund the account`,
    fields: { balance: String(account.balance), required: String(required) },
  });
}

export function underpricedReplacement(
  candidate: TransactionCandidate,
  required: { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint },
): Refusal {
  return refusal('UNDERPRICED_REPLACEMENT', {
    message: `a transaction of ${senderOf(candidate)} with nonce ${candidate.nonce} is waiting; to replace it, pay at least ${required.maxFeePerGas} wei per gas in all (maxFeePerGas) and ${required.maxPriorityFeePerGas} as tip (maxPriorityFeePerGas)`,
    fields: {
      nonce: String(candidate.nonce),
      maxFeePerGasMin: String(required.maxFeePerGas),
      maxPriorityFeePerGasMin: String(required.maxPriorityFeePerGas),
    },
  });
}

export function poolFull(transactionsMax: number): Refusal {
  return refusal('POOL_FULL', {
    message: `the mempool holds its ${transactionsMax} transactions; submit again after the next blocks`,
    fields: { transactionsMax },
  });
}

export function senderFull(
  candidate: TransactionCandidate,
  transactionsPerSenderMax: number,
): Refusal {
  return refusal('SENDER_FULL', {
    message: `${transactionsPerSenderMax} transactions of ${senderOf(candidate)} are waiting, the most for one sender; submit again when some of them are in a block`,
    fields: { transactionsPerSenderMax },
  });
}

function refusal(code: RefusalCode, rest: Pick<Refusal, 'message' | 'fields'>): Refusal {
  return { result: 'refused', code, ...rest };
}

function senderOf(candidate: TransactionCandidate): string {
  return toPrefixedHex(candidate.sender);
}
