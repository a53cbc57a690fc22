import { bigIntToBytes } from '../lib/bytes.ts';
import type { Header } from '../types/block.ts';
import type { Height } from '../types/primitives.ts';
import type { Log } from '../types/receipt.ts';
import type { SubmitResult } from '../types/submission.ts';
import type { TransactionState } from '../types/transaction_state.ts';
import type {
  AccountView,
  Answer,
  BlockLogs,
  BlockView,
  CallResult,
  CodeView,
  NodeStatus,
  ProofView,
  ReceiptView,
  TransactionView,
} from '../types/views.ts';
import { wireRefusal } from './api_error.ts';

/**
 * Domain values as the messages of node.proto, in the form that the loader encodes: 256-bit numbers as minimal
 * big-endian bytes, 64-bit ones that may exceed 2^53 as decimal strings.
 */
export type Wire = Readonly<Record<string, unknown>>;

const STATE_NAMES: Readonly<Record<TransactionState['state'], string>> = {
  pending: 'TRANSACTION_STATE_PENDING',
  included: 'TRANSACTION_STATE_INCLUDED',
  replaced: 'TRANSACTION_STATE_REPLACED',
  expired: 'TRANSACTION_STATE_EXPIRED',
  invalidated: 'TRANSACTION_STATE_INVALIDATED',
};

const ROLE_NAMES: Readonly<Record<NodeStatus['role'], string>> = {
  follower: 'MEMBER_ROLE_FOLLOWER',
  candidate: 'MEMBER_ROLE_CANDIDATE',
  leader: 'MEMBER_ROLE_LEADER',
};

export function submissionWire(result: SubmitResult & { kind: 'admitted' }): Wire {
  const { hash, alreadyKnown, state } = result;
  // The common case is spelt out: it is made some ten thousand times a second.
  if (state.state === 'pending') return { hash, alreadyKnown, state: STATE_NAMES.pending };
  return { hash, alreadyKnown, ...stateWire(state) };
}

export function submitResultWire(result: SubmitResult): Wire {
  return result.kind === 'admitted'
    ? { submission: submissionWire(result) }
    : { refusal: wireRefusal(result.refusal) };
}

export function accountWire({ height, value }: Answer<AccountView>): Wire {
  return {
    height,
    nonce: String(value.nonce),
    balance: bigIntToBytes(value.balance),
    codeHash: value.codeHash,
    pendingNonce: String(value.pendingNonce),
  };
}

export function codeWire({ height, value }: Answer<CodeView>): Wire {
  return { height, code: value.code, codeHash: value.codeHash };
}

export function proofWire({ height, value }: Answer<ProofView>): Wire {
  return {
    height,
    stateRoot: value.stateRoot,
    ...(value.headerHeight === undefined ? {} : { headerHeight: value.headerHeight }),
    nonce: String(value.nonce),
    balance: bigIntToBytes(value.balance),
    codeHash: value.codeHash,
    storageRoot: value.storageRoot,
    accountProof: value.accountProof,
    storageProofs: value.storageProofs,
  };
}

export function blockWire(block: BlockView): Wire {
  return {
    blockId: block.blockId,
    header: headerWire(block.header),
    encodedHeader: block.encodedHeader,
    commit: block.commit,
    transactionHashes: block.transactionHashes,
    transactions: block.transactions ?? [],
  };
}

export function transactionWire(hash: Uint8Array, answer: Answer<TransactionView>): Wire {
  return {
    height: answer.height,
    hash,
    transaction: answer.value.raw ?? new Uint8Array(0),
    ...stateWire(answer.value.state),
  };
}

export function receiptWire({ height, value }: Answer<ReceiptView>): Wire {
  return {
    height,
    receipt: {
      transactionHash: value.transactionHash,
      inclusion: { height: value.height, index: value.index },
      blockId: value.blockId,
      type: value.type,
      succeeded: value.succeeded,
      gasUsed: String(value.gasUsed),
      cumulativeGasUsed: String(value.cumulativeGasUsed),
      effectiveGasPrice: bigIntToBytes(value.effectiveGasPrice),
      contractAddress: value.contractAddress ?? new Uint8Array(0),
      logsBloom: value.logsBloom,
      logs: value.logs.map((log, position) =>
        logWire(log, {
          hash: value.transactionHash,
          index: value.index,
          logIndex: value.firstLogIndex + position,
        }),
      ),
    },
  };
}

export function callWire({ height, value }: Answer<CallResult>): Wire {
  return {
    height,
    succeeded: value.succeeded,
    returnData: value.returnData,
    gasUsed: String(value.gasUsed),
    failure: value.failure,
  };
}

/** The logs of a block that pass the filter; undefined when there are none. */
export function matchingLogsWire(
  height: Height,
  block: BlockLogs,
  matches: (log: Log) => boolean,
): Wire | undefined {
  const logs: Wire[] = [];
  for (const { hash, index, firstLogIndex, logs: ofTransaction } of block.transactions)
    for (const [position, log] of ofTransaction.entries())
      if (matches(log))
        logs.push(logWire(log, { hash, index, logIndex: firstLogIndex + position }));
  return logs.length === 0 ? undefined : { height, blockId: block.blockId, logs };
}

export function statusWire(node: NodeStatus): Wire {
  return {
    clusterId: node.clusterId,
    chainId: String(node.chainId),
    genesisHash: node.genesisHash,
    memberId: node.memberId,
    role: ROLE_NAMES[node.role],
    term: node.term,
    leaderId: node.leaderId ?? 0,
    commitIndex: node.commitIndex,
    appliedIndex: node.appliedIndex,
    height: node.height,
    stateRoot: node.stateRoot,
    stateRootHeight: node.stateRootHeight,
    members: membersWire(node),
    mempoolSize: node.mempoolSize,
    fencedReason: node.fencedReason ?? '',
    ready: node.readiness.ready,
    pid: node.pid,
    version: node.version,
  };
}

function membersWire(node: NodeStatus): Wire[] {
  return node.members.map(({ id, host, apiPort, connected, lagEntries }) => ({
    id,
    host,
    apiPort,
    connected,
    ...(lagEntries === undefined ? {} : { lagEntries }),
  }));
}

function stateWire(state: TransactionState): Wire {
  switch (state.state) {
    case 'included':
      return {
        state: STATE_NAMES.included,
        inclusion: { height: state.height, index: state.index },
      };
    case 'replaced':
      return { state: STATE_NAMES.replaced, replacedBy: state.by };
    default:
      return { state: STATE_NAMES[state.state] };
  }
}

function headerWire(header: Header): Wire {
  return {
    ...header,
    chainId: String(header.chainId),
    gasUsed: String(header.gasUsed),
    baseFeePerGas: bigIntToBytes(header.baseFeePerGas),
    gasLimit: String(header.gasLimit),
  };
}

function logWire(
  log: Log,
  transaction: { hash: Uint8Array; index: number; logIndex: number },
): Wire {
  return {
    address: log.address,
    topics: log.topics,
    data: log.data,
    transactionHash: transaction.hash,
    transactionIndex: transaction.index,
    logIndex: transaction.logIndex,
  };
}
