import { bytesEqual } from '../lib/bytes.ts';
import type { Account } from '../types/outcome.ts';
import { decodeAccount } from '../types/outcome.ts';
import { type Address, EMPTY_CODE_HASH, type Hash, type Height } from '../types/primitives.ts';
import { accountKey, codeKey, slotKey } from './keys.ts';
import { LedgerError } from './ledger_error.ts';
import type { StoreReader } from './store.ts';

/** Accounts, slots and code after the last executed height of the store it reads. */
export class FlatState {
  readonly #store: StoreReader;
  readonly #blockHashes: (height: Height) => Promise<Hash | undefined>;

  constructor(store: StoreReader, blockHashes: (height: Height) => Promise<Hash | undefined>) {
    this.#store = store;
    this.#blockHashes = blockHashes;
  }

  async accounts(addresses: readonly Address[]): Promise<(Account | undefined)[]> {
    const values = await this.#store.getMany(addresses.map(accountKey));
    return values.map((value) => (value === undefined ? undefined : decodeAccount(value)));
  }

  async account(address: Address): Promise<Account | undefined> {
    const value = await this.#store.get(accountKey(address));
    return value === undefined ? undefined : decodeAccount(value);
  }

  /** Minimal big-endian values; empty for a slot that was never set. */
  async slots(
    keys: readonly { readonly address: Address; readonly slot: Hash }[],
  ): Promise<Uint8Array[]> {
    const values = await this.#store.getMany(
      keys.map(({ address, slot }) => slotKey(address, slot)),
    );
    return values.map((value) => value ?? new Uint8Array(0));
  }

  async code(codeHash: Hash): Promise<Uint8Array> {
    if (bytesEqual(codeHash, EMPTY_CODE_HASH)) return new Uint8Array(0);
    const code = await this.#store.get(codeKey(codeHash));
    if (code === undefined)
      throw new LedgerError(
        'STORE_DAMAGED',
        'an account names code that is not stored; replace this member',
      );
    return code;
  }

  /** Id of a decided block. */
  blockHash(height: Height): Promise<Hash | undefined> {
    return this.#blockHashes(height);
  }
}
