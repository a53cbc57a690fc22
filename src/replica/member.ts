import type { MemberTransport } from '../cluster/member_transport.ts';
import { memberOf } from '../config/config.ts';
import { Compaction, type LogDemands } from '../driver/compaction.ts';
import { PauseWatch } from '../driver/pause_watch.ts';
import { RaftDriver } from '../driver/raft_driver.ts';
import type { Admission } from '../leader/admission.ts';
import type { BlockProducer } from '../leader/block_producer.ts';
import { RootAgreement } from '../leader/root_agreement.ts';
import type { AppliedOutcome, RangeEffects } from '../ledger/apply_range.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { AppliedConfiguration } from '../ledger/records.ts';
import { errorText } from '../lib/error.ts';
import type { Leadership } from '../raft/ready.ts';
import { type Command, encodeCommand } from '../types/command.ts';
import type { Entry } from '../types/entry.ts';
import type { Hash, Height } from '../types/primitives.ts';
import { fenceReason } from './fence.ts';
import { Finality } from './finality.ts';
import { decodeSubmission, encodeSubmitResults } from './forwarding.ts';
import { HeightWatch } from './height_watch.ts';
import { makeAdmission, makeProducer } from './leader_parts.ts';
import type { MemberReport } from './member_message.ts';
import {
  closeAll,
  type MemberDependencies,
  type MemberOptions,
  type MemberParts,
  openParts,
} from './member_parts.ts';
import type { Membership } from './membership.ts';
import { makePeerParts, type PeerParts } from './peer_parts.ts';
import type { Peers } from './peers.ts';
import { makeRaft } from './raft_core.ts';
import { ReadinessWatch } from './readiness.ts';
import { RootKeeper } from './root_keeper.ts';
import type { SnapshotExchange } from './snapshot_exchange.ts';
import { Standing } from './standing.ts';
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
  readonly membership: Membership;
  readonly transport: MemberTransport;
  readonly snapshots: SnapshotExchange;
  readonly #dependencies: MemberDependencies;
  readonly #producer: BlockProducer;
  readonly #agreement: RootAgreement;
  readonly #roots: RootKeeper;
  readonly #compaction: Compaction;
  readonly #pauseWatch: PauseWatch;
  readonly #standing: Standing;
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
      isAwake: () => this.#pauseWatch.isAwake,
    });
    this.#standing = new Standing({
      ...dependencies,
      database: parts.database,
      readiness: this.readiness,
      onFenced: () => this.#fenced(),
      onFatal: (error) => this.#fatal(error),
    });
    this.#agreement = new RootAgreement({ self: options.memberId });
    this.#roots = new RootKeeper(
      { self: options.memberId },
      {
        agreement: this.#agreement,
        onDivergence: (found) => this.#standing.fence(fenceReason(found)),
      },
    );
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
    const leading = {
      ...dependencies,
      ledger: this.ledger,
      parts,
      roots: this.#agreement,
      propose: (command: Command) => this.#propose(command),
      leadership: () => this.#leadership,
      catchUp: (signal: AbortSignal) => this.driver.linearize(signal),
      onFatal: (error: unknown) => this.#fatal(error),
    };
    this.admission = makeAdmission(options, leading);
    this.#producer = makeProducer(options, leading);
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
    const { transport, peers, membership, snapshots } = this.#makeSurroundings();
    this.transport = transport;
    this.peers = peers;
    this.membership = membership;
    this.snapshots = snapshots;
    this.#compaction = this.#makeCompaction();
    this.#pauseWatch = new PauseWatch(
      { pauseMs: options.config.raft.electionTimeoutMs },
      { ...dependencies, onPause: () => this.readiness.doubt() },
    );
  }

  get leadership(): Leadership {
    return this.#leadership;
  }

  /** The newest root that this member has computed. */
  get hashed(): { readonly height: Height; readonly root: Hash } | undefined {
    return this.#roots.recent[0];
  }

  /** Hands leadership over if it has it, then stops everything in order. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.readiness.stop();
    this.#producer.lead(undefined);
    this.admission.leadershipLost();
    await this.#handOver();
    this.#pauseWatch.stop();
    this.membership.stop();
    this.peers.stop();
    await this.snapshots.stop();
    await this.transport.stop();
    await this.driver.stop();
    await this.#compaction.stop();
    await this.triePipeline.stop();
    await closeAll(this.parts.closers);
  }

  async #start(): Promise<void> {
    const { executor, ledger } = this.parts;
    const { logger } = this.#dependencies;
    executor.reset(this.ledger.head.executedHeight);
    const { trieHeight, head, chain } = ledger;
    await this.#roots.recall({ trieHeight, decidedHeight: head.decidedHeight }, chain);
    await this.#standing.recall();
    this.membership.start();
    await this.transport.start();
    this.driver.start();
    this.triePipeline.start();
    this.peers.start();
    this.#pauseWatch.start();
    logger.info(
      { height: this.ledger.head.executedHeight, appliedIndex: this.driver.appliedIndex },
      'member started',
    );
  }

  #makeDriver(): RaftDriver {
    const { clock, random, trace } = this.#dependencies;
    const { wal, ledger } = this.parts;
    return new RaftDriver(
      { tickMs: this.options.config.raft.tickMs, applied: ledger.head.appliedIndex },
      {
        raft: makeRaft(this.options, { wal, ledger, random }),
        log: wal,
        stateMachine: { apply: (entries) => this.#apply(entries) },
        clock,
        defer: setImmediate,
        send: (message) => this.peers.sendRaft(message),
        onLeadership: (leadership) => this.#leadershipChanged(leadership),
        onConfiguration: (inForce) => this.membership.changed(inForce),
        onSnapshotWanted: (wanted) => this.snapshots.wanted(wanted),
        onFatal: (error) => this.#fatal(error),
        trace,
      },
    );
  }

  #makeSurroundings(): PeerParts {
    return makePeerParts(this.options, {
      ...this.#dependencies,
      parts: this.parts,
      driver: this.driver,
      isFenced: () => this.readiness.fencedReason !== undefined,
      submit: async (payload) =>
        encodeSubmitResults(await this.admission.submit(decodeSubmission(payload))),
      ownReport: () => this.#ownReport(),
      onReport: (from, report) => {
        this.#roots.reported(from, report.roots);
        this.#producer.wake();
      },
      onConfiguration: (inForce) => this.#configured(inForce),
      onRemoved: (reason) => this.#standing.leave(reason),
      onFatal: (error) => this.#fatal(error),
    });
  }

  #makeCompaction(): Compaction {
    const { wal, database } = this.parts;
    return new Compaction(this.options.config.wal, {
      log: wal,
      database,
      demands: () => this.#logDemands(),
      logger: this.#dependencies.logger,
      onFatal: (error) => this.#fatal(error),
    });
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
    for (const { block } of effects.decided) this.#roots.decided(block.header);
    if (effects.executed !== undefined) {
      const { outcome } = effects.executed;
      this.heights.reached(outcome.height);
      this.triePipeline.executed(outcome);
    }
    if (effects.configuration !== undefined) this.membership.confirmed(effects.configuration);
    this.#compaction.check();
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
      roots: this.#roots.recent,
    };
  }

  #rootComputed(height: Height, root: Hash): void {
    this.#roots.computed(height, root);
    this.hashedHeights.reached(height);
    this.peers.report();
    this.#producer.wake();
  }

  #configured({ configuration }: AppliedConfiguration): void {
    this.#agreement.configure(configuration);
    this.readiness.joining(!this.membership.isMember);
    this.#producer.wake();
  }

  #logDemands(): LogDemands {
    const lately = this.driver
      .status()
      .peers.filter(
        ({ id, active, state }) => state !== 'snapshot' && (active || this.peers.isConnected(id)),
      );
    return {
      appliedIndex: this.ledger.head.appliedIndex,
      pinnedIndex: this.snapshots.pinnedIndex,
      followers: lately.map(({ match }) => match),
    };
  }

  #fenced(): void {
    this.driver.setEligible(false);
    this.#producer.lead(undefined);
  }

  /** A planned stop should cost the cluster no election timeout. */
  async #handOver(): Promise<void> {
    const { voters } = this.membership.inForce.configuration;
    const isAlone = voters.every((id) => id === this.options.memberId);
    if (this.#leadership.role !== 'leader' || isAlone) return;
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
