import { CodedError } from '../lib/error.ts';
import type { Commit, Header } from '../types/block.ts';
import type { MemberId } from '../types/entry.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import type { Log } from '../types/receipt.ts';
import type { TransactionState } from '../types/transaction_state.ts';

/**
 * What the gRPC faces need of the member behind them, in domain types. Methods reject with a BackendError, or with
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

/** What the Admin service needs. */
export interface AdminBackend extends Pick<NodeBackend, 'status' | 'watchReadiness'> {
  /** Resolves once the target leads. Rejects with UNKNOWN_MEMBER, NOT_LEADER or TRANSFER_FAILED. */
  transferLeadership(
    target: MemberId,
    signal: AbortSignal,
  ): Promise<{ leaderId: MemberId; term: number }>;
}

/** Linearizable reads see everything acknowledged before they began (ReadIndex); local ones may be old. */
export type Consistency = 'linearizable' | 'local';

export interface ReadOptions {
  readonly consistency: Consistency;
  readonly signal: AbortSignal;
}

/** A value and the applied height that it speaks for. */
export interface Answer<T> {
  readonly height: Height;
  readonly value: T;
}

/** Every state but pending stays. */
type FinalState = Exclude<TransactionState, { readonly state: 'pending' }>;

/** Durable, or refused with the reason. */
export type SubmitResult =
  | {
      readonly kind: 'admitted';
      readonly hash: Hash;
      /** The cluster had this very transaction before. */
      readonly alreadyKnown: boolean;
      /** Pending, unless an already known one is further. */
      readonly state: TransactionState;
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** The shape of a BackendError, as a plain value: refusals are common and need no stack. */
export interface Refusal {
  readonly code: BackendErrorCode;
  /**
   * For people: what is wrong and what to change. For NOT_ADMITTED and OUTCOME_UNKNOWN only the cause: what it means
   * for the client is added to it.
   */
  readonly message: string;
  /** Becomes the metadata of the ErrorInfo, for example `expectedNonce`. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export type BackendErrorCode =
  // The transaction itself can never be admitted.
  | 'MALFORMED_TRANSACTION'
  | 'UNSUPPORTED_TRANSACTION_TYPE'
  | 'TRANSACTION_TOO_LARGE'
  | 'WRONG_CHAIN_ID'
  | 'INVALID_SIGNATURE'
  | 'GAS_LIMIT_TOO_LOW'
  | 'GAS_LIMIT_TOO_HIGH'
  | 'FEE_INVALID'
  // It cannot be admitted in the present state.
  | 'NONCE_TOO_LOW'
  | 'NONCE_TOO_FAR'
  | 'INSUFFICIENT_FUNDS'
  | 'FEE_TOO_LOW'
  | 'REPLACEMENT_UNDERPRICED'
  | 'MEMPOOL_FULL'
  | 'SENDER_LIMIT_REACHED'
  // The cluster could not do it.
  | 'NOT_ADMITTED'
  | 'OUTCOME_UNKNOWN'
  | 'NO_LEADER'
  | 'FENCED'
  | 'NOT_READY'
  | 'OVERLOADED'
  | 'STOPPING'
  // Reads.
  | 'BLOCK_NOT_FOUND'
  | 'TRANSACTION_NOT_FOUND'
  | 'RECEIPT_NOT_FOUND'
  | 'EXECUTION_FAILED'
  // Administration.
  | 'UNKNOWN_MEMBER'
  | 'NOT_LEADER'
  | 'TRANSFER_FAILED';

export class BackendError extends CodedError<BackendErrorCode> {}

export interface AccountView {
  readonly nonce: bigint;
  /** Wei. */
  readonly balance: bigint;
  readonly codeHash: Hash;
  /** The nonce after the sender's consecutive transactions in this member's mempool. */
  readonly pendingNonce: bigint;
}

export interface CodeView {
  readonly code: Uint8Array;
  readonly codeHash: Hash;
}

/** The content of EIP-1186; proofs are the RLP of nodes from the root down. */
export interface ProofView {
  readonly stateRoot: Hash;
  /** The block whose header carries the root (height + 2), if it is applied here. */
  readonly headerHeight: Height | undefined;
  readonly nonce: bigint;
  readonly balance: bigint;
  readonly codeHash: Hash;
  readonly storageRoot: Hash;
  readonly accountProof: readonly Uint8Array[];
  /** One for each slot asked for, in order; values are minimal big-endian bytes. */
  readonly storageProofs: readonly {
    readonly slot: Hash;
    readonly value: Uint8Array;
    readonly proof: readonly Uint8Array[];
  }[];
}

export type BlockSelector =
  | { readonly by: 'height'; readonly height: Height }
  | { readonly by: 'id'; readonly blockId: Hash }
  | { readonly by: 'latest' };

export type TransactionDetail = 'hashes' | 'full';

export interface BlockView {
  readonly blockId: Hash;
  readonly header: Header;
  /** Canonical bytes of the header; the block id is their hash. */
  readonly encodedHeader: Uint8Array;
  /** Certificate of this block. */
  readonly commit: Commit;
  readonly transactionHashes: readonly Hash[];
  /** EIP-2718 bytes in block order; undefined unless the detail is full. */
  readonly transactions: readonly Uint8Array[] | undefined;
}

export interface TransactionView {
  readonly state: TransactionState;
  /** EIP-2718 bytes; undefined when those of a transaction that no block took are no longer kept. */
  readonly raw: Uint8Array | undefined;
}

export interface ReceiptView {
  readonly transactionHash: Hash;
  readonly height: Height;
  /** Position in the block, from 0. */
  readonly index: number;
  readonly blockId: Hash;
  readonly type: number;
  readonly succeeded: boolean;
  readonly gasUsed: bigint;
  readonly cumulativeGasUsed: bigint;
  /** Wei per gas. */
  readonly effectiveGasPrice: bigint;
  /** Of the contract that the transaction created. */
  readonly contractAddress: Address | undefined;
  readonly logsBloom: Uint8Array;
  readonly logs: readonly Log[];
  /** Position of the first of these logs among those of the block. */
  readonly firstLogIndex: number;
}

export interface CallMessage {
  readonly from: Address;
  /** Undefined creates a contract. */
  readonly to: Address | undefined;
  /** Wei. */
  readonly value: bigint;
  readonly data: Uint8Array;
  /** Undefined means the block's gas limit. */
  readonly gasLimit: bigint | undefined;
}

export interface CallResult {
  readonly succeeded: boolean;
  readonly returnData: Uint8Array;
  readonly gasUsed: bigint;
  /** Why it failed, for people; empty when it succeeded. */
  readonly failure: string;
}

export interface BlockLogs {
  readonly blockId: Hash;
  /** In block order: one entry for each transaction that logged anything. */
  readonly transactions: readonly {
    readonly hash: Hash;
    readonly index: number;
    readonly firstLogIndex: number;
    readonly logs: readonly Log[];
  }[];
}

type MemberRole = 'follower' | 'candidate' | 'leader';

export interface NodeStatus {
  readonly clusterId: string;
  readonly chainId: bigint;
  readonly genesisHash: Hash;
  readonly memberId: MemberId;
  readonly role: MemberRole;
  readonly term: number;
  readonly leaderId: MemberId | undefined;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  /** Last applied block. */
  readonly height: Height;
  /** Of the last state that this member has hashed. */
  readonly stateRoot: Hash;
  readonly stateRootHeight: Height;
  readonly members: readonly MemberStatus[];
  /** Transactions waiting. */
  readonly mempoolSize: number;
  readonly readiness: Readiness;
  /** Undefined when the member is well. */
  readonly fencedReason: string | undefined;
  readonly pid: number;
  readonly version: string;
}

interface MemberStatus {
  readonly id: MemberId;
  readonly host: string;
  readonly apiPort: number;
  readonly connected: boolean;
  /** Log entries behind the commit index; undefined when this member does not know. */
  readonly lagEntries: number | undefined;
}

/** Ready: caught up and not fenced. The reason says why not, and is empty when ready. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}
