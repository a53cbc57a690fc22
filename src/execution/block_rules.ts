import { bytesEqual } from '../lib/bytes.ts';
import type { Account } from '../types/outcome.ts';
import { type Address, EMPTY_CODE_HASH, type Height } from '../types/primitives.ts';
import type { Transaction } from '../types/transaction.ts';
import type { ConsensusParameters } from '../types/validator.ts';
import {
  forkAt,
  type GasShape,
  gasShape,
  INIT_CODE_BYTES_MAX,
  minimumGasLimitFor,
  worstCaseCost,
} from './fees.ts';
import { byteString } from './flat_state.ts';

/** Why a transaction cannot stand in a block, whatever else stands there. */
export type TransactionReason =
  | 'WRONG_CHAIN_ID'
  | 'TRANSACTION_TOO_LARGE'
  | 'INIT_CODE_TOO_LARGE'
  | 'GAS_LIMIT_TOO_LOW'
  | 'PRIORITY_FEE_ABOVE_CAP'
  /** EIP-2681: the nonce could not be raised. */
  | 'NONCE_TOO_HIGH';

/** Why a transaction cannot stand in this block after those already in it. */
export type BudgetReason =
  | 'FEE_CAP_BELOW_BASE_FEE'
  | 'BLOCK_GAS_EXCEEDED'
  | 'BLOCK_BYTES_EXCEEDED'
  | 'NONCE_TOO_LOW'
  | 'NONCE_GAP'
  | 'INSUFFICIENT_FUNDS'
  /** EIP-3607: contracts do not sign. */
  | 'SENDER_HAS_CODE';

export type BlockReason = TransactionReason | BudgetReason;

/** What a transaction takes from the block and from its sender. */
export interface BudgetTransaction {
  readonly sender: Address;
  readonly nonce: bigint;
  readonly gasLimit: bigint;
  readonly maxFeePerGas: bigint;
  /** See fees.ts, in wei. */
  readonly worstCaseCost: bigint;
  readonly raw: Uint8Array;
}

export interface BudgetLimits {
  readonly baseFeePerGas: bigint;
  readonly blockGasLimit: bigint;
  readonly blockBytesMax: number;
}

interface SenderBudget {
  nextNonce: bigint;
  /** Wei that no transaction of the block has claimed yet. */
  balance: bigint;
  readonly hasCode: boolean;
}

/**
 * The static validity of a block, one transaction after the other: nobody but a sender can lower its
 * balance, so that what every sender can pay in the worst case, it can pay in any case.
 */
export class BlockBudget {
  readonly #limits: BudgetLimits;
  readonly #accountOf: (address: Address) => Account | undefined;
  readonly #senders = new Map<string, SenderBudget>();
  #gasLeft: bigint;
  #bytesLeft: number;

  /** @param accountOf the state of the height below the block; undefined for no account */
  constructor(limits: BudgetLimits, accountOf: (address: Address) => Account | undefined) {
    this.#limits = limits;
    this.#accountOf = accountOf;
    this.#gasLeft = limits.blockGasLimit;
    this.#bytesLeft = limits.blockBytesMax;
  }

  /** Gas that the transactions added so far leave to others. */
  get gasLeft(): bigint {
    return this.#gasLeft;
  }

  /** Adds the transaction at the end, or says why it cannot stand there and changes nothing. */
  tryAdd(transaction: BudgetTransaction): 'ACCEPTED' | BudgetReason {
    const { nonce, gasLimit, raw } = transaction;
    if (transaction.maxFeePerGas < this.#limits.baseFeePerGas) return 'FEE_CAP_BELOW_BASE_FEE';
    if (gasLimit > this.#gasLeft) return 'BLOCK_GAS_EXCEEDED';
    if (raw.length > this.#bytesLeft) return 'BLOCK_BYTES_EXCEEDED';
    const sender = this.#senderBudget(transaction.sender);
    if (sender.hasCode) return 'SENDER_HAS_CODE';
    if (nonce < sender.nextNonce) return 'NONCE_TOO_LOW';
    if (nonce > sender.nextNonce) return 'NONCE_GAP';
    if (transaction.worstCaseCost > sender.balance) return 'INSUFFICIENT_FUNDS';
    sender.nextNonce += 1n;
    sender.balance -= transaction.worstCaseCost;
    this.#gasLeft -= gasLimit;
    this.#bytesLeft -= raw.length;
    return 'ACCEPTED';
  }

  #senderBudget(address: Address): SenderBudget {
    const key = byteString(address);
    let budget = this.#senders.get(key);
    if (budget === undefined) {
      const account = this.#accountOf(address);
      budget = {
        nextNonce: account?.nonce ?? 0n,
        balance: account?.balance ?? 0n,
        hasCode: account !== undefined && !bytesEqual(account.codeHash, EMPTY_CODE_HASH),
      };
      this.#senders.set(key, budget);
    }
    return budget;
  }
}

/** What one transaction must satisfy by itself at a height. */
export function transactionReason(
  transaction: Pick<
    Transaction,
    'chainId' | 'nonce' | 'gasLimit' | 'maxFeePerGas' | 'maxPriorityFeePerGas'
  >,
  size: GasShape & { readonly rawBytes: number },
  chain: { chainId: bigint; height: Height; parameters: ConsensusParameters },
): TransactionReason | undefined {
  const { parameters } = chain;
  if (transaction.chainId !== chain.chainId) return 'WRONG_CHAIN_ID';
  if (size.rawBytes > parameters.transactionBytesMax) return 'TRANSACTION_TOO_LARGE';
  if (size.creates && size.dataBytes > INIT_CODE_BYTES_MAX) return 'INIT_CODE_TOO_LARGE';
  if (transaction.maxPriorityFeePerGas > transaction.maxFeePerGas) return 'PRIORITY_FEE_ABOVE_CAP';
  if (transaction.nonce >= NONCE_MAX) return 'NONCE_TOO_HIGH';
  const minimum = minimumGasLimitFor(size, forkAt(parameters.forks, chain.height));
  return transaction.gasLimit < minimum ? 'GAS_LIMIT_TOO_LOW' : undefined;
}

const NONCE_MAX = (1n << 64n) - 1n;

/**
 * The first transaction that makes a block invalid, by index, or undefined for a valid block.
 * Types and signatures are already proven: without them there is no transaction and no sender.
 */
export function invalidTransaction(
  block: {
    readonly chainId: bigint;
    readonly height: Height;
    readonly baseFeePerGas: bigint;
    readonly parameters: ConsensusParameters;
    readonly transactions: readonly {
      readonly raw: Uint8Array;
      readonly sender: Address;
      readonly transaction: Transaction;
    }[];
  },
  accountOf: (address: Address) => Account | undefined,
): { readonly index: number; readonly reason: BlockReason } | undefined {
  const { baseFeePerGas, parameters } = block;
  const { blockGasLimit, blockBytesMax } = parameters;
  const budget = new BlockBudget({ baseFeePerGas, blockGasLimit, blockBytesMax }, accountOf);
  for (const [index, { raw, sender, transaction }] of block.transactions.entries()) {
    const size = { ...gasShape(transaction), rawBytes: raw.length };
    const reason = transactionReason(transaction, size, block);
    if (reason !== undefined) return { index, reason };
    const { nonce, gasLimit, maxFeePerGas } = transaction;
    const cost = worstCaseCost(transaction);
    const added = { sender, nonce, gasLimit, maxFeePerGas, worstCaseCost: cost, raw };
    const verdict = budget.tryAdd(added);
    if (verdict !== 'ACCEPTED') return { index, reason: verdict };
  }
  return undefined;
}
