import type { AccountFields, StateManagerInterface } from '@ethereumjs/common';
import { Account as EvmAccount, type Address as EvmAddress, KECCAK256_RLP } from '@ethereumjs/util';
import { keccak256 } from '../crypto/keccak.ts';
import { AssertionError, assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import type { Account } from '../types/outcome.ts';
import { type Address, EMPTY_CODE_HASH, ZERO_HASH } from '../types/primitives.ts';
import type { FlatState } from './flat_state.ts';

/** Any root but that of the empty trie: the library only asks whether there is storage at all. */
const SOME_STORAGE_ROOT = ZERO_HASH;

/**
 * The library's view of a flat state. It hands out copies, since the library changes accounts in
 * place before it stores them. Storage roots do not exist here; see `markCreationTarget`.
 */
export class EvmState implements StateManagerInterface {
  #state: FlatState | undefined;
  /** An account that something is being created over although it holds storage (EIP-7610). */
  #occupied: Address | undefined;

  readonly originalStorageCache = {
    get: async (address: EvmAddress, slot: Uint8Array): Promise<Uint8Array> => {
      const state = this.#flat();
      const cell =
        state.slotCell(address.bytes, slot) ?? (await state.loadSlot(address.bytes, slot));
      return state.slotAtStart(cell);
    },
    clear: (): void => {
      // Values at the start are numbered by transaction and grow stale by themselves.
    },
  };

  /** Works on this state from now on. */
  use(state: FlatState): void {
    this.#state = state;
    this.#occupied = undefined;
  }

  /** Learns whether the address already holds storage, before a contract is created there. */
  async markCreationTarget(address: Address): Promise<void> {
    const state = this.#flat();
    const { now } = await state.loadAccount(address);
    const bare = now !== undefined && now.nonce === 0n && bytesEqual(now.codeHash, EMPTY_CODE_HASH);
    this.#occupied = bare && (await state.hasStorage(address)) ? address : undefined;
  }

  async getAccount(address: EvmAddress): Promise<EvmAccount | undefined> {
    const state = this.#flat();
    const cell = state.accountCell(address.bytes) ?? (await state.loadAccount(address.bytes));
    const account = cell.now;
    if (account === undefined) return undefined;
    const occupied = this.#occupied !== undefined && bytesEqual(this.#occupied, address.bytes);
    const storageRoot = occupied ? SOME_STORAGE_ROOT : KECCAK256_RLP;
    return new EvmAccount(account.nonce, account.balance, storageRoot, account.codeHash);
  }

  async putAccount(address: EvmAddress, account?: EvmAccount): Promise<void> {
    const state = this.#flat();
    const cell = state.accountCell(address.bytes) ?? (await state.loadAccount(address.bytes));
    state.setAccount(cell, account === undefined ? undefined : plainAccount(account));
  }

  async deleteAccount(address: EvmAddress): Promise<void> {
    await this.putAccount(address, undefined);
  }

  async modifyAccountFields(address: EvmAddress, fields: AccountFields): Promise<void> {
    const account = (await this.getAccount(address)) ?? new EvmAccount();
    await this.putAccount(address, Object.assign(account, fields));
  }

  async putCode(address: EvmAddress, code: Uint8Array): Promise<void> {
    const state = this.#flat();
    const codeHash = keccak256(code);
    state.addCode(codeHash, code);
    await this.modifyAccountFields(address, { codeHash });
  }

  async getCode(address: EvmAddress): Promise<Uint8Array> {
    const state = this.#flat();
    const cell = state.accountCell(address.bytes) ?? (await state.loadAccount(address.bytes));
    const codeHash = cell.now?.codeHash ?? EMPTY_CODE_HASH;
    return state.code(codeHash) ?? (await state.loadCode(codeHash));
  }

  async getCodeSize(address: EvmAddress): Promise<number> {
    return (await this.getCode(address)).length;
  }

  async getStorage(address: EvmAddress, slot: Uint8Array): Promise<Uint8Array> {
    const state = this.#flat();
    const cell = state.slotCell(address.bytes, slot) ?? (await state.loadSlot(address.bytes, slot));
    return cell.now;
  }

  async putStorage(address: EvmAddress, slot: Uint8Array, value: Uint8Array): Promise<void> {
    const state = this.#flat();
    const cell = state.slotCell(address.bytes, slot) ?? (await state.loadSlot(address.bytes, slot));
    state.setSlot(cell, withoutLeadingZeros(value));
  }

  /** Asked for at each creation; a creation target has no storage, or it would have been refused. */
  async clearStorage(): Promise<void> {}

  async checkpoint(): Promise<void> {
    this.#flat().checkpoint();
  }

  async commit(): Promise<void> {
    this.#flat().commit();
  }

  async revert(): Promise<void> {
    this.#flat().revert();
  }

  getStateRoot(): Promise<Uint8Array> {
    return noRoots();
  }

  setStateRoot(): Promise<void> {
    return noRoots();
  }

  hasStateRoot(): Promise<boolean> {
    return noRoots();
  }

  clearCaches(): void {
    noRoots();
  }

  shallowCopy(): StateManagerInterface {
    return noRoots();
  }

  #flat(): FlatState {
    assert(this.#state !== undefined, 'the EVM ran before it was given a state');
    return this.#state;
  }
}

function plainAccount({ nonce, balance, codeHash }: EvmAccount): Account {
  return { nonce, balance, codeHash };
}

function withoutLeadingZeros(value: Uint8Array): Uint8Array {
  let start = 0;
  while (start < value.length && value[start] === 0) start += 1;
  return start === 0 ? value : value.slice(start);
}

/** Part of the interface that execution never uses. */
function noRoots(): never {
  throw new AssertionError('flat state has neither roots nor copies');
}
