import type { RecoveredTransaction, RecoveryFailure, RecoveryResult } from '../crypto/recovery.ts';
import { forkAt, INIT_CODE_BYTES_MAX, minimumGasLimit } from '../execution/fees.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Height } from '../types/primitives.ts';
import { refusal, type Refusal } from './submission.ts';

/** What no state can mend: checked by the leader before anything is looked up. */
export function refusalOf(
  raw: Uint8Array,
  recovered: RecoveryResult,
  chain: { genesis: Genesis; nextHeight: Height },
): Refusal | undefined {
  const { parameters, chainId } = chain.genesis;
  if (raw.length > parameters.transactionBytesMax)
    return refusal(
      'TRANSACTION_TOO_LARGE',
      `the transaction has ${raw.length} bytes; at most ${parameters.transactionBytesMax} are accepted`,
      { bytes: raw.length, bytesMax: parameters.transactionBytesMax },
    );
  if (!recovered.ok) return unrecovered(raw, recovered);
  if (recovered.chainId === undefined)
    return refusal(
      'WRONG_CHAIN_ID',
      `the signature names no chain; sign with chain id ${chainId} (EIP-155)`,
      { expectedChainId: String(chainId) },
    );
  if (recovered.chainId !== chainId)
    return refusal(
      'WRONG_CHAIN_ID',
      `the transaction is for chain ${recovered.chainId}; this is chain ${chainId}`,
      { expectedChainId: String(chainId), chainId: String(recovered.chainId) },
    );
  return gasRefusal(recovered, chain) ?? feeRefusal(recovered, parameters.baseFeeFloor);
}

function unrecovered(raw: Uint8Array, failure: RecoveryFailure): Refusal {
  if (failure.code !== 'MALFORMED') return refusal('INVALID_SIGNATURE', failure.message);
  const type = raw[0];
  const isUnknownType = type !== undefined && type < 0x80 && type !== 1 && type !== 2;
  return refusal(
    isUnknownType ? 'UNSUPPORTED_TRANSACTION_TYPE' : 'MALFORMED_TRANSACTION',
    failure.message,
  );
}

function gasRefusal(
  recovered: RecoveredTransaction,
  { genesis, nextHeight }: { genesis: Genesis; nextHeight: Height },
): Refusal | undefined {
  const { blockGasLimit, forks } = genesis.parameters;
  if (recovered.gasLimit > blockGasLimit)
    return refusal(
      'GAS_LIMIT_TOO_HIGH',
      `the gas limit ${recovered.gasLimit} is above the block's ${blockGasLimit}; lower it`,
      { gasLimit: String(recovered.gasLimit), blockGasLimit: String(blockGasLimit) },
    );
  if (recovered.to === undefined && recovered.dataBytes > INIT_CODE_BYTES_MAX)
    return refusal(
      'TRANSACTION_TOO_LARGE',
      `init code has ${recovered.dataBytes} bytes; at most ${INIT_CODE_BYTES_MAX} are accepted`,
      { bytes: recovered.dataBytes, bytesMax: INIT_CODE_BYTES_MAX },
    );
  const minimum = minimumGasLimit(
    { ...recovered, creates: recovered.to === undefined },
    forkAt(forks, nextHeight),
  );
  if (recovered.gasLimit < minimum)
    return refusal(
      'GAS_LIMIT_TOO_LOW',
      `the gas limit ${recovered.gasLimit} is below the ${minimum} that this transaction needs at least`,
      { gasLimit: String(recovered.gasLimit), minimumGasLimit: String(minimum) },
    );
  return undefined;
}

function feeRefusal(recovered: RecoveredTransaction, baseFeeFloor: bigint): Refusal | undefined {
  if (recovered.maxPriorityFeePerGas > recovered.maxFeePerGas)
    return refusal(
      'FEE_INVALID',
      'the priority fee is above the fee cap; lower it or raise the fee cap',
    );
  if (recovered.maxFeePerGas < baseFeeFloor)
    return refusal(
      'FEE_TOO_LOW',
      `the fee cap ${recovered.maxFeePerGas} is below the lowest base fee ${baseFeeFloor}; raise it`,
      { baseFeeFloor: String(baseFeeFloor) },
    );
  return undefined;
}
