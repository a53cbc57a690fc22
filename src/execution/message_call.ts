import type { EVMRunCallOpts, ExecResult } from '@ethereumjs/evm';
import { Address as EvmAddress } from '@ethereumjs/util';
import { largerBigInt, smallerBigInt } from '../lib/bigint.ts';
import { fromHex, toHex } from '../lib/bytes.ts';
import type { Address } from '../types/primitives.ts';
import type { Log } from '../types/receipt.ts';
import type { AccessListEntry } from '../types/transaction.ts';
import type { BlockContext } from './block_context.ts';
import type { FlatState } from './flat_state.ts';
import type { Rules } from './rules.ts';

/** EIP-3529: at most this part of the gas used comes back for cleared storage. */
const REFUND_QUOTIENT = 5n;
/** EIP-7516: there are no blobs, so that their gas costs the least possible. */
const BLOB_BASE_FEE = 1n;

/** The block as opcodes see it. */
export type EvmBlock = NonNullable<EVMRunCallOpts['block']>;

/** One message from an account that has paid for its gas and whose nonce has been raised. */
export interface MessageCall {
  readonly sender: Address;
  /** Undefined creates a contract. */
  readonly to: Address | undefined;
  readonly data: Uint8Array;
  readonly value: bigint;
  readonly gasLimit: bigint;
  readonly gasPrice: bigint;
  readonly accessList: readonly AccessListEntry[];
  /** Charged before anything runs. */
  readonly intrinsicGas: bigint;
  /** Charged at least (EIP-7623). */
  readonly floorGas: bigint;
}

export interface MessageResult {
  /** Undefined when it succeeded, else the library's name of what went wrong. */
  readonly exception: string | undefined;
  /** After the refund, intrinsic gas included. */
  readonly gasUsed: bigint;
  /** Before the refund. */
  readonly gasSpent: bigint;
  readonly output: Uint8Array;
  readonly logs: readonly Log[];
}

export function evmBlock(context: BlockContext): EvmBlock {
  return {
    header: {
      number: BigInt(context.height),
      coinbase: new EvmAddress(context.coinbase),
      timestamp: BigInt(Math.floor(context.timestampMs / 1_000)),
      difficulty: 0n,
      prevRandao: context.prevRandao,
      gasLimit: context.gasLimit,
      baseFeePerGas: context.baseFeePerGas,
      getBlobGasPrice: () => BLOB_BASE_FEE,
    },
  };
}

/** Runs one message on the state that the rules were given and leaves its effects there. */
export async function runMessage(
  message: MessageCall,
  machine: { rules: Rules; state: FlatState; block: EvmBlock },
): Promise<MessageResult> {
  const { rules, state, block } = machine;
  warm(message, machine);
  const { execResult } = await rules.evm.runCall({
    block,
    gasPrice: message.gasPrice,
    caller: new EvmAddress(message.sender),
    origin: new EvmAddress(message.sender),
    gasLimit: message.gasLimit - message.intrinsicGas,
    ...(message.to === undefined ? {} : { to: new EvmAddress(message.to) }),
    data: message.data,
    value: message.value,
    skipNonceIncrement: true,
  });
  await removeDestroyed(execResult, state);
  rules.evm.journal.cleanJournal();
  const gasSpent = message.intrinsicGas + execResult.executionGasUsed;
  return {
    exception: execResult.exceptionError?.error,
    gasUsed: afterRefund(gasSpent, execResult.gasRefund ?? 0n, message.floorGas),
    gasSpent,
    output: execResult.returnValue,
    logs: (execResult.logs ?? []).map(([address, topics, data]) => ({ address, topics, data })),
  };
}

/** EIP-2929, EIP-2930 and EIP-3651: what costs no cold access. */
function warm(message: MessageCall, { rules, block }: { rules: Rules; block: EvmBlock }): void {
  const { journal } = rules.evm;
  journal.addAlwaysWarmAddress(toHex(message.sender));
  journal.addAlwaysWarmAddress(toHex(block.header.coinbase.bytes));
  if (message.to !== undefined) journal.addAlwaysWarmAddress(toHex(message.to));
  for (const precompile of rules.precompiles) journal.addAlwaysWarmAddress(precompile);
  for (const { address, slots } of message.accessList) {
    const addressHex = toHex(address);
    journal.addAlwaysWarmAddress(addressHex);
    for (const slot of slots) journal.addAlwaysWarmSlot(addressHex, toHex(slot));
  }
}

/** EIP-6780: only what this transaction created ends with it. */
async function removeDestroyed(result: ExecResult, state: FlatState): Promise<void> {
  if (result.selfdestruct === undefined || result.selfdestruct.size === 0) return;
  const ended = [...result.selfdestruct.keys()].filter((hex) => result.createdAddresses?.has(hex));
  const addresses = ended.flatMap((hex) => fromHex(hex) ?? []);
  if (addresses.length > 0) await state.removeCreated(addresses);
}

function afterRefund(gasSpent: bigint, refund: bigint, floor: bigint): bigint {
  const gasUsed = gasSpent - smallerBigInt(refund, gasSpent / REFUND_QUOTIENT);
  return largerBigInt(gasUsed, floor);
}
