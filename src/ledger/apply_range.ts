import { transactionHash } from '../crypto/transaction.ts';
import { assert } from '../lib/assert.ts';
import { toHex } from '../lib/bytes.ts';
import type { Mempool, MempoolEffect, SenderAccount } from '../mempool/mempool.ts';
import type { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { AdmittedTransaction, Command } from '../types/command.ts';
import type { Configuration } from '../types/configuration.ts';
import type { Entry } from '../types/entry.ts';
import { decodeAccount, type Outcome } from '../types/outcome.ts';
import type { Hash, Height } from '../types/primitives.ts';
import type { SubmitResult } from '../types/submission.ts';
import type { TransactionState } from '../types/transaction_state.ts';
import type { Chain } from './chain.ts';
import { accountKey, CONFIGURATION_KEY, pendingKey, transactionStateKey } from './keys.ts';
import type { HeadResults, LedgerHead } from './ledger_head.ts';
import {
  type AppliedConfiguration,
  decodeTransactionState,
  encodeAppliedConfiguration,
  encodeTransactionState,
} from './records.ts';
import type { StoredBlock } from './stored_block.ts';

/** An entry with what it holds: a command, a configuration, or nothing. */
export interface DecodedEntry {
  readonly entry: Entry;
  readonly command: Command | undefined;
  readonly configuration: Configuration | undefined;
}

/** An outcome that became the state of its height. */
export interface AppliedOutcome {
  readonly outcome: Outcome;
  /** As it stood in the log. */
  readonly encoded: Uint8Array;
}

/** What a range did that somebody may wait for. */
export interface RangeEffects {
  /** Last index applied. */
  appliedIndex: number;
  /** For each admission its results, in the order of its transactions. */
  readonly admissions: {
    readonly index: number;
    readonly term: number;
    readonly results: SubmitResult[];
  }[];
  /** Transactions that reached their final state. */
  readonly finals: { readonly hash: Hash; readonly state: TransactionState }[];
  /** Set when the range ended with an outcome that was applied. */
  executed: AppliedOutcome | undefined;
  /** Blocks decided in this range. */
  readonly decided: StoredBlock[];
  /** The last configuration of this range, if it holds one. */
  configuration: AppliedConfiguration | undefined;
}

const NO_ACCOUNT: SenderAccount = { nonce: 0n, balance: 0n };

/**
 * Everything that one atomic batch of applied entries needs: what was read ahead for it, the batch
 * itself, and the head as it moves. Flat state does not change within a range (the outcome is last),
 * so accounts read ahead stay true.
 */
export class ApplyRange {
  readonly entries: readonly DecodedEntry[];
  readonly batch = new WriteBatch();
  readonly mempool: Mempool;
  readonly chain: Chain;
  readonly database: Database;
  readonly effects: RangeEffects;
  appliedIndex: number;
  appliedTerm: number;
  decidedHeight: Height;
  executedHeight: Height;
  decided: StoredBlock;
  undecided: StoredBlock | undefined;
  results: HeadResults;
  configuration: AppliedConfiguration;
  readonly #accounts = new Map<string, SenderAccount>();
  readonly #states = new Map<string, TransactionState | undefined>();
  readonly #hashes = new Map<AdmittedTransaction, Hash>();

  /** Reads ahead, in two batches, what the admissions of these entries ask about. */
  static async prepare(
    options: { entries: readonly DecodedEntry[]; head: LedgerHead },
    dependencies: { database: Database; mempool: Mempool; chain: Chain },
  ): Promise<ApplyRange> {
    const range = new ApplyRange(options, dependencies);
    const admitted: AdmittedTransaction[] = [];
    for (const { command } of options.entries)
      if (command?.type === 'AdmitTransactions') admitted.push(...command.transactions);
    if (admitted.length > 0) await range.#readAhead(admitted);
    return range;
  }

  constructor(
    options: { entries: readonly DecodedEntry[]; head: LedgerHead },
    dependencies: { database: Database; mempool: Mempool; chain: Chain },
  ) {
    this.entries = options.entries;
    this.appliedIndex = options.head.appliedIndex;
    this.appliedTerm = options.head.appliedTerm;
    this.decidedHeight = options.head.decidedHeight;
    this.executedHeight = options.head.executedHeight;
    this.decided = options.head.decided;
    this.undecided = options.head.undecided;
    this.results = options.head.results;
    this.configuration = options.head.configuration;
    this.database = dependencies.database;
    this.mempool = dependencies.mempool;
    this.chain = dependencies.chain;
    this.effects = {
      appliedIndex: options.head.appliedIndex,
      admissions: [],
      finals: [],
      executed: undefined,
      decided: [],
      configuration: undefined,
    };
  }

  headAfter(): LedgerHead {
    this.effects.appliedIndex = this.appliedIndex;
    return {
      appliedIndex: this.appliedIndex,
      appliedTerm: this.appliedTerm,
      decidedHeight: this.decidedHeight,
      executedHeight: this.executedHeight,
      decided: this.decided,
      undecided: this.undecided,
      results: this.results,
      configuration: this.configuration,
    };
  }

  /** From here on the cluster consists of these. */
  configure(applied: AppliedConfiguration): void {
    this.configuration = applied;
    this.effects.configuration = applied;
    this.batch.put(CONFIGURATION_KEY, encodeAppliedConfiguration(applied));
  }

  /** Nonce and balance after the last executed height. */
  account(sender: Uint8Array): SenderAccount {
    return this.#accounts.get(toHex(sender)) ?? NO_ACCOUNT;
  }

  /** Hash of a transaction of this range's admissions. */
  hashOf(transaction: AdmittedTransaction): Hash {
    const hash = this.#hashes.get(transaction);
    assert(hash !== undefined, 'the admissions of a range are read ahead');
    return hash;
  }

  /** State of a transaction of this range's admissions, as known so far. */
  state(hash: Hash): TransactionState | undefined {
    return this.#states.get(toHex(hash));
  }

  /** Records a state; a final one also takes the transaction out of the durable mempool. */
  setState(hash: Hash, state: TransactionState): void {
    this.#states.set(toHex(hash), state);
    this.batch.put(transactionStateKey(hash), encodeTransactionState(state));
    if (state.state === 'pending') return;
    this.batch.delete(pendingKey(hash));
    this.effects.finals.push({ hash, state });
  }

  setStates(effects: readonly MempoolEffect[]): void {
    for (const effect of effects) this.setState(effect.hash, effect.state);
  }

  async #readAhead(admitted: readonly AdmittedTransaction[]): Promise<void> {
    const hashes = admitted.map(({ raw }) => transactionHash(raw));
    const senders = new Map(admitted.map(({ sender }) => [toHex(sender), sender]));
    const [states, accounts] = await Promise.all([
      this.database.getMany(hashes.map(transactionStateKey)),
      this.database.getMany([...senders.values()].map(accountKey)),
    ]);
    for (const [position, hash] of hashes.entries()) {
      this.#hashes.set(admitted[position] as AdmittedTransaction, hash);
      const bytes = states[position];
      this.#states.set(
        toHex(hash),
        bytes === undefined ? undefined : decodeTransactionState(bytes),
      );
    }
    for (const [position, sender] of [...senders.keys()].entries()) {
      const bytes = accounts[position];
      if (bytes !== undefined) this.#accounts.set(sender, decodeAccount(bytes));
    }
  }
}
