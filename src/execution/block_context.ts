import type { Address, Hash, Height } from '../types/primitives.ts';
import type { Fork } from '../types/validator.ts';

/** What a transaction can learn about its block; all of it from the decided header and the genesis. */
export interface BlockContext {
  readonly chainId: bigint;
  readonly height: Height;
  /** The EVM sees whole seconds. */
  readonly timestampMs: number;
  /** The proposer's reward address; its balance takes the tips after the last transaction. */
  readonly coinbase: Address;
  readonly baseFeePerGas: bigint;
  readonly gasLimit: bigint;
  readonly prevRandao: Hash;
  /** Rule sets by height, ascending from height 0. */
  readonly forks: readonly Fork[];
}
