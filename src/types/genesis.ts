import type { Address } from './primitives.ts';
import type { ConsensusParameters, Validator } from './validator.ts';

/** Everything that the first block of a chain follows from. Equal genesis means equal chain. */
export interface Genesis {
  readonly chainId: bigint;
  /** Time of block 0. */
  readonly timestampMs: number;
  readonly parameters: ConsensusParameters;
  readonly validators: readonly Validator[];
  /** Ascending by address, without repeats. */
  readonly accounts: readonly GenesisAccount[];
}

export interface GenesisAccount {
  readonly address: Address;
  /** Wei. */
  readonly balance: bigint;
  readonly nonce: bigint;
  /** Empty for an account without code. */
  readonly code: Uint8Array;
  /** Slot (32 bytes) and value (minimal big-endian, not empty), ascending by slot. */
  readonly storage: readonly { readonly slot: Uint8Array; readonly value: Uint8Array }[];
}
