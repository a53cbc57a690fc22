import { makeCommit, precommitDigest } from '../crypto/block.ts';
import { sign } from '../crypto/bls.ts';
import type { BlockExecutor, ExecutedBlock } from '../execution/block_executor.ts';
import { ExecutionError } from '../execution/execution_error.ts';
import { checkOutcome } from '../ledger/apply_block.ts';
import type { AppliedOutcome } from '../ledger/apply_range.ts';
import type { Chain } from '../ledger/chain.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import type { LedgerHead } from '../ledger/ledger_head.ts';
import type { StoredBlock } from '../ledger/stored_block.ts';
import { assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import type { Clock, Logger } from '../lib/environment.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { ProposalAccepted, ProposalRefusal } from '../raft/ready.ts';
import { encodeHeader } from '../types/block.ts';
import type { Command } from '../types/command.ts';
import type { Genesis } from '../types/genesis.ts';
import { decodeOutcome } from '../types/outcome.ts';
import type { BlockBuilder, NextBlock } from './block_builder.ts';
import { blockRequest } from './block_context.ts';
import type { RootAgreement } from './root_agreement.ts';

export interface BlockProducerOptions {
  readonly genesis: Genesis;
  /** The validator's BLS secret. */
  readonly secretKey: Uint8Array;
  /** Time between two blocks while there is work. */
  readonly intervalMs: number;
}

export interface BlockProducerDependencies {
  readonly ledger: Ledger;
  readonly mempool: Mempool;
  readonly chain: Chain;
  readonly builder: BlockBuilder;
  readonly roots: RootAgreement;
  readonly executor: BlockExecutor;
  readonly propose: (command: Command) => ProposalAccepted | ProposalRefusal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

/** What ended an execution without saying anything about the block. */
const DISTURBANCES = new Set([
  'STATE_MOVED',
  'HEIGHT_MISMATCH',
  'OVERLOADED',
  'STOPPED',
  'WORKER_FAILED',
]);

/** Pause before a proposal that the log refused, or an execution that was disturbed, is tried again. */
const RETRY_MS = 20;
/** A sleep until a transaction expires is cut here; timers count no further than 2 ** 31 ms. */
const WAKE_DELAY_MS_MAX = 60 * 60 * 1000;

/**
 * The leader's pipeline: assemble, propose, sign and decide, execute, write the outcome; one step at a
 * time, each through the log. It keeps no state of its own: after a change of leaders the new one
 * goes on from what the log says.
 */
export class BlockProducer {
  readonly #options: BlockProducerOptions;
  readonly #dependencies: BlockProducerDependencies;
  /** The term in which this member leads. */
  #term: number | undefined;
  /** The step that is under way ends when this index is applied. */
  #awaitedIndex = 0;
  #executed: ExecutedBlock | undefined;
  #running = false;
  #again = false;
  #lastBlockMs = Number.NEGATIVE_INFINITY;
  #cancelWake: () => void = () => undefined;

  constructor(options: BlockProducerOptions, dependencies: BlockProducerDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** @param term in which this member leads; undefined when it does not */
  lead(term: number | undefined): void {
    this.#term = term;
    this.#awaitedIndex = 0;
    if (term === undefined) this.#cancelWake();
    else this.wake();
  }

  /** Whether this member's executor gave exactly this outcome, so that it holds the state after it. */
  hasExecuted({ encoded }: AppliedOutcome): boolean {
    return this.#executed !== undefined && bytesEqual(this.#executed.encodedOutcome, encoded);
  }

  /** Something moved: the log was applied, a root agreed upon, a transaction admitted, time passed. */
  wake(): void {
    if (this.#term === undefined) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#run().catch((thrown) => this.#dependencies.onFatal(thrown));
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      await this.#step();
    } while (this.#again && this.#term !== undefined);
    // In the same turn as the last look at `again`, or a wake between the two would be lost.
    this.#running = false;
  }

  async #step(): Promise<void> {
    const { head } = this.#dependencies.ledger;
    // Only its own no-op tells a new leader that it has applied everything before it.
    if (head.appliedTerm !== this.#term || head.appliedIndex < this.#awaitedIndex) return;
    if (head.undecided !== undefined) return this.#decide(head, head.undecided);
    if (head.executedHeight < head.decidedHeight) return this.#execute(head.decided);
    return this.#assemble(head);
  }

  async #assemble(head: LedgerHead): Promise<void> {
    const { mempool, builder, clock } = this.#dependencies;
    if (!(await this.#isBlockDue(head))) return;
    const next = await this.#next(head);
    if (next === undefined) return;
    const selected = await builder.select(mempool, head);
    const proposer = this.#validator().address;
    const raws = selected.map(({ raw }) => raw);
    const header = builder.header(next, { raws, proposer, wallMs: clock.wallMs() });
    this.#lastBlockMs = clock.monotonicMs();
    this.#propose({
      type: 'BlockProposed',
      header: encodeHeader(header),
      lastCommit: next.lastCommit,
      transactionHashes: selected.map(({ hash }) => hash),
      transactionsNotAdmitted: [],
    });
  }

  /**
   * Signs the block that the log fixed for its height. It is the only one that is ever signed there: the
   * state machine accepts no second proposal, and this reads what it has applied.
   */
  async #decide(head: LedgerHead, undecided: StoredBlock): Promise<void> {
    const term = this.#term;
    const next = await this.#next(head);
    if (next === undefined) return;
    const invalid = await this.#dependencies.builder.invalidity(next, undecided);
    // After the end of its term another leader may have executed this very block: accounts that are past it say nothing.
    if (this.#term !== term) return;
    if (invalid !== undefined)
      throw new LedgerError('CANNOT_APPLY', `the proposed block must not be signed: ${invalid}`, {
        fields: { height: undecided.block.header.height },
      });
    const { chainId } = this.#options.genesis;
    const { height } = undecided.block.header;
    // A survivor does not know what the lost members signed; in a new round it signs nothing twice.
    const round = head.configuration.configuration.recoveries;
    const vote = { chainId, height, round, blockId: undecided.blockId };
    const signature = sign(precommitDigest(vote), this.#options.secretKey);
    this.#propose({ type: 'BlockDecided', commit: makeCommit({ ...vote, signature }) });
  }

  async #execute(decided: StoredBlock): Promise<void> {
    const { executor, logger } = this.#dependencies;
    try {
      // One whose proposal the log refused is proposed again, not executed again.
      if (!this.#executed || !bytesEqual(this.#executed.blockId, decided.blockId)) {
        const executed = await executor.executeBlock(blockRequest(decided, this.#options.genesis));
        // What breaks an invariant must stop this member, not all that would apply it.
        checkOutcome(decodeOutcome(executed.encodedOutcome), decided);
        this.#executed = executed;
      }
      this.#propose({ type: 'BlockOutcome', outcome: this.#executed.encodedOutcome });
    } catch (thrown) {
      if (!(thrown instanceof ExecutionError) || !DISTURBANCES.has(thrown.code)) throw thrown;
      logger.warn(
        { height: decided.block.header.height, code: thrown.code },
        'execution disturbed',
      );
      this.#wakeAfter(RETRY_MS);
    }
  }

  /** Undefined while the state root that the next header carries is not agreed upon. */
  async #next(head: LedgerHead): Promise<NextBlock | undefined> {
    const { chain, roots } = this.#dependencies;
    const height = head.decidedHeight;
    const stateRoot =
      height === 0 ? head.decided.block.header.stateRoot : await this.#rootAfter(height - 1, roots);
    if (stateRoot === undefined) return undefined;
    const lastCommit = height === 0 ? undefined : await chain.commit(height);
    assert(height === 0 || lastCommit !== undefined, 'a decided block has its certificate');
    return { head, lastCommit, stateRoot };
  }

  async #rootAfter(height: number, roots: RootAgreement): ReturnType<Chain['stateRoot']> {
    return height === 0 ? this.#dependencies.chain.stateRoot(0) : roots.agreed(height);
  }

  /** Blocks come at their interval or when one is full, and only while there is something to do. */
  async #isBlockDue(head: LedgerHead): Promise<boolean> {
    const { mempool, clock } = this.#dependencies;
    if (!(await this.#isBlockWanted(head))) {
      const expiryMs = mempool.oldestExpiryMs();
      if (expiryMs !== undefined) this.#wakeAfter(expiryMs - clock.wallMs());
      return false;
    }
    const waitMs = this.#lastBlockMs + this.#options.intervalMs - clock.monotonicMs();
    if (waitMs <= 0 || this.#isBlockFull(head)) return true;
    this.#wakeAfter(waitMs);
    return false;
  }

  /** About, since some of what waits may have to wait longer; but never when nothing can run. */
  #isBlockFull(head: LedgerHead): boolean {
    const { mempool, builder } = this.#dependencies;
    if (mempool.gasLimitTotal < head.decided.block.header.gasLimit) return false;
    return mempool.ready(builder.baseFee(head)).next() !== undefined;
  }

  /**
   * Transactions that can run, or could at the base fee to which empty blocks lead; results that no header
   * carries yet (they take two blocks); or transactions whose time is over, which only a block can tell.
   */
  async #isBlockWanted(head: LedgerHead): Promise<boolean> {
    const { mempool, chain, builder, clock } = this.#dependencies;
    if (head.decided.block.transactions.length > 0) return true;
    const baseFeePerGas = builder.canBaseFeeFall(head) ? 0n : builder.baseFee(head);
    if (mempool.ready(baseFeePerGas).next() !== undefined) return true;
    const oldestExpiryMs = mempool.oldestExpiryMs();
    if (oldestExpiryMs !== undefined && oldestExpiryMs <= clock.wallMs()) return true;
    if (head.decidedHeight === 0) return false;
    const parent = await chain.storedBlock(head.decidedHeight - 1);
    return parent.block.transactions.length > 0;
  }

  #propose(command: Command): void {
    if (this.#term === undefined) return;
    const answer = this.#dependencies.propose(command);
    if ('refused' in answer) this.#wakeAfter(RETRY_MS);
    else this.#awaitedIndex = answer.index;
  }

  #validator() {
    const validator = this.#options.genesis.validators[0];
    assert(validator !== undefined, 'a chain has a validator');
    return validator;
  }

  #wakeAfter(delayMs: number): void {
    const withinMs = Math.min(Math.max(delayMs, 0), WAKE_DELAY_MS_MAX);
    this.#cancelWake();
    this.#cancelWake = this.#dependencies.clock.schedule(withinMs, () => this.wake());
  }
}
