import { assert } from '../lib/assert.ts';
import { largerBigInt, smallerBigInt } from '../lib/bigint.ts';
import type { Height } from '../types/primitives.ts';
import type { Transaction } from '../types/transaction.ts';
import type { Fork, ForkName } from '../types/validator.ts';

/** Gas that a transaction pays before anything runs: EIP-2028, EIP-2930, EIP-3860. */
const TRANSACTION_GAS = 21_000;
const CREATION_GAS = 32_000;
const ZERO_BYTE_GAS = 4;
const OTHER_BYTE_GAS = 16;
const INIT_CODE_WORD_GAS = 2;
const ACCESS_LIST_ADDRESS_GAS = 2_400;
const ACCESS_LIST_SLOT_GAS = 1_900;
/** EIP-7623: gas for each token of data, a zero byte being one and any other byte four. */
const FLOOR_TOKEN_GAS = 10;
const TOKENS_PER_OTHER_BYTE = 4;

/** EIP-3860: bytes of init code, at most. */
export const INIT_CODE_BYTES_MAX = 49_152;
/** EIP-1559: the base fee moves by at most one part in this many. */
const BASE_FEE_CHANGE_DENOMINATOR = 8n;
const GAS_ELASTICITY = 2n;

/** The rule set in force at a height; `forks` ascends and starts at height 0. */
export function forkAt(forks: readonly Fork[], height: Height): ForkName {
  const fork = forks.findLast((candidate) => candidate.height <= height);
  assert(fork !== undefined, `no rule set holds at height ${height}`);
  return fork.name;
}

/** What the gas of a transaction depends on before anything runs. */
export interface GasShape {
  /** Whether it creates a contract, so that its data is init code. */
  readonly creates: boolean;
  readonly dataBytes: number;
  readonly dataZeroBytes: number;
  /** Entries of the access list, and slots over all of them. */
  readonly accessListAddresses: number;
  readonly accessListSlots: number;
}

export function gasShape(transaction: Pick<Transaction, 'to' | 'data' | 'accessList'>): GasShape {
  const { to, data, accessList } = transaction;
  let dataZeroBytes = 0;
  for (const byte of data) if (byte === 0) dataZeroBytes += 1;
  let accessListSlots = 0;
  for (const { slots } of accessList) accessListSlots += slots.length;
  return {
    creates: to === undefined,
    dataBytes: data.length,
    dataZeroBytes,
    accessListAddresses: accessList.length,
    accessListSlots,
  };
}

/** What is charged before execution: transaction, data, creation, access list. */
export function intrinsicGas(shape: GasShape): bigint {
  const { dataBytes, dataZeroBytes, accessListAddresses, accessListSlots } = shape;
  let gas = TRANSACTION_GAS;
  gas += dataZeroBytes * ZERO_BYTE_GAS + (dataBytes - dataZeroBytes) * OTHER_BYTE_GAS;
  if (shape.creates) gas += CREATION_GAS + Math.ceil(dataBytes / 32) * INIT_CODE_WORD_GAS;
  gas += accessListAddresses * ACCESS_LIST_ADDRESS_GAS + accessListSlots * ACCESS_LIST_SLOT_GAS;
  return BigInt(gas);
}

/** What a transaction pays at least, however little it executes; zero before Prague (EIP-7623). */
export function floorGas(shape: GasShape, fork: ForkName): bigint {
  if (fork !== 'prague') return 0n;
  const { dataBytes, dataZeroBytes } = shape;
  const tokens = dataZeroBytes + (dataBytes - dataZeroBytes) * TOKENS_PER_OTHER_BYTE;
  return BigInt(TRANSACTION_GAS + tokens * FLOOR_TOKEN_GAS);
}

/** The gas limit below which a transaction cannot be included at all. */
export function minimumGasLimitFor(shape: GasShape, fork: ForkName): bigint {
  return largerBigInt(intrinsicGas(shape), floorGas(shape, fork));
}

/** Wei that the sender must own: value and the whole gas limit at the fee cap. */
export function worstCaseCost(
  transaction: Pick<Transaction, 'value' | 'gasLimit' | 'maxFeePerGas'>,
): bigint {
  return transaction.value + transaction.gasLimit * transaction.maxFeePerGas;
}

/** Wei per gas that the sender pays; the fee cap must be at least the base fee. */
export function effectiveGasPrice(
  transaction: Pick<Transaction, 'maxFeePerGas' | 'maxPriorityFeePerGas'>,
  baseFeePerGas: bigint,
): bigint {
  const wished = baseFeePerGas + transaction.maxPriorityFeePerGas;
  return smallerBigInt(wished, transaction.maxFeePerGas);
}

/** Base fee of a block from its parent's (EIP-1559), never below the floor. All fees in wei per gas. */
export function nextBaseFee(parent: {
  readonly baseFeePerGas: bigint;
  readonly gasUsed: bigint;
  readonly gasLimit: bigint;
  readonly floor: bigint;
}): bigint {
  const { baseFeePerGas, gasUsed, gasLimit, floor } = parent;
  const target = gasLimit / GAS_ELASTICITY;
  const scaled = (distance: bigint): bigint =>
    (baseFeePerGas * distance) / target / BASE_FEE_CHANGE_DENOMINATOR;
  let next = baseFeePerGas;
  if (gasUsed > target) {
    const rise = scaled(gasUsed - target);
    next += largerBigInt(rise, 1n);
  } else if (gasUsed < target) {
    next -= scaled(target - gasUsed);
  }
  return largerBigInt(next, floor);
}
