import { contractAddress } from '../crypto/transaction.ts';
import { effectiveGasPrice } from '../execution/fees.ts';
import type { Chain } from '../ledger/chain.ts';
import { FlatState } from '../ledger/flat_state.ts';
import { HEAD_KEY, pendingKey, transactionStateKey } from '../ledger/keys.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import { decodeHead, decodePending, decodeTransactionState } from '../ledger/records.ts';
import type { StoreReader } from '../ledger/store.ts';
import type { StoredBlock } from '../ledger/stored_block.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { Database } from '../storage/database.ts';
import { type Commit, encodeHeader } from '../types/block.ts';
import { NodeError } from '../types/node_error.ts';
import type { Outcome } from '../types/outcome.ts';
import {
  type Address,
  EMPTY_CODE_HASH,
  type Hash,
  type Height,
  ZERO_HASH,
} from '../types/primitives.ts';
import { decodeTransaction } from '../types/transaction.ts';
import type { TransactionState } from '../types/transaction_state.ts';
import type {
  Answer,
  BlockLogs,
  BlockSelector,
  BlockView,
  CodeView,
  ReceiptView,
  TransactionDetail,
  TransactionView,
} from '../types/views.ts';

/**
 * Reads of accounts, blocks, transactions and receipts on this member. Each sees one moment: the state
 * after the height that its answer names.
 */
export class Reads {
  readonly #database: Database;
  readonly #chain: Chain;
  readonly #mempool: Mempool;

  constructor(dependencies: { database: Database; chain: Chain; mempool: Mempool }) {
    this.#database = dependencies.database;
    this.#chain = dependencies.chain;
    this.#mempool = dependencies.mempool;
  }

  /** Reads from one moment of the store. */
  async at<Value>(
    read: (state: FlatState, height: Height, store: StoreReader) => Promise<Value>,
  ): Promise<Answer<Value>> {
    const snapshot = this.#database.snapshot();
    try {
      const head = await snapshot.get(HEAD_KEY);
      if (head === undefined) throw new LedgerError('STORE_DAMAGED', 'the store has no head');
      const height = decodeHead(head).executedHeight;
      const state = new FlatState(snapshot, (wanted) => this.blockHash(wanted));
      return { height, value: await read(state, height, snapshot) };
    } finally {
      await snapshot.close();
    }
  }

  /** Id of a decided block. */
  async blockHash(height: Height): Promise<Hash | undefined> {
    return (await this.#chain.block(height))?.blockId;
  }

  account(
    address: Address,
  ): Promise<Answer<{ nonce: bigint; balance: bigint; codeHash: Hash; pendingNonce: bigint }>> {
    return this.at(async (state) => {
      const account = await state.account(address);
      const nonce = account?.nonce ?? 0n;
      return {
        nonce,
        balance: account?.balance ?? 0n,
        codeHash: account?.codeHash ?? EMPTY_CODE_HASH,
        pendingNonce: this.#mempool.pendingNonce(address, nonce),
      };
    });
  }

  code(address: Address): Promise<Answer<CodeView>> {
    return this.at(async (state) => {
      const codeHash = (await state.account(address))?.codeHash ?? EMPTY_CODE_HASH;
      return { code: await state.code(codeHash), codeHash };
    });
  }

  storage(address: Address, slot: Hash): Promise<Answer<Uint8Array>> {
    return this.at(async (state) => {
      const [value] = await state.slots([{ address, slot }]);
      return value ?? new Uint8Array(0);
    });
  }

  async block(selector: BlockSelector, detail: TransactionDetail): Promise<Answer<BlockView>> {
    return this.at(async (_state, executedHeight) => {
      const height = await this.#selected(selector, executedHeight);
      const stored =
        height === undefined || height > executedHeight
          ? undefined
          : await this.#chain.block(height);
      if (stored === undefined)
        throw new NodeError(
          'BLOCK_NOT_FOUND',
          `no such block; the last applied one is ${executedHeight}`,
          { fields: { height: executedHeight } },
        );
      const { block, blockId, transactionHashes } = stored;
      return {
        blockId,
        header: block.header,
        encodedHeader: encodeHeader(block.header),
        commit: (await this.#chain.commit(block.header.height)) ?? NO_COMMIT,
        transactionHashes,
        transactions: detail === 'full' ? block.transactions : undefined,
      };
    });
  }

  async transaction(hash: Hash): Promise<Answer<TransactionView>> {
    return this.at(async (_state, _height, store) => {
      const state = await transactionState(hash, store);
      if (state === undefined)
        throw new NodeError('TRANSACTION_NOT_FOUND', 'no such transaction was admitted here');
      if (state.state === 'included') {
        const { block } = await this.#chain.storedBlock(state.height);
        return { state, raw: block.transactions[state.index] };
      }
      const pending = await store.get(pendingKey(hash));
      return { state, raw: pending === undefined ? undefined : decodePending(pending).raw };
    });
  }

  receipt(hash: Hash): Promise<Answer<ReceiptView>> {
    return this.at(async (_state, _height, store) => {
      const state = await transactionState(hash, store);
      const outcome =
        state?.state === 'included' ? await this.#chain.outcome(state.height) : undefined;
      if (state?.state !== 'included' || outcome === undefined)
        throw new NodeError(
          'RECEIPT_NOT_FOUND',
          state === undefined
            ? 'no such transaction was admitted here'
            : `the transaction is ${state.state}; only an included one has a receipt`,
        );
      const stored = await this.#chain.storedBlock(state.height);
      return receiptAnswer(stored, outcome, state.index);
    });
  }

  /** Logs of one executed block by transaction. */
  async blockLogs(height: Height): Promise<BlockLogs> {
    const outcome = await this.#chain.outcome(height);
    if (outcome === undefined)
      throw new NodeError('BLOCK_NOT_FOUND', `block ${height} is not applied here`);
    const { blockId, transactionHashes } = await this.#chain.storedBlock(height);
    let firstLogIndex = 0;
    const transactions = [];
    for (const [index, { logs }] of outcome.receipts.entries()) {
      const hash = transactionHashes[index] ?? ZERO_HASH;
      if (logs.length > 0) transactions.push({ hash, index, firstLogIndex, logs });
      firstLogIndex += logs.length;
    }
    return { blockId, transactions };
  }

  async #selected(selector: BlockSelector, executed: Height): Promise<Height | undefined> {
    if (selector.by === 'latest') return executed;
    return selector.by === 'height' ? selector.height : this.#chain.heightOf(selector.blockId);
  }
}

async function transactionState(
  hash: Hash,
  store: StoreReader,
): Promise<TransactionState | undefined> {
  const bytes = await store.get(transactionStateKey(hash));
  return bytes === undefined ? undefined : decodeTransactionState(bytes);
}

/** A receipt with all that follows from its place and its transaction. */
function receiptAnswer(stored: StoredBlock, outcome: Outcome, index: number): ReceiptView {
  const { block, senders, transactionHashes, blockId } = stored;
  const receipt = outcome.receipts[index];
  const raw = block.transactions[index];
  const sender = senders[index];
  const transactionHash = transactionHashes[index];
  if (!receipt || !raw || !sender || !transactionHash)
    throw new LedgerError('STORE_DAMAGED', `block ${block.header.height} and its outcome differ`);
  const transaction = decodeTransaction(raw);
  const before = outcome.receipts.slice(0, index);
  const isCreation = transaction.to === undefined && receipt.succeeded;
  return {
    transactionHash,
    height: block.header.height,
    index,
    blockId,
    type: receipt.type,
    succeeded: receipt.succeeded,
    gasUsed: receipt.cumulativeGasUsed - (before.at(-1)?.cumulativeGasUsed ?? 0n),
    cumulativeGasUsed: receipt.cumulativeGasUsed,
    effectiveGasPrice: effectiveGasPrice(transaction, block.header.baseFeePerGas),
    contractAddress: isCreation ? contractAddress(sender, transaction.nonce) : undefined,
    logsBloom: receipt.logsBloom,
    logs: receipt.logs,
    firstLogIndex: before.reduce((sum, { logs }) => sum + logs.length, 0),
  };
}

/** Nobody signs block 0. */
const NO_COMMIT: Commit = {
  height: 0,
  round: 0,
  blockId: ZERO_HASH,
  signers: new Uint8Array(0),
  signature: new Uint8Array(0),
};
