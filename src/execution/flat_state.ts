import { assert } from '../lib/assert.ts';
import { bytesEqual, compareBytes } from '../lib/bytes.ts';
import { errorText } from '../lib/error.ts';
import type { Account, AccountChange, CodeChange, Delta, SlotChange } from '../types/outcome.ts';
import { type Address, EMPTY_CODE_HASH, type Hash, type Height } from '../types/primitives.ts';
import { ExecutionError } from './execution_error.ts';
import { GenerationMap } from './generation_map.ts';
import type { SlotKey, StateReader } from './state_reader.ts';

/** Keys asked of the state reader in one question, at most. */
export const READ_BATCH_KEYS_MAX = 1_024;

/** One value of the state: as it was before the block, and as it is now. */
interface Cell<Value> {
  before: Value;
  now: Value;
  changed: boolean;
}

export interface AccountCell extends Cell<Account | undefined> {
  readonly address: Address;
}

export interface SlotCell extends Cell<Uint8Array> {
  readonly address: Address;
  readonly slot: Hash;
  /** Value at the start of the transaction whose number stands beside it. */
  atStart: Uint8Array;
  transaction: number;
}

const NO_CODE = new Uint8Array(0);

/** Estimated bytes on the heap of one cached cell with its key. */
const ACCOUNT_CELL_BYTES = 400;
const SLOT_CELL_BYTES = 400;
/** The analysis of code for jumps lives as long as the code and is much larger. */
const CODE_CELL_BYTES = 200;
const BYTES_PER_CODE_BYTE = 20;

/**
 * State as flat cells over a reader: values are fetched once, changed in place and noted in an undo
 * log, so that a checkpoint is a position in the log and costs nothing. After a block, the changes
 * are either kept as the new ground (`promote`) or undone (`rollBack`), and the cells stay as a cache.
 */
export class FlatState {
  /** Where values that are not cached come from. */
  #reader: StateReader;
  readonly #accounts: GenerationMap<AccountCell>;
  readonly #slots: GenerationMap<SlotCell>;
  readonly #codes: GenerationMap<Uint8Array>;
  #changedAccounts: AccountCell[] = [];
  #changedSlots: SlotCell[] = [];
  #undoCells: Cell<unknown>[] = [];
  #undoValues: unknown[] = [];
  readonly #checkpoints: number[] = [];
  #transaction = 0;

  constructor(options: { cacheBytesMax: number }, dependencies: { reader: StateReader }) {
    this.#reader = dependencies.reader;
    const weightMax = options.cacheBytesMax / 3;
    this.#accounts = new GenerationMap({ weightMax, weightOf: () => ACCOUNT_CELL_BYTES });
    this.#slots = new GenerationMap({ weightMax, weightOf: () => SLOT_CELL_BYTES });
    this.#codes = new GenerationMap({ weightMax, weightOf: codeWeight });
  }

  /** Reads from elsewhere from now on; what is cached must be forgotten or equal there. */
  readFrom(reader: StateReader): void {
    this.#reader = reader;
  }

  /** The cell of an account, if it is loaded. */
  accountCell(address: Address): AccountCell | undefined {
    return this.#accounts.get(byteString(address));
  }

  async loadAccount(address: Address): Promise<AccountCell> {
    const cell = this.accountCell(address);
    if (cell !== undefined) return cell;
    await this.#fetchAccounts([address]);
    return this.#loaded(this.accountCell(address));
  }

  slotCell(address: Address, slot: Hash): SlotCell | undefined {
    return this.#slots.get(slotString(address, slot));
  }

  async loadSlot(address: Address, slot: Hash): Promise<SlotCell> {
    const cell = this.slotCell(address, slot);
    if (cell !== undefined) return cell;
    await this.#fetchSlots([{ address, slot }]);
    return this.#loaded(this.slotCell(address, slot));
  }

  /** The code, if it is cached. */
  code(codeHash: Hash): Uint8Array | undefined {
    return bytesEqual(codeHash, EMPTY_CODE_HASH) ? NO_CODE : this.#codes.get(byteString(codeHash));
  }

  async loadCode(codeHash: Hash): Promise<Uint8Array> {
    const known = this.code(codeHash);
    if (known !== undefined) return known;
    const code = await this.#read(this.#reader.code(codeHash));
    this.addCode(codeHash, code);
    return code;
  }

  /** Makes code known whose hash an account is about to carry. */
  addCode(codeHash: Hash, code: Uint8Array): void {
    if (this.code(codeHash) === undefined) this.#codes.set(byteString(codeHash), code);
  }

  async blockHash(height: Height): Promise<Hash | undefined> {
    return this.#read(this.#reader.blockHash(height));
  }

  /** See StateReader.hasStorage. */
  async hasStorage(address: Address): Promise<boolean> {
    if (this.#reader.hasStorage === undefined) return false;
    return this.#read(this.#reader.hasStorage(address));
  }

  /** Loads what is not loaded yet, in as few questions as possible, then the accounts' code. */
  async prefetch(addresses: readonly Address[], slots: readonly SlotKey[]): Promise<void> {
    const missing = unique(addresses, byteString).filter(
      (address) => this.accountCell(address) === undefined,
    );
    const missingSlots = unique(slots, (key) => slotString(key.address, key.slot)).filter(
      (key) => this.slotCell(key.address, key.slot) === undefined,
    );
    await Promise.all([
      ...batches(missing).map((batch) => this.#fetchAccounts(batch)),
      ...batches(missingSlots).map((batch) => this.#fetchSlots(batch)),
    ]);
    const hashes: Hash[] = [];
    for (const address of missing) {
      const account = this.accountCell(address)?.now;
      if (account !== undefined) hashes.push(account.codeHash);
    }
    await Promise.all(unique(hashes, byteString).map((codeHash) => this.loadCode(codeHash)));
  }

  /** An empty account is stored as none: the rules since EIP-161 never tell the two apart. */
  setAccount(cell: AccountCell, changed: Account | undefined): void {
    const account = changed !== undefined && isEmptyAccount(changed) ? undefined : changed;
    if (sameAccount(cell.now, account)) return;
    if (!cell.changed) {
      cell.changed = true;
      this.#changedAccounts.push(cell);
    }
    this.#undoCells.push(cell);
    this.#undoValues.push(cell.now);
    cell.now = account;
  }

  /** @param value minimal big-endian bytes, empty for zero */
  setSlot(cell: SlotCell, value: Uint8Array): void {
    if (bytesEqual(cell.now, value)) return;
    if (!cell.changed) {
      cell.changed = true;
      this.#changedSlots.push(cell);
    }
    if (cell.transaction !== this.#transaction) {
      cell.transaction = this.#transaction;
      cell.atStart = cell.now;
    }
    this.#undoCells.push(cell);
    this.#undoValues.push(cell.now);
    cell.now = value;
  }

  /** The slot's value at the start of the current transaction (EIP-2200). */
  slotAtStart(cell: SlotCell): Uint8Array {
    return cell.transaction === this.#transaction ? cell.atStart : cell.now;
  }

  /** Ends accounts that this very transaction created, so that it also wrote all their storage. */
  async removeCreated(addresses: readonly Address[]): Promise<void> {
    const removed = new Set(addresses.map(byteString));
    for (const address of addresses) this.setAccount(await this.loadAccount(address), undefined);
    const writes = this.#undoCells.length;
    for (let index = 0; index < writes; index += 1) {
      const written = this.#undoCells[index] as AccountCell | SlotCell;
      if ('slot' in written && removed.has(byteString(written.address)))
        this.setSlot(written, NO_CODE);
    }
  }

  /** Forgets how to undo what earlier transactions did. */
  beginTransaction(): void {
    assert(this.#checkpoints.length === 0, 'a transaction must begin outside all checkpoints');
    this.#transaction += 1;
    this.#undoCells = [];
    this.#undoValues = [];
  }

  checkpoint(): void {
    this.#checkpoints.push(this.#undoCells.length);
  }

  commit(): void {
    assert(this.#checkpoints.pop() !== undefined, 'commit without a checkpoint');
  }

  revert(): void {
    const position = this.#checkpoints.pop();
    assert(position !== undefined, 'revert without a checkpoint');
    for (let index = this.#undoCells.length - 1; index >= position; index -= 1) {
      const cell = this.#undoCells[index];
      if (cell !== undefined) cell.now = this.#undoValues[index];
    }
    this.#undoCells.length = position;
    this.#undoValues.length = position;
  }

  /** What differs from the state before the block, in canonical order. */
  delta(): Delta {
    const changes = new Map<string, { account: AccountCell | undefined; slots: SlotChange[] }>();
    for (const account of this.#changedAccounts)
      if (!sameAccount(account.before, account.now))
        changes.set(byteString(account.address), { account, slots: [] });
    for (const cell of this.#changedSlots) {
      if (bytesEqual(cell.before, cell.now)) continue;
      const key = byteString(cell.address);
      let change = changes.get(key);
      if (change === undefined) {
        change = { account: this.accountCell(cell.address), slots: [] };
        changes.set(key, change);
      }
      change.slots.push({ slot: cell.slot, value: cell.now });
    }
    const accounts = [...changes.values()].map(({ account, slots }) =>
      accountChange(account, slots),
    );
    accounts.sort((left, right) => compareBytes(left.address, right.address));
    return { accounts, codes: this.#newCodes(accounts) };
  }

  /** Makes the current values the ground for the next block. */
  promote(): void {
    for (const cell of [...this.#changedAccounts, ...this.#changedSlots]) {
      cell.before = cell.now;
      cell.changed = false;
    }
    this.#forgetChanges();
    this.#trim();
  }

  /** Returns to the state before the block. */
  rollBack(): void {
    for (const cell of [...this.#changedAccounts, ...this.#changedSlots]) {
      cell.now = cell.before;
      cell.changed = false;
    }
    this.#forgetChanges();
    this.#trim();
  }

  /** Forgets every value but code, which no height changes. */
  clear(): void {
    this.#accounts.clear();
    this.#slots.clear();
    this.#forgetChanges();
  }

  #forgetChanges(): void {
    this.#changedAccounts = [];
    this.#changedSlots = [];
    this.#undoCells = [];
    this.#undoValues = [];
    this.#checkpoints.length = 0;
  }

  #trim(): void {
    this.#accounts.trim();
    this.#slots.trim();
    this.#codes.trim();
  }

  #newCodes(changes: readonly AccountChange[]): CodeChange[] {
    const codes = new Map<string, CodeChange>();
    for (const { address, account } of changes) {
      if (account === null || bytesEqual(account.codeHash, EMPTY_CODE_HASH)) continue;
      const before = this.accountCell(address)?.before;
      if (before !== undefined && bytesEqual(before.codeHash, account.codeHash)) continue;
      const code = this.code(account.codeHash);
      assert(code !== undefined, 'code of a new contract must be known');
      codes.set(byteString(account.codeHash), { codeHash: account.codeHash, code });
    }
    return [...codes.values()].sort((left, right) => compareBytes(left.codeHash, right.codeHash));
  }

  async #fetchAccounts(addresses: readonly Address[]): Promise<void> {
    const accounts = await this.#read(this.#reader.accounts(addresses));
    this.#expectCount(accounts.length, addresses.length);
    addresses.forEach((address, index) => {
      const value = accounts[index];
      const key = byteString(address);
      if (this.#accounts.get(key) !== undefined) return;
      const cell = { address: address.slice(), before: value, now: value, changed: false };
      this.#accounts.set(key, cell);
    });
  }

  async #fetchSlots(keys: readonly SlotKey[]): Promise<void> {
    const values = await this.#read(this.#reader.slots(keys));
    this.#expectCount(values.length, keys.length);
    keys.forEach(({ address, slot }, index) => {
      const value = values[index] ?? NO_CODE;
      const key = slotString(address, slot);
      if (this.#slots.get(key) !== undefined) return;
      this.#slots.set(key, {
        address: address.slice(),
        slot: slot.slice(),
        before: value,
        now: value,
        changed: false,
        atStart: value,
        transaction: 0,
      });
    });
  }

  async #read<Value>(answer: Promise<Value>): Promise<Value> {
    try {
      return await answer;
    } catch (thrown) {
      throw new ExecutionError('STATE_UNAVAILABLE', `cannot read state: ${errorText(thrown)}`, {
        cause: thrown,
      });
    }
  }

  #expectCount(found: number, expected: number): void {
    if (found !== expected)
      throw new ExecutionError(
        'STATE_UNAVAILABLE',
        `the state reader answered ${found} values for ${expected} keys`,
      );
  }

  #loaded<Found>(cell: Found | undefined): Found {
    assert(cell !== undefined, 'a value that was fetched must be cached');
    return cell;
  }
}

function codeWeight(code: Uint8Array): number {
  return CODE_CELL_BYTES + code.length * BYTES_PER_CODE_BYTE;
}

/** The bytes as a string of one character each: the fastest key for a map. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function slotString(address: Address, slot: Hash): string {
  return byteString(address) + byteString(slot);
}

function sameAccount(left: Account | undefined, right: Account | undefined): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined) return false;
  return (
    left.nonce === right.nonce &&
    left.balance === right.balance &&
    bytesEqual(left.codeHash, right.codeHash)
  );
}

/** An account that EIP-161 says must not exist. */
function isEmptyAccount(account: Account): boolean {
  return (
    account.nonce === 0n && account.balance === 0n && bytesEqual(account.codeHash, EMPTY_CODE_HASH)
  );
}

function accountChange(cell: AccountCell | undefined, slots: SlotChange[]): AccountChange {
  assert(cell !== undefined, 'an account whose storage changed must be loaded');
  slots.sort((left, right) => compareBytes(left.slot, right.slot));
  return { address: cell.address, account: cell.now ?? null, slots };
}

function unique<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}

function batches<Item>(items: readonly Item[]): Item[][] {
  const parts: Item[][] = [];
  for (let start = 0; start < items.length; start += READ_BATCH_KEYS_MAX)
    parts.push(items.slice(start, start + READ_BATCH_KEYS_MAX));
  return parts;
}
