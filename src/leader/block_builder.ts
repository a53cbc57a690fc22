import {
  commitHash,
  consensusParametersHash,
  evidenceHash,
  validatorsHash,
} from '../crypto/block.ts';
import { transactionsRoot } from '../crypto/merkle.ts';
import { BlockBudget, invalidTransaction, transactionReason } from '../execution/block_rules.ts';
import { forkAt, gasShape, nextBaseFee } from '../execution/fees.ts';
import type { FlatState } from '../ledger/flat_state.ts';
import type { LedgerHead } from '../ledger/ledger_head.ts';
import type { StoredBlock } from '../ledger/stored_block.ts';
import { assert } from '../lib/assert.ts';
import { bytesEqual, toHex } from '../lib/bytes.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { PooledTransaction } from '../mempool/pooled_transaction.ts';
import { type Commit, encodeHeader, type Header } from '../types/block.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Account } from '../types/outcome.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import { decodeTransaction, type Transaction } from '../types/transaction.ts';

/** What the block above a head must hold, whoever proposes it, and what its proposer may choose. */
export interface NextBlock {
  readonly head: LedgerHead;
  /** Certificate of the head's block; undefined above genesis. */
  readonly lastCommit: Commit | undefined;
  /** State root after head − 1. */
  readonly stateRoot: Hash;
}

/** Transactions decoded before others get their turn: about two milliseconds. */
const DECODED_PER_TURN = 256;
/** Transactions without room in a block that are passed over for smaller ones behind them. */
const MISFITS_MAX = 32;

/**
 * Assembles blocks for the proposer and checks proposed ones against the same rules, before anything is
 * signed (static validity: nothing is executed for it).
 */
export class BlockBuilder {
  readonly #genesis: Genesis;
  readonly #flatState: FlatState;
  readonly #validatorsHash: Hash;
  readonly #parametersHash: Hash;

  constructor(options: { genesis: Genesis }, dependencies: { flatState: FlatState }) {
    this.#genesis = options.genesis;
    this.#flatState = dependencies.flatState;
    this.#validatorsHash = validatorsHash(options.genesis.validators);
    this.#parametersHash = consensusParametersHash(options.genesis.parameters);
  }

  /** Wei per gas of the block above a head. */
  baseFee({ decided, results }: LedgerHead): bigint {
    const { baseFeePerGas, gasLimit } = decided.block.header;
    const floor = this.#genesis.parameters.baseFeeFloor;
    return nextBaseFee({ baseFeePerGas, gasUsed: results.gasUsed, gasLimit, floor });
  }

  /** Whether an empty block would lower the base fee, so that waiting transactions come into its reach. */
  canBaseFeeFall(head: LedgerHead): boolean {
    const baseFeePerGas = this.baseFee(head);
    const { blockGasLimit: gasLimit, baseFeeFloor: floor } = this.#genesis.parameters;
    return nextBaseFee({ baseFeePerGas, gasUsed: 0n, gasLimit, floor }) < baseFeePerGas;
  }

  /** The transactions that the next block takes: best first, each sender's in nonce order. */
  async select(mempool: Mempool, head: LedgerHead): Promise<PooledTransaction[]> {
    const { blockGasLimit, blockBytesMax } = this.#genesis.parameters;
    const baseFeePerGas = this.baseFee(head);
    // Candidates are taken by room alone, so that their accounts can be read at once.
    const candidates: PooledTransaction[] = [];
    const cursor = mempool.ready(baseFeePerGas);
    let gas = 0n;
    let bytes = 0;
    let misfits = 0;
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) {
      if (!this.#standsAt(next, head.decidedHeight + 1)) continue;
      if (gas + next.gasLimit > blockGasLimit || bytes + next.raw.length > blockBytesMax) {
        misfits += 1;
        if (misfits === MISFITS_MAX) break;
        continue;
      }
      gas += next.gasLimit;
      bytes += next.raw.length;
      candidates.push(next);
      cursor.accept(next);
    }
    const accountOf = await this.#accounts(candidates.map(({ sender }) => sender));
    const budget = new BlockBudget({ baseFeePerGas, blockGasLimit, blockBytesMax }, accountOf);
    return candidates.filter((candidate) => budget.tryAdd(candidate) === 'ACCEPTED');
  }

  /** The header of a block above the head with these transactions. */
  header(
    { head, lastCommit, stateRoot }: NextBlock,
    choice: { raws: readonly Uint8Array[]; proposer: Address; wallMs: number },
  ): Header {
    const parent = head.decided.block.header;
    return {
      chainId: this.#genesis.chainId,
      height: parent.height + 1,
      timestampMs: Math.max(parent.timestampMs + 1, Math.floor(choice.wallMs)),
      parentId: head.decided.blockId,
      proposer: choice.proposer,
      validatorsHash: this.#validatorsHash,
      nextValidatorsHash: this.#validatorsHash,
      consensusParametersHash: this.#parametersHash,
      transactionsRoot: transactionsRoot(choice.raws),
      lastCommitHash: commitHash(lastCommit),
      evidenceHash: evidenceHash([]),
      gasUsed: head.results.gasUsed,
      receiptsRoot: head.results.receiptsRoot,
      logsBloom: head.results.logsBloom,
      stateRoot,
      baseFeePerGas: this.baseFee(head),
      gasLimit: this.#genesis.parameters.blockGasLimit,
      extraData: new Uint8Array(0),
    };
  }

  /** Why this block must not be signed above the head; undefined for a valid one. */
  async invalidity(next: NextBlock, { block, senders }: StoredBlock): Promise<string | undefined> {
    const { header } = block;
    if (!this.#genesis.validators.some(({ address }) => bytesEqual(address, header.proposer)))
      return 'its proposer is no validator';
    const { timestampMs: wallMs, proposer } = header;
    // Its time is what it says, unless that is not above its parent's.
    const expected = this.header(next, { raws: block.transactions, proposer, wallMs });
    if (
      !bytesEqual(
        encodeHeader(expected),
        encodeHeader({ ...header, extraData: expected.extraData }),
      )
    )
      return 'its header is not what its parent, its transactions and their results give';
    const accountOf = await this.#accounts(senders);
    const found = invalidTransaction(
      {
        chainId: header.chainId,
        height: header.height,
        baseFeePerGas: header.baseFeePerGas,
        parameters: this.#genesis.parameters,
        transactions: await decodeInTurns(block.transactions, senders),
      },
      accountOf,
    );
    return found && `its transaction ${found.index} is invalid: ${found.reason}`;
  }

  /**
   * Whether a transaction still keeps the rules of its height. It kept those of the height at which it was
   * admitted, and a fork since may ask for more gas: a block with it must not be proposed, since nobody could sign it.
   */
  #standsAt({ raw }: PooledTransaction, height: Height): boolean {
    const { chainId, parameters } = this.#genesis;
    if (forkAt(parameters.forks, height) === parameters.forks[0]?.name) return true;
    const transaction = decodeTransaction(raw);
    const size = { ...gasShape(transaction), rawBytes: raw.length };
    return transactionReason(transaction, size, { chainId, height, parameters }) === undefined;
  }

  async #accounts(
    addresses: readonly Address[],
  ): Promise<(address: Address) => Account | undefined> {
    const distinct = new Map(addresses.map((address) => [toHex(address), address]));
    const accounts = await this.#flatState.accounts([...distinct.values()]);
    const known = new Map([...distinct.keys()].map((key, index) => [key, accounts[index]]));
    return (address) => known.get(toHex(address));
  }
}

/** Decodes a block in turns of the event loop, so that no heartbeat waits for a large one. */
async function decodeInTurns(raws: readonly Uint8Array[], senders: readonly Address[]) {
  const decoded: { raw: Uint8Array; sender: Address; transaction: Transaction }[] = [];
  for (const [index, raw] of raws.entries()) {
    const sender = senders[index];
    assert(sender !== undefined, 'a block comes with the sender of each transaction');
    decoded.push({ raw, sender, transaction: decodeTransaction(raw) });
    if (decoded.length % DECODED_PER_TURN === 0) await new Promise(setImmediate);
  }
  return decoded;
}
