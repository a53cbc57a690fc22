import type { NodeBackend } from '../../../src/api/backend.ts';
import { encodeHeader, type Header } from '../../../src/types/block.ts';
import { NodeError } from '../../../src/types/node_error.ts';
import type { Log } from '../../../src/types/receipt.ts';
import type { SubmitResult } from '../../../src/types/submission.ts';
import type { BlockView, NodeStatus, Readiness } from '../../../src/types/views.ts';

export function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

/** Hash of the double: the first byte of the transaction, 32 times. */
export function hashOf(raw: Uint8Array): Uint8Array {
  return filled(32, raw[0] ?? 0);
}

export const LOG: Log = {
  address: filled(20, 0xaa),
  topics: [filled(32, 1), filled(32, 2)],
  data: Uint8Array.of(7, 8, 9),
};

/**
 * A chain in memory with as many blocks as the test applies. Any method can be replaced by the test; what is here
 * answers with fixed values that differ from every default.
 */
export class MemoryBackend implements NodeBackend {
  appliedHeight = 0;
  /** Of every transaction of a block. */
  transactionBytes = 100;
  readonly submitted: Uint8Array[][] = [];
  readonly #waiting = new Set<() => void>();
  readonly #readinessListeners = new Set<(readiness: Readiness) => void>();
  #readiness: Readiness = { ready: false, reason: 'catching up' };

  apply(count: number): void {
    this.appliedHeight += count;
    for (const wake of this.#waiting) wake();
  }

  setReadiness(readiness: Readiness): void {
    this.#readiness = readiness;
    for (const listener of this.#readinessListeners) listener(readiness);
  }

  get readinessListenerCount(): number {
    return this.#readinessListeners.size;
  }

  /** Calls of `applied` that have not resolved. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  submit: NodeBackend['submit'] = async (raws) => {
    this.submitted.push([...raws]);
    return raws.map(
      (raw): SubmitResult => ({
        kind: 'admitted',
        hash: hashOf(raw),
        alreadyKnown: false,
        state: { state: 'pending' },
      }),
    );
  };

  committed: NodeBackend['committed'] = async () => ({ state: 'included', height: 5, index: 3 });

  height: NodeBackend['height'] = async () => this.appliedHeight;

  account: NodeBackend['account'] = async () => ({
    height: 9,
    value: {
      nonce: 2n ** 64n - 2n,
      balance: 2n ** 255n + 1n,
      codeHash: filled(32, 3),
      pendingNonce: 12n,
    },
  });

  code: NodeBackend['code'] = async () => ({
    height: 9,
    value: { code: Uint8Array.of(0x60, 0x00), codeHash: filled(32, 4) },
  });

  storage: NodeBackend['storage'] = async () => ({ height: 9, value: Uint8Array.of(1, 0) });

  proof: NodeBackend['proof'] = async (_address, slots) => ({
    height: 9,
    value: {
      stateRoot: filled(32, 5),
      headerHeight: 11,
      nonce: 1n,
      balance: 256n,
      codeHash: filled(32, 6),
      storageRoot: filled(32, 7),
      accountProof: [Uint8Array.of(1), Uint8Array.of(2, 2)],
      storageProofs: slots.map((slot) => ({
        slot,
        value: Uint8Array.of(5),
        proof: [Uint8Array.of(9)],
      })),
    },
  });

  block: NodeBackend['block'] = async (selector, detail) => {
    const height = selector.by === 'height' ? selector.height : this.appliedHeight;
    if (height < 1 || height > this.appliedHeight)
      throw new NodeError('BLOCK_NOT_FOUND', `there is no block ${height} yet`, {
        fields: { height },
      });
    return { height: this.appliedHeight, value: this.#blockView(height, detail === 'full') };
  };

  transaction: NodeBackend['transaction'] = async () => ({
    height: 9,
    value: { state: { state: 'replaced', by: filled(32, 8) }, raw: Uint8Array.of(2, 3) },
  });

  receipt: NodeBackend['receipt'] = async (hash) => ({
    height: 9,
    value: {
      transactionHash: hash,
      height: 4,
      index: 2,
      blockId: filled(32, 9),
      type: 2,
      succeeded: true,
      gasUsed: 21_000n,
      cumulativeGasUsed: 63_000n,
      effectiveGasPrice: 10n ** 18n,
      contractAddress: filled(20, 10),
      logsBloom: filled(256, 1),
      logs: [LOG, LOG],
      firstLogIndex: 6,
    },
  });

  call: NodeBackend['call'] = async () => ({
    height: 9,
    value: {
      succeeded: false,
      returnData: Uint8Array.of(8),
      gasUsed: 30_000n,
      failure: 'reverted',
    },
  });

  estimateGas: NodeBackend['estimateGas'] = async () => ({ height: 9, value: 21_001n });

  applied: NodeBackend['applied'] = async (atLeast, signal) => {
    while (this.appliedHeight < atLeast) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
      await promise;
      this.#waiting.delete(wake);
      signal.throwIfAborted();
    }
    return this.appliedHeight;
  };

  /** Every even block has two logs; every odd one has none. */
  blockLogs: NodeBackend['blockLogs'] = async (height) => ({
    blockId: filled(32, height),
    transactions:
      height % 2 === 0
        ? [{ hash: filled(32, 1), index: 4, firstLogIndex: 5, logs: [{ ...LOG, topics: [] }, LOG] }]
        : [],
  });

  status(): NodeStatus {
    return {
      clusterId: 'lab',
      chainId: 1337n,
      genesisHash: filled(32, 1),
      memberId: 2,
      role: 'leader',
      term: 7,
      leaderId: 2,
      commitIndex: 100,
      appliedIndex: 99,
      height: this.appliedHeight,
      stateRoot: filled(32, 2),
      stateRootHeight: 8,
      members: [
        { id: 1, host: 'a.example', apiPort: 4001, connected: false, lagEntries: undefined },
        { id: 2, host: 'b.example', apiPort: 4002, connected: true, lagEntries: 0 },
      ],
      mempoolSize: 17,
      readiness: this.#readiness,
      fencedReason: undefined,
      pid: 4242,
      version: '0.1.0',
    };
  }

  watchReadiness(listener: (readiness: Readiness) => void): () => void {
    this.#readinessListeners.add(listener);
    listener(this.#readiness);
    return () => this.#readinessListeners.delete(listener);
  }

  #blockView(height: number, full: boolean): BlockView {
    const header = headerAt(height);
    return {
      blockId: filled(32, height % 256),
      header,
      encodedHeader: encodeHeader(header),
      commit: {
        height,
        round: 1,
        blockId: filled(32, height % 256),
        signers: Uint8Array.of(1),
        signature: filled(96, 8),
      },
      transactionHashes: [filled(32, 1)],
      transactions: full ? [filled(this.transactionBytes, 1)] : undefined,
    };
  }
}

export function headerAt(height: number): Header {
  return {
    chainId: 1337n,
    height,
    timestampMs: 1_700_000_000_000 + height,
    parentId: filled(32, 11),
    proposer: filled(20, 12),
    validatorsHash: filled(32, 13),
    nextValidatorsHash: filled(32, 14),
    consensusParametersHash: filled(32, 15),
    transactionsRoot: filled(32, 16),
    lastCommitHash: filled(32, 17),
    evidenceHash: filled(32, 18),
    gasUsed: 5n,
    receiptsRoot: filled(32, 19),
    logsBloom: filled(256, 20),
    stateRoot: filled(32, 21),
    baseFeePerGas: 7n,
    gasLimit: 30_000_000n,
    extraData: Uint8Array.of(1),
  };
}
