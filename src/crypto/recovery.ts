import { CodedError } from '../lib/error.ts';
import type { Address, Hash } from '../types/primitives.ts';
import { CodecError } from '../types/rlp.ts';
import { decodeTransaction, type Transaction } from '../types/transaction.ts';
import { CryptoError } from './crypto_error.ts';
import { recoverSender, transactionHash } from './transaction.ts';

/** A well-formed transaction with its sender and all that admission asks about it, so that nothing decodes it again. */
export interface RecoveredTransaction {
  readonly ok: true;
  readonly hash: Hash;
  readonly sender: Address;
  readonly type: 0 | 1 | 2;
  /** Undefined when a legacy signature names no chain. */
  readonly chainId: bigint | undefined;
  readonly nonce: bigint;
  readonly gasLimit: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  readonly value: bigint;
  /** Undefined creates a contract. */
  readonly to: Address | undefined;
  /** Bytes of the data, and how many of them are zero: what intrinsic gas depends on. */
  readonly dataBytes: number;
  readonly dataZeroBytes: number;
  /** Entries of the access list, and slots over all of them. */
  readonly accessListAddresses: number;
  readonly accessListSlots: number;
}

/** Why bytes are not a transaction of anybody. */
export interface RecoveryFailure {
  readonly ok: false;
  readonly hash: Hash;
  readonly code: RecoveryFailureCode;
  readonly message: string;
}

export type RecoveryFailureCode = 'MALFORMED' | 'BAD_SIGNATURE' | 'HIGH_S';

export type RecoveryResult = RecoveredTransaction | RecoveryFailure;

/** Decodes and recovers in batches; a bad transaction fails alone. Results stand in the order of the input. */
export interface SenderRecovery {
  recover(raws: readonly Uint8Array[]): Promise<RecoveryResult[]>;
}

/** The same on the caller's own thread. */
export class InThreadRecovery implements SenderRecovery {
  async recover(raws: readonly Uint8Array[]): Promise<RecoveryResult[]> {
    return raws.map(recoverTransaction);
  }
}

/** Never throws on a client's bytes. */
export function recoverTransaction(raw: Uint8Array): RecoveryResult {
  const hash = transactionHash(raw);
  try {
    const transaction = decodeTransaction(raw);
    return summarize(transaction, hash, recoverSender(transaction));
  } catch (thrown) {
    return { ok: false, hash, code: failureCode(thrown), message: (thrown as Error).message };
  }
}

function summarize(transaction: Transaction, hash: Hash, sender: Address): RecoveredTransaction {
  const { data, accessList } = transaction;
  let dataZeroBytes = 0;
  for (const byte of data) if (byte === 0) dataZeroBytes += 1;
  let accessListSlots = 0;
  for (const { slots } of accessList) accessListSlots += slots.length;
  return {
    ok: true,
    hash,
    sender,
    type: transaction.type,
    chainId: transaction.chainId,
    nonce: transaction.nonce,
    gasLimit: transaction.gasLimit,
    maxFeePerGas: transaction.maxFeePerGas,
    maxPriorityFeePerGas: transaction.maxPriorityFeePerGas,
    value: transaction.value,
    to: transaction.to,
    dataBytes: data.length,
    dataZeroBytes,
    accessListAddresses: accessList.length,
    accessListSlots,
  };
}

/** Whatever is not about the client's bytes is ours and goes up. */
function failureCode(thrown: unknown): RecoveryFailureCode {
  if (thrown instanceof CodecError) return 'MALFORMED';
  if (thrown instanceof CryptoError) {
    if (thrown.code === 'BAD_SIGNATURE' || thrown.code === 'HIGH_S') return thrown.code;
  }
  throw thrown instanceof CodedError ? thrown : new Error('recovery failed', { cause: thrown });
}
