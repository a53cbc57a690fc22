import { memberOf } from '../config/config.ts';
import type { AppliedOutcome, RangeEffects } from '../ledger/apply_range.ts';
import { Ledger } from '../ledger/ledger.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import { assert } from '../lib/assert.ts';
import { errorText } from '../lib/error.ts';
import { Raft } from '../raft/raft.ts';
import type { Leadership } from '../raft/ready.ts';
import { type Command, encodeCommand } from '../types/command.ts';
import type { Entry } from '../types/entry.ts';
import type { Hash, Height } from '../types/primitives.ts';
import { Admission } from './admission.ts';
import { BlockBuilder } from './block_builder.ts';
import { BlockProducer } from './block_producer.ts';
import { fenceReason, storedFence, storeFence } from './fence.ts';
import { Finality } from './finality.ts';
import { HeightWatch } from './height_watch.ts';
import type { MemberReport } from './member_message.ts';
import { REPORTED_ROOTS_MAX } from './member_message.ts';
import {
  closeAll,
  type MemberDependencies,
  type MemberOptions,
  type MemberParts,
  openParts,
} from './member_parts.ts';
import { Peers } from './peers.ts';
import { RaftDriver } from './raft_driver.ts';
import { ReadinessWatch } from './readiness.ts';
import { type Divergence, RootAgreement } from './root_agreement.ts';
import { TriePipeline } from './trie_pipeline.ts';

/** Pause before a member asks again whether it has caught up. */
const READINESS_RETRY_MS = 50;
/** How often a stopping leader looks whether it still leads. */
const HAND_OVER_POLL_MS = 10;

/**
 * One member of the cluster: joins the log, the state machine, the threads and the peers. Data goes one
 * way: what the log commits is applied, and whatever else happens is caused by that.
 */
export class Member {
  readonly options: MemberOptions;
  readonly parts: MemberParts;
  readonly driver: RaftDriver;
  readonly ledger: Ledger;
  readonly admission: Admission;
  readonly peers: Peers;
  readonly triePipeline: TriePipeline;
  readonly finality: Finality;
  /** Last executed height. */
  readonly heights: HeightWatch;
  /** Last height whose root is known here. */
  readonly hashedHeights: HeightWatch;
  readonly readiness: ReadinessWatch;
  readonly #dependencies: MemberDependencies;
  readonly #producer: BlockProducer;
  readonly #roots: RootAgreement;
  /** Newest first. */
  #recentRoots: { readonly height: Height; readonly root: Hash }[] = [];
  #leadership: Leadership;
  #stopped = false;

  /** Opens the data folder, starts the threads, and joins the cluster. Nothing is left open when it throws. */
  static async start(options: MemberOptions, dependencies: MemberDependencies): Promise<Member> {
    const parts = await openParts(options, dependencies);
    try {
      const member = new Member(options, dependencies, parts);
      await member.#start();
      return member;
    } catch (thrown) {
      await closeAll(parts.closers);
      throw thrown;
    }
  }

  private constructor(
    options: MemberOptions,
    dependencies: MemberDependencies,
    parts: MemberParts,
  ) {
    this.options = options;
    this.parts = parts;
    this.#dependencies = dependencies;
    const { head, chain, mempool } = parts.ledger;
    this.#leadership = { role: 'follower', term: parts.wal.hardState.term, leader: undefined };
    this.finality = new Finality(chain);
    this.heights = new HeightWatch(head.executedHeight);
    this.hashedHeights = new HeightWatch(parts.ledger.trieHeight);
    this.readiness = new ReadinessWatch({
      catchUp: (signal) => this.driver.linearize(signal),
      pause: () => this.#pause(READINESS_RETRY_MS),
    });
    this.#roots = new RootAgreement({
      self: options.memberId,
      members: options.config.members.length,
    });
    this.ledger = new Ledger(
      { clusterId: options.config.clusterId, genesis: options.genesis, head },
      {
        database: parts.database,
        mempool,
        chain,
        logger: dependencies.logger,
        beforeOutcome: (applied) => this.#beforeOutcome(applied),
      },
    );
    this.driver = this.#makeDriver();
    this.admission = this.#makeAdmission();
    this.#producer = this.#makeProducer();
    this.triePipeline = new TriePipeline(
      { hashed: parts.ledger.trieHeight, executed: head.executedHeight },
      {
        trie: parts.trie,
        database: parts.database,
        chain,
        onRoot: (height, root) => this.#rootComputed(height, root),
        onFatal: (error) => this.#fatal(error),
      },
    );
    this.peers = this.#makePeers();
  }

  get leadership(): Leadership {
    return this.#leadership;
  }

  /** The newest root that this member has computed. */
  get hashed(): { readonly height: Height; readonly root: Hash } | undefined {
    return this.#recentRoots[0];
  }

  /** Hands leadership over if it has it, then stops everything in order. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.readiness.stop();
    this.#producer.lead(undefined);
    this.admission.leadershipLost();
    await this.#handOver();
    this.peers.stop();
    await this.parts.transport.stop();
    await this.driver.stop();
    await this.triePipeline.stop();
    await closeAll(this.parts.closers);
  }

  async #start(): Promise<void> {
    const { executor, transport, database } = this.parts;
    const { logger } = this.#dependencies;
    executor.reset(this.ledger.head.executedHeight);
    await this.#recallRoots();
    const fence = await storedFence(database);
    if (fence !== undefined) {
      logger.error({ reason: fence }, 'fenced since an earlier start; replace this member');
      this.readiness.fence(fence);
      this.driver.setEligible(false);
    }
    await transport.start();
    this.driver.start();
    this.triePipeline.start();
    this.peers.start();
    logger.info(
      { height: this.ledger.head.executedHeight, appliedIndex: this.driver.appliedIndex },
      'member started',
    );
  }

  #makeDriver(): RaftDriver {
    const { config, memberId } = this.options;
    const { clock, random } = this.#dependencies;
    const { wal, ledger } = this.parts;
    const { tickMs, heartbeatMs, electionTimeoutMs } = config.raft;
    const raft = new Raft(
      {
        id: memberId,
        configuration: ledger.head.configuration,
        electionTicks: Math.round(electionTimeoutMs / tickMs),
        heartbeatTicks: Math.round(heartbeatMs / tickMs),
        maxAppendBytes: config.raft.appendBytesMax,
        maxInflightAppends: config.raft.inflightAppendsMax,
        maxUncommittedBytes: config.raft.uncommittedBytesMax,
        hardState: wal.hardState,
        applied: ledger.head.appliedIndex,
      },
      { log: wal, random },
    );
    return new RaftDriver(
      { tickMs, applied: ledger.head.appliedIndex },
      {
        raft,
        log: wal,
        stateMachine: { apply: (entries) => this.#apply(entries) },
        clock,
        defer: setImmediate,
        send: (message) => this.peers.sendRaft(message),
        onLeadership: (leadership) => this.#leadershipChanged(leadership),
        onFatal: (error) => this.#fatal(error),
      },
    );
  }

  #makeAdmission(): Admission {
    const { config, genesis } = this.options;
    const { batchTransactionsMax, batchDelayMsMax } = config.admission;
    const { recovery, ledger, flatState } = this.parts;
    return new Admission(
      { genesis, batchTransactionsMax, batchDelayMsMax, lifetimeMs: config.mempool.lifetimeMs },
      {
        recovery,
        mempool: ledger.mempool,
        chain: ledger.chain,
        flatState,
        clock: this.#dependencies.clock,
        propose: (command) => this.#propose(command),
        nextHeight: () => this.ledger.head.decidedHeight + 1,
        chainTimeMs: () => this.ledger.head.decided.block.header.timestampMs,
        isCaughtUp: () =>
          this.#leadership.role === 'leader' &&
          this.ledger.head.appliedTerm === this.#leadership.term,
      },
    );
  }

  #makeProducer(): BlockProducer {
    const { config, genesis, secretKey } = this.options;
    const { clock, logger } = this.#dependencies;
    const { ledger, flatState, executor } = this.parts;
    return new BlockProducer(
      { genesis, secretKey, intervalMs: config.blocks.intervalMs },
      {
        ledger: this.ledger,
        mempool: ledger.mempool,
        chain: ledger.chain,
        builder: new BlockBuilder({ genesis }, { flatState }),
        roots: this.#roots,
        executor,
        propose: (command) => this.#propose(command),
        clock,
        logger,
        onFatal: (error) => this.#fatal(error),
      },
    );
  }

  #makePeers(): Peers {
    const { config, memberId } = this.options;
    const { clock, logger } = this.#dependencies;
    return new Peers(
      { ids: config.members.map(({ id }) => id).filter((id) => id !== memberId) },
      {
        transport: this.parts.transport,
        registry: this.parts.registry,
        clock,
        logger,
        ownReport: () => this.#ownReport(),
        onRaft: (message) => this.driver.receive(message),
        onReport: (from, report) => this.#reported(from, report),
        onConnection: (peer, connected) => {
          logger.info({ peer, connected }, 'peer connection changed');
          if (connected) this.driver.peerConnected(peer);
          else this.driver.peerDisconnected(peer);
        },
        onRejected: (by, reason) =>
          this.#fatal(new LedgerError('STORE_DAMAGED', reason, { fields: { by } })),
      },
    );
  }

  #propose(command: Command) {
    // The core's own term: what was announced here may be one event behind.
    const { term } = this.driver.status();
    const { clusterId } = this.options.config;
    return this.driver.propose([encodeCommand({ clusterId, term, command })]);
  }

  async #apply(entries: readonly Entry[]): Promise<number> {
    const effects = await this.ledger.apply(entries);
    this.#settle(effects);
    return effects.appliedIndex;
  }

  /** Tells everybody who waits what the log has done. */
  #settle(effects: RangeEffects): void {
    this.admission.applied(effects);
    this.finality.reached(effects.finals);
    for (const { block } of effects.decided) this.#headerDecided(block.header);
    if (effects.executed !== undefined) {
      const { outcome } = effects.executed;
      this.heights.reached(outcome.height);
      this.triePipeline.executed(outcome);
    }
    this.#producer.wake();
  }

  /** The executor must know before readers see the new state. */
  #beforeOutcome(applied: AppliedOutcome): void {
    const { height, blockId } = applied.outcome;
    if (this.#producer.hasExecuted(applied)) this.parts.executor.applied(height, blockId);
    else this.parts.executor.reset(height);
  }

  #leadershipChanged(leadership: Leadership): void {
    const led = this.#leadership.role === 'leader';
    this.#leadership = leadership;
    const { role, term, leader } = leadership;
    this.#dependencies.logger.info({ role, term, leader }, 'leadership changed');
    if (led) this.admission.leadershipLost();
    const mayLead = !this.#stopped && this.readiness.fencedReason === undefined;
    this.#producer.lead(role === 'leader' && mayLead ? term : undefined);
    if (!this.#stopped) this.readiness.leadershipChanged(leadership);
  }

  #ownReport(): MemberReport {
    return {
      folderId: this.parts.ledger.folderId,
      appliedIndex: this.driver.appliedIndex,
      executedHeight: this.ledger.head.executedHeight,
      roots: this.#recentRoots,
    };
  }

  #reported(from: number, report: MemberReport): void {
    for (const { height, root } of report.roots)
      this.#judge(this.#roots.report(from, height, root));
    this.#producer.wake();
  }

  #rootComputed(height: Height, root: Hash): void {
    this.#recentRoots = [{ height, root }, ...this.#recentRoots].slice(0, REPORTED_ROOTS_MAX);
    this.#judge(this.#roots.report(this.options.memberId, height, root));
    this.hashedHeights.reached(height);
    this.peers.report();
    this.#producer.wake();
  }

  /** A header carries the root of two heights below; those of the first two are genesis by definition. */
  #headerDecided(header: { height: Height; stateRoot: Hash }): void {
    if (header.height > 2) this.#judge(this.#roots.decided(header.height - 2, header.stateRoot));
  }

  /** After a restart the newest roots are known from the store, and peers may still be waiting for them. */
  async #recallRoots(): Promise<void> {
    const { trieHeight, chain, head } = this.parts.ledger;
    for (let height = Math.max(0, trieHeight - REPORTED_ROOTS_MAX + 1); height <= trieHeight; ) {
      const root = await chain.stateRoot(height);
      assert(root !== undefined, 'the root of every hashed height is stored');
      this.#recentRoots = [{ height, root }, ...this.#recentRoots];
      this.#judge(this.#roots.report(this.options.memberId, height, root));
      height += 1;
    }
    for (let height = Math.max(1, head.decidedHeight - 1); height <= head.decidedHeight; ) {
      this.#headerDecided((await chain.storedBlock(height)).block.header);
      height += 1;
    }
  }

  /** A member that is wrong keeps its log and nothing else: it neither leads, executes, answers nor signs. */
  #judge(divergence: Divergence | undefined): void {
    if (divergence === undefined || this.readiness.fencedReason !== undefined) return;
    const reason = fenceReason(divergence);
    this.#dependencies.logger.error({ reason }, 'this member fences itself');
    this.readiness.fence(reason);
    this.driver.setEligible(false);
    this.#producer.lead(undefined);
    storeFence(reason, this.parts.database).catch((thrown) => this.#fatal(thrown));
  }

  /** A planned stop should cost the cluster no election timeout. */
  async #handOver(): Promise<void> {
    if (this.#leadership.role !== 'leader' || this.options.config.members.length === 1) return;
    const { electionTimeoutMs } = this.options.config.raft;
    this.driver.setEligible(false);
    const deadlineMs = this.#dependencies.clock.monotonicMs() + 2 * electionTimeoutMs;
    while (
      this.#leadership.role === 'leader' &&
      this.#dependencies.clock.monotonicMs() < deadlineMs
    )
      await this.#pause(HAND_OVER_POLL_MS);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#dependencies.clock.schedule(delayMs, resolve);
    });
  }

  #fatal(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { host } = memberOf(this.options.config, this.options.memberId);
    this.#dependencies.logger.error({ host, reason: errorText(thrown) }, 'member failed');
    this.#dependencies.onFatal(thrown);
  }
}
