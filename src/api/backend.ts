import type { MemberRecord } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import type { MemberAddition, MembershipChanged, MembershipView } from '../types/membership.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import type { FinalState, SubmitResult } from '../types/submission.ts';
import type {
  AccountView,
  Answer,
  BlockLogs,
  BlockSelector,
  BlockView,
  CallMessage,
  CallResult,
  CodeView,
  NodeStatus,
  ProofView,
  Readiness,
  ReadOptions,
  ReceiptView,
  TransactionDetail,
  TransactionView,
} from '../types/views.ts';

/**
 * What the gRPC faces need of the member behind them, in domain types. Methods reject with a NodeError, or with
 * anything at all once their signal is aborted; any other rejection is our own defect and becomes INTERNAL.
 */
export interface NodeBackend {
  /**
   * Admits a batch and resolves when each transaction is durable on a majority or refused: one result for each, in
   * order. Refusals are values. The bytes may share one larger buffer: copy what is kept.
   */
  submit(raws: readonly Uint8Array[], signal: AbortSignal): Promise<SubmitResult[]>;
  /** Resolves when an admitted transaction has its final state on this member (INCLUDED: its block is applied). */
  committed(hash: Hash, signal: AbortSignal): Promise<FinalState>;

  /** The last applied height, once the consistency asked for is reached; 0 before the first block. */
  height(read: ReadOptions): Promise<Height>;
  account(address: Address, read: ReadOptions): Promise<Answer<AccountView>>;
  code(address: Address, read: ReadOptions): Promise<Answer<CodeView>>;
  /** The value is minimal big-endian bytes, empty for zero. */
  storage(address: Address, slot: Hash, read: ReadOptions): Promise<Answer<Uint8Array>>;
  /** Speaks for the last height that this member has hashed. */
  proof(address: Address, slots: readonly Hash[], read: ReadOptions): Promise<Answer<ProofView>>;
  /** Rejects with BLOCK_NOT_FOUND above the applied height and for unknown ids. */
  block(
    selector: BlockSelector,
    detail: TransactionDetail,
    read: ReadOptions,
  ): Promise<Answer<BlockView>>;
  /** Rejects with TRANSACTION_NOT_FOUND. */
  transaction(hash: Hash, read: ReadOptions): Promise<Answer<TransactionView>>;
  /** Rejects with RECEIPT_NOT_FOUND, unless the transaction is in an applied block. */
  receipt(hash: Hash, read: ReadOptions): Promise<Answer<ReceiptView>>;
  call(message: CallMessage, read: ReadOptions): Promise<Answer<CallResult>>;
  /** Rejects with EXECUTION_FAILED when no gas limit makes the message succeed. */
  estimateGas(message: CallMessage, read: ReadOptions): Promise<Answer<bigint>>;

  /** Resolves with the last applied height of this member, once it is at least the given one. */
  applied(atLeast: Height, signal: AbortSignal): Promise<Height>;
  /** Logs of one applied block on this member, in order. Rejects with BLOCK_NOT_FOUND. */
  blockLogs(height: Height, signal: AbortSignal): Promise<BlockLogs>;

  status(): NodeStatus;
  /** Calls the listener at once and at each change; the returned function ends that. */
  watchReadiness(listener: (readiness: Readiness) => void): () => void;
}

/**
 * What the Admin service needs. Changes of the cluster reject with NOT_LEADER or NO_LEADER, CHANGE_PENDING (another one
 * is not finished), NOT_READY (the leader has not committed in its term yet, or is handing over), or OUTCOME_UNKNOWN
 * (leadership was lost before it was known whether the change is committed), beside what is named at each. Only
 * records that were checked as far as that is possible without the configuration get here.
 */
export interface AdminBackend extends Pick<NodeBackend, 'status' | 'watchReadiness'> {
  /** Resolves once the target leads. Rejects with UNKNOWN_MEMBER, NOT_LEADER or TRANSFER_FAILED. */
  transferLeadership(
    target: MemberId,
    signal: AbortSignal,
  ): Promise<{ leaderId: MemberId; term: number }>;
  /** Who the cluster consists of, as this member sees it. */
  listMembers(): MembershipView;
  /** Resolves once the new learner is committed. Rejects with ID_USED_BEFORE, ALREADY_A_VOTER or TOO_MANY_MEMBERS. */
  addMember(addition: MemberAddition, signal: AbortSignal): Promise<MembershipChanged>;
  /** As `addMember`, for a learner that takes the place of a voter once it is promoted. UNKNOWN_MEMBER is that voter. */
  replaceMember(
    replaced: MemberId,
    addition: MemberAddition,
    signal: AbortSignal,
  ): Promise<MembershipChanged>;
  /**
   * Resolves once the learner votes, and what it replaces is gone. Rejects with UNKNOWN_MEMBER, ALREADY_A_VOTER or
   * NOT_CAUGHT_UP.
   */
  promoteMember(id: MemberId, signal: AbortSignal): Promise<MembershipChanged>;
  /** Resolves once a configuration without the member is committed. Rejects with UNKNOWN_MEMBER or LAST_VOTER. */
  removeMember(id: MemberId, signal: AbortSignal): Promise<MembershipChanged>;
  /** Changes address and priority. Rejects with UNKNOWN_MEMBER. */
  updateMember(record: MemberRecord, signal: AbortSignal): Promise<MembershipChanged>;
}
