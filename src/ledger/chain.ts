import { type Commit, decodeCommit } from '../types/block.ts';
import { decodeOutcome, type Outcome } from '../types/outcome.ts';
import type { Hash, Height } from '../types/primitives.ts';
import type { TransactionState } from '../types/transaction_state.ts';
import {
  blockHeightKey,
  blockKey,
  commitKey,
  outcomeKey,
  stateRootKey,
  transactionStateKey,
} from './keys.ts';
import { LedgerError } from './ledger_error.ts';
import { decodeHeight, decodeTransactionState } from './records.ts';
import type { StoreReader } from './store.ts';
import { decodeStoredBlock, type StoredBlock } from './stored_block.ts';

/** Decoded blocks and outcomes kept for repeated reading, of each kind. */
const CACHED_HEIGHTS_MAX = 32;

/** Reads decided blocks and what came of them. Everything here is immutable once present. */
export class Chain {
  readonly #store: StoreReader;
  readonly #blocks = new Map<Height, StoredBlock>();
  readonly #outcomes = new Map<Height, Outcome>();

  constructor(store: StoreReader) {
    this.#store = store;
  }

  /**
   * The decided block of a height; undefined when none is. Height 0 is the genesis block. Directly above the
   * decided ones it may be the block that is fixed there already: look at the head before asking.
   */
  async block(height: Height): Promise<StoredBlock | undefined> {
    const cached = this.#blocks.get(height);
    if (cached !== undefined) return cached;
    const bytes = await this.#store.get(blockKey(height));
    if (bytes === undefined) return undefined;
    const stored = decodeStoredBlock(bytes);
    if (stored.block.header.height !== height)
      throw new LedgerError('STORE_DAMAGED', `the block stored as ${height} is another`);
    remember(this.#blocks, height, stored);
    return stored;
  }

  /** As `block`, for a height that is known to have one. */
  async storedBlock(height: Height): Promise<StoredBlock> {
    const stored = await this.block(height);
    if (stored === undefined)
      throw new LedgerError('STORE_DAMAGED', `block ${height} is not stored`);
    return stored;
  }

  async heightOf(id: Hash): Promise<Height | undefined> {
    const bytes = await this.#store.get(blockHeightKey(id));
    return bytes === undefined ? undefined : decodeHeight(bytes);
  }

  /** The certificate of a decided height above 0. */
  async commit(height: Height): Promise<Commit | undefined> {
    const bytes = await this.#store.get(commitKey(height));
    return bytes === undefined ? undefined : decodeCommit(bytes);
  }

  /** What execution of a height gave; undefined when it was not executed yet. */
  async outcome(height: Height): Promise<Outcome | undefined> {
    const cached = this.#outcomes.get(height);
    if (cached !== undefined) return cached;
    const bytes = await this.#store.get(outcomeKey(height));
    if (bytes === undefined) return undefined;
    const outcome = decodeOutcome(bytes);
    remember(this.#outcomes, height, outcome);
    return outcome;
  }

  /** Root after a height as this member computed it; undefined while it has not. */
  async stateRoot(height: Height): Promise<Hash | undefined> {
    return this.#store.get(stateRootKey(height));
  }

  /** What became of transactions; undefined for those that were never admitted. */
  async transactionStates(hashes: readonly Hash[]): Promise<(TransactionState | undefined)[]> {
    const values = await this.#store.getMany(hashes.map(transactionStateKey));
    return values.map((bytes) => (bytes === undefined ? undefined : decodeTransactionState(bytes)));
  }
}

/** Keeps the newest and forgets the oldest: readers follow the head. */
function remember<Value>(cache: Map<Height, Value>, height: Height, value: Value): void {
  cache.set(height, value);
  if (cache.size <= CACHED_HEIGHTS_MAX) return;
  const oldest = cache.keys().next();
  if (!oldest.done) cache.delete(oldest.value);
}
