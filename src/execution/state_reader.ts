import type { Account } from '../types/outcome.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';

export interface SlotKey {
  readonly address: Address;
  readonly slot: Hash;
}

/**
 * The state that a block executes on. Every answer of one execution must speak for the same height;
 * results stand in the order of the question. A rejection ends the execution without effect.
 */
export interface StateReader {
  /** Undefined for an account that does not exist. */
  accounts(addresses: readonly Address[]): Promise<(Account | undefined)[]>;
  /** Minimal big-endian bytes, empty for a slot that was never set. */
  slots(keys: readonly SlotKey[]): Promise<Uint8Array[]>;
  /** The code whose keccak-256 this is; asked only for hashes that an account carries. */
  code(codeHash: Hash): Promise<Uint8Array>;
  /** Id of a decided block; undefined where there is none. Asked for the 256 blocks below only. */
  blockHash(height: Height): Promise<Hash | undefined>;
  /**
   * Whether an account without code and nonce holds storage, so that nothing may be created over it
   * (EIP-7610). Genesis refuses such accounts and execution cannot make one, so that a chain's own
   * reader leaves this out, which means no.
   */
  hasStorage?(address: Address): Promise<boolean>;
}
