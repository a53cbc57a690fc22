import { ClusterError } from '../cluster/cluster_error.ts';
import type { CallRequest } from '../execution/call.ts';
import type { Clock } from '../lib/environment.ts';
import type { MemberRecord } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import type { MemberAddition, MembershipChanged, MembershipView } from '../types/membership.ts';
import { NodeError } from '../types/node_error.ts';
import { type Address, type Hash, type Height, ZERO_HASH } from '../types/primitives.ts';
import type { FinalState, SubmitResult } from '../types/submission.ts';
import type {
  Answer,
  BlockSelector,
  CallResult,
  ProofView,
  Readiness,
  ReadOptions,
  TransactionDetail,
} from '../types/views.ts';
import { Calls } from './calls.ts';
import { ClusterAdmin } from './cluster_admin.ts';
import type { Member } from './member.ts';
import { Proofs } from './proofs.ts';
import { Reads } from './reads.ts';
import { requestOf } from './requests.ts';
import { SubmitRouter } from './submit_router.ts';

/** How long a linearizable read looks for a leader when its client set no deadline. */
const READ_PATIENCE_MS = 10_000;

/** What a member does for clients and operators: the one door to it from outside. */
export class MemberService {
  readonly #member: Member;
  readonly #version: string;
  readonly #clock: Clock;
  readonly #router: SubmitRouter;
  readonly #reads: Reads;
  readonly #calls: Calls;
  readonly #proofs: Proofs;
  readonly #admin: ClusterAdmin;

  constructor(options: { version: string }, dependencies: { member: Member; clock: Clock }) {
    const { member, clock } = dependencies;
    this.#member = member;
    this.#version = options.version;
    this.#clock = clock;
    const { database, ledger, executor, trie } = member.parts;
    const { driver, membership, transport } = member;
    const { chain, mempool } = ledger;
    this.#reads = new Reads({ database, chain, mempool });
    this.#calls = new Calls(
      { genesis: member.options.genesis },
      { executor, ledger: member.ledger, chain },
    );
    this.#proofs = new Proofs({ trie, member });
    this.#router = new SubmitRouter({
      leader: () => member.leadership.leader,
      self: member.options.memberId,
      submitHere: (raws) => member.admission.submit(raws),
      ask: (target, payload, signal) =>
        transport.request(target, requestOf('submission', payload), signal),
      isNotSent: (thrown) => thrown instanceof ClusterError && thrown.code === 'NOT_SENT',
      clock,
    });
    this.#admin = new ClusterAdmin(
      { self: member.options.memberId },
      { driver, membership, clock, isConnected: (peer) => member.peers.isConnected(peer) },
    );
  }

  /** Admits a batch, wherever the leader is: one result for each, in order. */
  submit(raws: readonly Uint8Array[], signal: AbortSignal): Promise<SubmitResult[]> {
    return this.#router.submit(raws, signal);
  }

  /** Resolves when an admitted transaction has its final state on this member. */
  async committed(hash: Hash, signal: AbortSignal): Promise<FinalState> {
    this.#refuseWhenFenced();
    return this.#member.finality.of(hash, signal);
  }

  /** The last applied height; 0 before the first block. */
  height(read: ReadOptions): Promise<Height> {
    return this.#read(read, async () => this.#member.ledger.head.executedHeight);
  }

  account(address: Address, read: ReadOptions) {
    return this.#read(read, () => this.#reads.account(address));
  }

  code(address: Address, read: ReadOptions) {
    return this.#read(read, () => this.#reads.code(address));
  }

  storage(address: Address, slot: Hash, read: ReadOptions): Promise<Answer<Uint8Array>> {
    return this.#read(read, () => this.#reads.storage(address, slot));
  }

  /** Speaks for the last height that this member has hashed, at least the one applied before. */
  proof(address: Address, slots: readonly Hash[], read: ReadOptions): Promise<Answer<ProofView>> {
    return this.#read(read, () => this.#proofs.of(address, slots, read.signal));
  }

  block(selector: BlockSelector, detail: TransactionDetail, read: ReadOptions) {
    return this.#read(read, () => this.#reads.block(selector, detail));
  }

  transaction(hash: Hash, read: ReadOptions) {
    return this.#read(read, () => this.#reads.transaction(hash));
  }

  receipt(hash: Hash, read: ReadOptions) {
    return this.#read(read, () => this.#reads.receipt(hash));
  }

  call(message: CallRequest, read: ReadOptions): Promise<Answer<CallResult>> {
    return this.#read(read, () => this.#calls.call(message));
  }

  estimateGas(message: CallRequest, read: ReadOptions): Promise<Answer<bigint>> {
    return this.#read(read, () => this.#calls.estimateGas(message));
  }

  /** Resolves with the last applied height, once it is at least the given one. */
  applied(atLeast: Height, signal: AbortSignal): Promise<Height> {
    return this.#member.heights.atLeast(atLeast, signal);
  }

  blockLogs(height: Height, signal: AbortSignal) {
    const read = { consistency: 'local', signal } as const;
    return this.#read(read, () => this.#reads.blockLogs(height));
  }

  watchReadiness(listener: (readiness: Readiness) => void): () => void {
    return this.#member.readiness.watch(listener);
  }

  status() {
    const { config, genesis, memberId } = this.#member.options;
    const { role, term, leader } = this.#member.leadership;
    const raft = this.#member.driver.status();
    const hashed = this.#member.hashed;
    return {
      clusterId: config.clusterId,
      chainId: genesis.chainId,
      genesisHash: this.#member.parts.genesisHash,
      memberId,
      role: role === 'preCandidate' ? ('candidate' as const) : role,
      term,
      leaderId: leader,
      commitIndex: raft.commit,
      appliedIndex: this.#member.driver.appliedIndex,
      height: this.#member.ledger.head.executedHeight,
      stateRoot: hashed?.root ?? ZERO_HASH,
      stateRootHeight: hashed?.height ?? 0,
      members: this.#memberStatuses(raft.commit),
      mempoolSize: this.#member.parts.ledger.mempool.size,
      readiness: this.#member.readiness.current,
      fencedReason: this.#member.readiness.fencedReason,
      pid: process.pid,
      version: this.#version,
    };
  }

  /** Resolves once the target leads. */
  async transferLeadership(
    target: MemberId,
    signal: AbortSignal,
  ): Promise<{ leaderId: MemberId; term: number }> {
    const answer = this.#member.driver.transferLeadership(target);
    if (answer?.refused === 'unknown-member')
      throw new NodeError('UNKNOWN_MEMBER', `no member ${target} votes, or it is leaving`);
    if (answer?.refused === 'not-leader') throw this.#admin.notLeader(answer.leader);
    if (answer !== undefined)
      throw new NodeError('TRANSFER_FAILED', 'another transfer is under way; try again later');
    const { electionTimeoutMs } = this.#member.options.config.raft;
    const deadlineMs = this.#clock.monotonicMs() + 3 * electionTimeoutMs;
    for (;;) {
      const { leader, term } = this.#member.leadership;
      if (leader === target) return { leaderId: target, term };
      if (signal.aborted || this.#clock.monotonicMs() >= deadlineMs)
        throw new NodeError(
          'TRANSFER_FAILED',
          `member ${target} did not take over; the leader is ${leader ?? 'unknown'}`,
        );
      await new Promise<void>((resolve) => {
        this.#clock.schedule(5, resolve);
      });
    }
  }

  /** Who the cluster consists of, as this member sees it. */
  listMembers(): MembershipView {
    return this.#admin.list();
  }

  addMember(addition: MemberAddition, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#admin.add(addition, undefined, signal);
  }

  replaceMember(
    replaced: MemberId,
    addition: MemberAddition,
    signal: AbortSignal,
  ): Promise<MembershipChanged> {
    return this.#admin.add(addition, replaced, signal);
  }

  promoteMember(id: MemberId, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#admin.promote(id, signal);
  }

  removeMember(id: MemberId, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#admin.remove(id, signal);
  }

  updateMember(record: MemberRecord, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#admin.update(record, signal);
  }

  #memberStatuses(commitIndex: number) {
    const { memberId } = this.#member.options;
    const { members } = this.#member.membership.inForce.configuration;
    return members.map(({ id, address }) => {
      const isSelf = id === memberId;
      const applied = isSelf
        ? this.#member.driver.appliedIndex
        : this.#member.peers.reportOf(id)?.appliedIndex;
      return {
        id,
        host: address.host,
        apiPort: address.apiPort,
        connected: isSelf || this.#member.peers.isConnected(id),
        lagEntries: applied === undefined ? undefined : Math.max(0, commitIndex - applied),
      };
    });
  }

  async #read<Value>(
    { consistency, signal }: ReadOptions,
    read: () => Promise<Value>,
  ): Promise<Value> {
    this.#refuseWhenFenced();
    if (consistency === 'linearizable') {
      const patience = AbortSignal.timeout(READ_PATIENCE_MS);
      await this.#member.driver.linearize(AbortSignal.any([signal, patience]));
    }
    return read();
  }

  #refuseWhenFenced(): void {
    const reason = this.#member.readiness.fencedReason;
    if (reason !== undefined)
      throw new NodeError('FENCED', `this member has fenced itself: ${reason}; ask another one`);
  }
}
