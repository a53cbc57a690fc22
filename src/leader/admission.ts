import { CryptoError } from '../crypto/crypto_error.ts';
import type { RecoveredTransaction, RecoveryResult, SenderRecovery } from '../crypto/recovery.ts';
import { worstCaseCost } from '../execution/fees.ts';
import { ADMISSION_TRANSACTIONS_MAX } from '../ledger/apply_admission.ts';
import type { RangeEffects } from '../ledger/apply_range.ts';
import type { Chain } from '../ledger/chain.ts';
import type { FlatState } from '../ledger/flat_state.ts';
import { assert } from '../lib/assert.ts';
import { copyBytes, toHex } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { ProposalAccepted, ProposalRefusal } from '../raft/ready.ts';
import type { AdmittedTransaction, Command } from '../types/command.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Hash } from '../types/primitives.ts';
import { type Refusal, refusal, refused, type SubmitResult } from '../types/submission.ts';
import { refusalOf } from './transaction_rules.ts';

export interface AdmissionOptions {
  readonly genesis: Genesis;
  /** Transactions of one log entry. */
  readonly batchTransactionsMax: number;
  /** How long an open batch waits for company while another one is in the log. */
  readonly batchDelayMsMax: number;
  /** How long an admitted transaction waits for a block. */
  readonly lifetimeMs: number;
}

export interface AdmissionDependencies {
  readonly recovery: SenderRecovery;
  readonly mempool: Mempool;
  readonly chain: Chain;
  readonly flatState: Pick<FlatState, 'accounts'>;
  readonly clock: Clock;
  /** Appends a command to the log of this leader. */
  readonly propose: (command: Command) => ProposalAccepted | ProposalRefusal;
  /** Height that the next block will have. */
  readonly nextHeight: () => number;
  /** Time of the last decided block. */
  readonly chainTimeMs: () => number;
  /**
   * Whether this member leads and has applied its own first entry, and with it all that earlier leaders admitted.
   * Before that it would refuse for good what the log in front of it makes right, or holds already.
   */
  readonly isCaughtUp: () => boolean;
  /** Resolves once everything that was committed before the call is applied here; rejects when the signal aborts. */
  readonly catchUp: (signal: AbortSignal) => Promise<void>;
}

/** A transaction on its way through the log. */
interface Underway {
  readonly transaction: AdmittedTransaction;
  readonly hash: Hash;
  readonly nonce: bigint;
  readonly promise: Promise<SubmitResult>;
  readonly resolve: (result: SubmitResult) => void;
}

interface ProposedBatch {
  readonly index: number;
  readonly term: number;
  readonly items: readonly Underway[];
}

/** Bytes of one admission's transactions; the entry stays well below what the log takes at once. */
const BATCH_BYTES_MAX = 1024 * 1024;

const LEADER_CHANGED = refusal('NOT_ADMITTED', 'the leader changed meanwhile');
const NOT_CAUGHT_UP = refusal('NOT_ADMITTED', 'the leader has not taken over yet');
const NOT_CONFIRMED = refusal('NOT_ADMITTED', 'the leader could not make sure that it still leads');
const RECOVERY_STOPPED = refusal('NOT_ADMITTED', 'the member asked is stopping');
const IN_THE_LOG = refusal('OUTCOME_UNKNOWN', 'the leader changed before it answered');
const LOG_OVERLOADED = refusal('OVERLOADED', 'too much waits to be replicated; submit again later');
const RECOVERY_OVERLOADED = refusal(
  'OVERLOADED',
  'too many transactions wait for their signatures to be checked; submit again later',
);

/**
 * The leader's door: checks submissions, gathers what is new into log entries, and answers each
 * transaction when its entry is applied, that is durable on a majority.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #dependencies: AdmissionDependencies;
  /** By hash: a transaction submitted twice at once travels once. */
  readonly #underway = new Map<string, Underway>();
  #open: Underway[] = [];
  #openBytes = 0;
  #cancelFlush: (() => void) | undefined;
  /** In the order of their indexes. */
  #proposed: ProposedBatch[] = [];
  #untilLost = new AbortController();

  constructor(options: AdmissionOptions, dependencies: AdmissionDependencies) {
    assert(
      options.batchTransactionsMax <= ADMISSION_TRANSACTIONS_MAX,
      'a batch fits into one log entry',
    );
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** One result for each transaction, in order; resolves when the last of them is durable or refused. */
  async submit(raws: readonly Uint8Array[]): Promise<SubmitResult[]> {
    const recovered = await this.#recover(raws);
    if (!Array.isArray(recovered)) return raws.map(() => refused(recovered));
    const results = new Array<SubmitResult | Promise<SubmitResult>>(raws.length);
    const candidates: Candidate[] = [];
    const chain = {
      genesis: this.#options.genesis,
      height: this.#dependencies.nextHeight(),
    };
    for (const [position, item] of recovered.entries()) {
      const raw = raws[position] as Uint8Array;
      const reason = refusalOf(raw, item, chain);
      if (reason !== undefined) results[position] = refused(reason);
      else if (item.ok) candidates.push({ position, raw, recovered: item });
    }
    await this.#enter(candidates, results);
    return Promise.all(results);
  }

  /** Answers those whose entries were applied, or replaced in the log by another leader's. */
  applied(effects: RangeEffects): void {
    while (this.#proposed[0] !== undefined && this.#proposed[0].index <= effects.appliedIndex) {
      const batch = this.#proposed.shift() as ProposedBatch;
      const admission = effects.admissions.find(({ index }) => index === batch.index);
      if (admission?.term === batch.term) this.#answer(batch.items, admission.results);
      else this.#refuseAll(batch.items, LEADER_CHANGED);
    }
    if (this.#proposed.length === 0 && this.#open.length > 0) this.#flush();
  }

  /**
   * What was never proposed is certainly not admitted. The entries of a former leader may still commit: the new
   * one knows, and this member may not hear of it for as long as it is cut off.
   */
  leadershipLost(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const [open, proposed] = [this.#open, this.#proposed];
    this.#open = [];
    this.#openBytes = 0;
    this.#proposed = [];
    this.#untilLost.abort();
    this.#untilLost = new AbortController();
    this.#refuseAll(open, LEADER_CHANGED);
    for (const { items } of proposed) this.#refuseAll(items, IN_THE_LOG);
  }

  async #recover(raws: readonly Uint8Array[]): Promise<RecoveryResult[] | Refusal> {
    try {
      return await this.#dependencies.recovery.recover(raws);
    } catch (thrown) {
      if (!(thrown instanceof CryptoError)) throw thrown;
      return thrown.code === 'OVERLOADED' ? RECOVERY_OVERLOADED : RECOVERY_STOPPED;
    }
  }

  /**
   * A state may refuse for good only what was committed before it was asked: a leader may be behind with applying, or
   * lead no more without knowing. So what its state refuses is looked at once more when that is certain.
   */
  async #enter(
    candidates: readonly Candidate[],
    results: (SubmitResult | Promise<SubmitResult>)[],
  ): Promise<void> {
    const doubted = await this.#admitAll(candidates, results);
    if (doubted.length === 0) return;
    if (await this.#isConfirmed()) await this.#admitAll(doubted, results);
    else for (const { position } of doubted) results[position] = refused(NOT_CONFIRMED);
  }

  async #isConfirmed(): Promise<boolean> {
    try {
      await this.#dependencies.catchUp(this.#untilLost.signal);
      return true;
    } catch {
      return false;
    }
  }

  /** Looks the candidates up, all at once, and puts those that are new on their way; gives those that the state refuses. */
  async #admitAll(
    candidates: readonly Candidate[],
    results: (SubmitResult | Promise<SubmitResult>)[],
  ): Promise<Candidate[]> {
    if (candidates.length === 0) return [];
    const { chain, flatState, mempool, isCaughtUp } = this.#dependencies;
    if (!isCaughtUp()) {
      for (const { position } of candidates) results[position] = refused(NOT_CAUGHT_UP);
      return [];
    }
    const [states, accounts] = await Promise.all([
      chain.transactionStates(candidates.map(({ recovered }) => recovered.hash)),
      flatState.accounts(candidates.map(({ recovered }) => recovered.sender)),
    ]);
    const doubted: Candidate[] = [];
    for (const [position, candidate] of candidates.entries()) {
      const { hash } = candidate.recovered;
      const state = states[position] ?? (mempool.get(hash) && { state: 'pending' as const });
      if (state !== undefined) {
        results[candidate.position] = { kind: 'admitted', hash, alreadyKnown: true, state };
        continue;
      }
      const account = accounts[position] ?? { nonce: 0n, balance: 0n };
      const result = this.#admit(candidate, account);
      results[candidate.position] = result;
      if ('kind' in result) doubted.push(candidate);
    }
    return doubted;
  }

  #admit(
    { raw, recovered }: Candidate,
    account: { nonce: bigint; balance: bigint },
  ): SubmitResult | Promise<SubmitResult> {
    const key = toHex(recovered.hash);
    const before = this.#underway.get(key);
    if (before !== undefined) return before.promise;
    const { mempool } = this.#dependencies;
    const priced = { ...recovered, worstCaseCost: worstCaseCost(recovered) };
    const reason = mempool.precheck(priced, account);
    if (reason !== undefined) return refused(reason);
    mempool.reserve(priced);
    const { promise, resolve } = Promise.withResolvers<SubmitResult>();
    // The bytes may belong to a larger buffer of the transport, which must not be kept alive.
    const transaction = { raw: copyBytes(raw), sender: recovered.sender };
    const item = { transaction, hash: recovered.hash, nonce: recovered.nonce, promise, resolve };
    this.#underway.set(key, item);
    this.#join(item);
    return promise;
  }

  /** A lone batch leaves at the end of this turn; while one is in the log, the next waits for company. */
  #join(item: Underway): void {
    this.#open.push(item);
    this.#openBytes += item.transaction.raw.length;
    const { batchTransactionsMax, batchDelayMsMax } = this.#options;
    if (this.#open.length >= batchTransactionsMax || this.#openBytes >= BATCH_BYTES_MAX) {
      this.#flush();
      return;
    }
    if (this.#cancelFlush !== undefined) return;
    const delayMs = this.#proposed.length === 0 ? 0 : batchDelayMsMax;
    this.#cancelFlush = this.#dependencies.clock.schedule(delayMs, () => this.#flush());
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const items = this.#open;
    if (items.length === 0) return;
    this.#open = [];
    this.#openBytes = 0;
    const { propose, clock, chainTimeMs } = this.#dependencies;
    const answer = propose({
      type: 'AdmitTransactions',
      // The chain may be ahead of this clock, after a leader whose clock was wrong; it is the chain that gives up.
      expiresAtMs: Math.max(clock.wallMs(), chainTimeMs()) + this.#options.lifetimeMs,
      transactions: items.map(({ transaction }) => transaction),
    });
    if (!('refused' in answer))
      this.#proposed.push({ index: answer.index, term: answer.term, items });
    else if (answer.refused === 'too-many-uncommitted') this.#refuseAll(items, LOG_OVERLOADED);
    else this.#refuseAll(items, LEADER_CHANGED);
  }

  #answer(items: readonly Underway[], results: readonly SubmitResult[]): void {
    for (const [position, item] of items.entries()) {
      const result = results[position];
      assert(result !== undefined, 'an applied admission has a result for each transaction');
      this.#settle(item, result);
    }
  }

  #refuseAll(items: readonly Underway[], reason: Refusal): void {
    for (const item of items) this.#settle(item, refused(reason));
  }

  #settle(item: Underway, result: SubmitResult): void {
    this.#underway.delete(toHex(item.hash));
    this.#dependencies.mempool.release({ sender: item.transaction.sender, nonce: item.nonce });
    item.resolve(result);
  }
}

interface Candidate {
  /** Place among the submitted. */
  readonly position: number;
  readonly raw: Uint8Array;
  readonly recovered: RecoveredTransaction;
}
