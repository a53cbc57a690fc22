import type { Chain } from '../ledger/chain.ts';
import { stateRootKey, TRIE_HEIGHT_KEY, trieNodeKey } from '../ledger/keys.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import { encodeHeight } from '../ledger/records.ts';
import { assert } from '../lib/assert.ts';
import type { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { LedgerTrie } from '../trie/state_trie.ts';
import type { Outcome } from '../types/outcome.ts';
import type { Hash, Height } from '../types/primitives.ts';

export interface TriePipelineDependencies {
  readonly trie: Pick<LedgerTrie, 'apply' | 'stored'>;
  readonly database: Database;
  readonly chain: Chain;
  /** The root after a height is computed and stored. */
  readonly onRoot: (height: Height, root: Hash) => void;
  readonly onFatal: (error: unknown) => void;
}

/** Outcomes handed over that may wait in memory; older ones are read again from the store. */
const WAITING_OUTCOMES_MAX = 8;

/**
 * Hashes behind the flat state: height after height, each with its nodes, its root and its own mark in
 * one batch, so that a crash at any point continues from the last mark with the stored outcomes.
 */
export class TriePipeline {
  readonly #dependencies: TriePipelineDependencies;
  readonly #waiting = new Map<Height, Outcome>();
  #hashed: Height;
  #executed: Height;
  #running: Promise<void> | undefined;
  #stopped = false;

  /** @param options.hashed height that the stored nodes belong to */
  constructor(
    options: { hashed: Height; executed: Height },
    dependencies: TriePipelineDependencies,
  ) {
    assert(options.hashed <= options.executed, 'hashing is behind execution');
    this.#hashed = options.hashed;
    this.#executed = options.executed;
    this.#dependencies = dependencies;
  }

  /** Last height whose root is known. */
  get hashedHeight(): Height {
    return this.#hashed;
  }

  start(): void {
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  executed(outcome: Outcome): void {
    this.#executed = outcome.height;
    if (this.#waiting.size < WAITING_OUTCOMES_MAX) this.#waiting.set(outcome.height, outcome);
    this.#wake();
  }

  #wake(): void {
    this.#running ??= this.#run().then(
      () => {
        this.#running = undefined;
        // What was executed between the last look and now.
        if (this.#hashed < this.#executed && !this.#stopped) this.#wake();
      },
      (thrown) => {
        if (!this.#stopped) this.#dependencies.onFatal(thrown);
      },
    );
  }

  async #run(): Promise<void> {
    while (this.#hashed < this.#executed && !this.#stopped) await this.#hash(this.#hashed + 1);
  }

  async #hash(height: Height): Promise<void> {
    const { trie, database, chain, onRoot } = this.#dependencies;
    const outcome = this.#waiting.get(height) ?? (await chain.outcome(height));
    this.#waiting.delete(height);
    if (outcome === undefined)
      throw new LedgerError('STORE_DAMAGED', `the outcome of block ${height} is not stored`);
    const { root, writes } = await trie.apply(height, outcome.delta);
    const batch = new WriteBatch();
    for (const { key, value } of writes) {
      if (value === undefined) batch.delete(trieNodeKey(key));
      else batch.put(trieNodeKey(key), value);
    }
    batch.put(stateRootKey(height), root);
    batch.put(TRIE_HEIGHT_KEY, encodeHeight(height));
    await database.write(batch);
    trie.stored(height);
    this.#hashed = height;
    onRoot(height, root);
  }
}
