import type { Commit, Header } from './block.ts';
import type { MemberId } from './entry.ts';
import type { Address, Hash, Height } from './primitives.ts';
import type { Log } from './receipt.ts';
import type { TransactionState } from './transaction_state.ts';

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

export type MemberRole = 'follower' | 'candidate' | 'leader';

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

export interface MemberStatus {
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
