import type { RecoveredTransaction, RecoveryFailure, RecoveryResult } from '../crypto/recovery.ts';
import { type TransactionReason, transactionReason } from '../execution/block_rules.ts';
import { forkAt, INIT_CODE_BYTES_MAX, minimumGasLimitFor } from '../execution/fees.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Height } from '../types/primitives.ts';
import { type Refusal, refusal } from '../types/submission.ts';

interface ChainRules {
  readonly genesis: Genesis;
  /** Height of the next block. */
  readonly height: Height;
}

/** What no state can mend: checked by the leader before anything is looked up. */
export function refusalOf(
  raw: Uint8Array,
  recovered: RecoveryResult,
  { genesis, height }: ChainRules,
): Refusal | undefined {
  if (!recovered.ok) return unrecovered(raw, recovered);
  const { chainId, parameters } = genesis;
  const shape = { ...recovered, creates: recovered.to === undefined, rawBytes: raw.length };
  const reason = transactionReason(recovered, shape, { chainId, height, parameters });
  if (reason !== undefined) return explained(reason, { raw, recovered, genesis, height });
  if (recovered.gasLimit > parameters.blockGasLimit)
    return refusal(
      'GAS_LIMIT_TOO_HIGH',
      `the gas limit ${recovered.gasLimit} is above the block's ${parameters.blockGasLimit}; lower it`,
      { gasLimit: String(recovered.gasLimit), blockGasLimit: String(parameters.blockGasLimit) },
    );
  if (recovered.maxFeePerGas < parameters.baseFeeFloor)
    return refusal(
      'FEE_TOO_LOW',
      `the fee cap ${recovered.maxFeePerGas} is below the lowest base fee ${parameters.baseFeeFloor}; raise it`,
      { baseFeeFloor: String(parameters.baseFeeFloor) },
    );
  return undefined;
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

/** The reason in words that say what to change. */
function explained(
  reason: TransactionReason,
  context: ChainRules & { raw: Uint8Array; recovered: RecoveredTransaction },
): Refusal {
  const { raw, recovered, genesis, height } = context;
  const { parameters, chainId } = genesis;
  switch (reason) {
    case 'WRONG_CHAIN_ID': {
      const found =
        recovered.chainId === undefined
          ? 'the signature names no chain'
          : `the transaction is for chain ${recovered.chainId}`;
      return refusal('WRONG_CHAIN_ID', `${found}; sign it for chain ${chainId} (EIP-155)`, {
        expectedChainId: String(chainId),
      });
    }
    case 'TRANSACTION_TOO_LARGE':
      return tooLarge('the transaction', raw.length, parameters.transactionBytesMax);
    case 'INIT_CODE_TOO_LARGE':
      return tooLarge('init code', recovered.dataBytes, INIT_CODE_BYTES_MAX);
    case 'PRIORITY_FEE_ABOVE_CAP':
      return refusal(
        'FEE_INVALID',
        'the priority fee is above the fee cap; lower it or raise the fee cap',
      );
    case 'NONCE_TOO_HIGH':
      return refusal('NONCE_TOO_FAR', `nonce ${recovered.nonce} can never be used (EIP-2681)`);
    case 'GAS_LIMIT_TOO_LOW': {
      const shape = { ...recovered, creates: recovered.to === undefined };
      const minimum = minimumGasLimitFor(shape, forkAt(parameters.forks, height));
      return refusal(
        'GAS_LIMIT_TOO_LOW',
        `the gas limit ${recovered.gasLimit} is below the ${minimum} that this transaction needs at least; raise it`,
        { gasLimit: String(recovered.gasLimit), minimumGasLimit: String(minimum) },
      );
    }
  }
}

function tooLarge(what: string, bytes: number, bytesMax: number): Refusal {
  return refusal(
    'TRANSACTION_TOO_LARGE',
    `${what} has ${bytes} bytes; at most ${bytesMax} are accepted`,
    { bytes, bytesMax },
  );
}
