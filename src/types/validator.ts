import type { Address } from './primitives.ts';
import { encodeRlp, scalar } from './rlp.ts';

export const BLS_PUBLIC_KEY_BYTES = 48;
export const BLS_SIGNATURE_BYTES = 96;

/** One logical node of the public network. */
export interface Validator {
  /** The last 20 bytes of the keccak-256 of the public key: the proposer of a header. */
  readonly address: Address;
  /** Compressed point of G1. */
  readonly publicKey: Uint8Array;
  /** Stake, as voting power; at least 1. */
  readonly power: bigint;
  /** Where COINBASE points and fees go. */
  readonly rewardAddress: Address;
}

/** Bytes whose hash is the validators hash; order is the set's own and bit i of a certificate is entry i. */
export function encodeValidators(validators: readonly Validator[]): Uint8Array {
  return encodeRlp(
    validators.map(({ publicKey, power, rewardAddress }) => [
      publicKey,
      scalar(power),
      rewardAddress,
    ]),
  );
}

/** What every validator of a chain agrees on and no header repeats. */
export interface ConsensusParameters {
  /** Gas limit of every block. */
  readonly blockGasLimit: bigint;
  /** Bytes of all transactions of a block, at most. */
  readonly blockBytesMax: number;
  /** Bytes of one transaction, at most. */
  readonly transactionBytesMax: number;
  /** Leaves of one segment of the transactions tree: a power of two. */
  readonly segmentTransactions: number;
  /** Base fee of the first block and the floor below which it never falls, in wei. */
  readonly baseFeeInitial: bigint;
  readonly baseFeeFloor: bigint;
  /** How far a live proposal's time may be from a voter's clock, in milliseconds. */
  readonly clockSkewMsMax: number;
  /** Rule sets and the height from which each holds, ascending; the first is at height 0. */
  readonly forks: readonly Fork[];
}

export interface Fork {
  readonly name: ForkName;
  readonly height: number;
}

export type ForkName = 'cancun' | 'prague';

/** Bytes whose hash is the consensus-parameters hash. */
export function encodeConsensusParameters(parameters: ConsensusParameters): Uint8Array {
  return encodeRlp([
    scalar(parameters.blockGasLimit),
    scalar(parameters.blockBytesMax),
    scalar(parameters.transactionBytesMax),
    scalar(parameters.segmentTransactions),
    scalar(parameters.baseFeeInitial),
    scalar(parameters.baseFeeFloor),
    scalar(parameters.clockSkewMsMax),
    parameters.forks.map(({ name, height }) => [new TextEncoder().encode(name), scalar(height)]),
  ]);
}
