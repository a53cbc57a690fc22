import { assert } from '../lib/assert.ts';
import { toHex, toPrefixedHex } from '../lib/bytes.ts';
import type { Address, Hash } from '../types/primitives.ts';
import type { TransactionState } from '../types/transaction_state.ts';
import { Heap } from './heap.ts';
import { effectiveTip, type PooledTransaction } from './pooled_transaction.ts';
import { SenderQueue } from './sender_queue.ts';

/** What one member's leader admits at most; these never change what the log means. */
export interface MempoolLimits {
  readonly transactionsMax: number;
  readonly transactionsPerSenderMax: number;
  /** How far a nonce may be above the account's. */
  readonly nonceGapMax: number;
}

/** How much higher, in percent, both fees of a replacement must be. Members must agree on it: it is no setting. */
export const REPLACEMENT_FEE_PERCENT = 10n;

export type MempoolRefusalCode =
  | 'NONCE_TOO_LOW'
  | 'NONCE_TOO_FAR'
  | 'INSUFFICIENT_FUNDS'
  | 'REPLACEMENT_UNDERPRICED'
  | 'MEMPOOL_FULL'
  | 'SENDER_LIMIT_REACHED';

export interface MempoolRefusal {
  readonly code: MempoolRefusalCode;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

/** A transaction's new state; the caller makes it durable. */
export interface MempoolEffect {
  readonly hash: Hash;
  readonly state: TransactionState;
}

export interface SenderAccount {
  readonly nonce: bigint;
  /** Wei. */
  readonly balance: bigint;
}

/**
 * The durable mempool in memory, alike on every member: what the log admitted and no block took. Changes
 * through `admit`, `fix`, `executed` and `expire` depend on the log alone. `precheck` and `reserve` are
 * the leader's own: they keep its limits before it proposes. Nothing is ever evicted for room.
 */
export class Mempool {
  readonly #limits: MempoolLimits;
  readonly #transactions = new Map<string, PooledTransaction>();
  readonly #senders = new Map<string, SenderQueue>();
  /** Hashes in the block being decided: their nonces are taken. */
  #fixed: ReadonlySet<string> = new Set();
  readonly #expiries = new Heap<PooledTransaction>(
    (left, right) => left.expiresAtMs < right.expiresAtMs,
  );
  #reservations = 0;
  #gasLimitTotal = 0n;

  constructor(limits: MempoolLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#transactions.size;
  }

  /** Gas limits of everything that waits. */
  get gasLimitTotal(): bigint {
    return this.#gasLimitTotal;
  }

  get(hash: Hash): PooledTransaction | undefined {
    return this.#transactions.get(toHex(hash));
  }

  /** What the sender should sign next, given the account's nonce. */
  pendingNonce(sender: Address, accountNonce: bigint): bigint {
    const queue = this.#senders.get(toHex(sender));
    if (queue === undefined || queue.size === 0) return accountNonce;
    return queue.nextFreeNonce();
  }

  /** Why the leader should not propose this transaction now, given the account after the last block. */
  precheck(
    transaction: Omit<PooledTransaction, 'sequence' | 'expiresAtMs' | 'raw'>,
    account: SenderAccount,
  ): MempoolRefusal | undefined {
    const queue = this.#senders.get(toHex(transaction.sender));
    const waiting = queue?.at(transaction.nonce);
    return (
      nonceRefusal(transaction.nonce, account.nonce, this.#limits.nonceGapMax) ??
      this.#replacementRefusal(waiting, transaction) ??
      this.#roomRefusal(queue, waiting) ??
      fundsRefusal(transaction, account, (queue?.totalCost ?? 0n) - (waiting?.worstCaseCost ?? 0n))
    );
  }

  /** Counts a transaction that is on its way through the log, until `release`. */
  reserve(transaction: Pick<PooledTransaction, 'sender' | 'nonce' | 'worstCaseCost'>): void {
    this.#queue(transaction.sender, transaction.nonce).reserve(
      transaction.nonce,
      transaction.worstCaseCost,
    );
    this.#reservations += 1;
  }

  release(transaction: Pick<PooledTransaction, 'sender' | 'nonce'>): void {
    const key = toHex(transaction.sender);
    const queue = this.#senders.get(key);
    assert(queue !== undefined && this.#reservations > 0, 'only what is reserved is released');
    queue.release(transaction.nonce);
    this.#reservations -= 1;
    if (queue.isEmpty) this.#senders.delete(key);
  }

  /** Takes in what the log admits, or says why it has become impossible. The hash must be new. */
  admit(
    transaction: PooledTransaction,
    account: SenderAccount,
  ):
    | { readonly result: 'admitted'; readonly effects: readonly MempoolEffect[] }
    | ({ readonly result: 'refused' } & MempoolRefusal) {
    assert(this.get(transaction.hash) === undefined, 'a transaction is admitted once');
    const queue = this.#queue(transaction.sender, account.nonce);
    const waiting = queue.at(transaction.nonce);
    const reason =
      nonceRefusal(transaction.nonce, account.nonce, undefined) ??
      this.#replacementRefusal(waiting, transaction);
    if (reason !== undefined) return { result: 'refused', ...reason };
    if (waiting !== undefined) this.#forget(waiting);
    this.#insert(queue, transaction, account.nonce);
    const pending: MempoolEffect = { hash: transaction.hash, state: { state: 'pending' } };
    if (waiting === undefined) return { result: 'admitted', effects: [pending] };
    const replaced: MempoolEffect = {
      hash: waiting.hash,
      state: { state: 'replaced', by: transaction.hash },
    };
    return { result: 'admitted', effects: [pending, replaced] };
  }

  /** Puts back what was admitted before a restart, in any order. */
  restore(transaction: PooledTransaction, accountNonce: bigint): void {
    this.#insert(this.#queue(transaction.sender, accountNonce), transaction, accountNonce);
  }

  /** Takes the transactions of a proposed block out of reach of replacements, until they are executed. */
  fix(hashes: readonly Hash[]): void {
    this.#fixed = new Set(hashes.map(toHex));
  }

  /**
   * A block was executed: each sender's nonce moved on. What it passed is gone from the pool: the block's
   * own transactions without a word, others of the same nonces as invalidated.
   */
  executed(senders: Iterable<{ sender: Address; accountNonce: bigint }>): MempoolEffect[] {
    const effects: MempoolEffect[] = [];
    for (const { sender, accountNonce } of senders) {
      const key = toHex(sender);
      const queue = this.#senders.get(key);
      if (queue === undefined) continue;
      for (const passed of queue.advance(accountNonce)) {
        this.#forget(passed);
        if (this.#fixed.has(toHex(passed.hash))) continue;
        effects.push({ hash: passed.hash, state: { state: 'invalidated' } });
      }
      if (queue.isEmpty) this.#senders.delete(key);
    }
    this.#fixed = new Set();
    return effects;
  }

  /** Gives up what is too old for a block of this time. */
  expire(blockTimeMs: number): MempoolEffect[] {
    const effects: MempoolEffect[] = [];
    for (;;) {
      const oldest = this.#oldest();
      if (oldest === undefined || oldest.expiresAtMs > blockTimeMs) return effects;
      this.#expiries.pop();
      this.#forget(oldest);
      const key = toHex(oldest.sender);
      const queue = this.#senders.get(key);
      queue?.remove(oldest);
      if (queue?.isEmpty) this.#senders.delete(key);
      effects.push({ hash: oldest.hash, state: { state: 'expired' } });
    }
  }

  /** When the next transaction is given up, if no block takes it. */
  oldestExpiryMs(): number | undefined {
    return this.#oldest()?.expiresAtMs;
  }

  /** Transactions for a block, best first; see `ReadyCursor`. */
  ready(baseFeePerGas: bigint): ReadyCursor {
    return new ReadyCursor(this.#senders, baseFeePerGas);
  }

  #queue(sender: Address, accountNonce: bigint): SenderQueue {
    const key = toHex(sender);
    let queue = this.#senders.get(key);
    if (queue === undefined) {
      queue = new SenderQueue(accountNonce);
      this.#senders.set(key, queue);
    }
    return queue;
  }

  #insert(queue: SenderQueue, transaction: PooledTransaction, accountNonce: bigint): void {
    queue.accountNonce = accountNonce;
    queue.put(transaction);
    this.#transactions.set(toHex(transaction.hash), transaction);
    this.#gasLimitTotal += transaction.gasLimit;
    this.#expiries.push(transaction);
    // Those that blocks took stay in the heap until their time; they must not outgrow the pool.
    if (this.#expiries.size > 2 * this.#transactions.size + 1024)
      this.#expiries.reset(this.#transactions.values());
  }

  #forget(transaction: PooledTransaction): void {
    this.#transactions.delete(toHex(transaction.hash));
    this.#gasLimitTotal -= transaction.gasLimit;
  }

  #oldest(): PooledTransaction | undefined {
    for (;;) {
      const oldest = this.#expiries.peek();
      if (oldest === undefined || this.get(oldest.hash) === oldest) return oldest;
      this.#expiries.pop();
    }
  }

  #replacementRefusal(
    waiting: PooledTransaction | undefined,
    transaction: Pick<PooledTransaction, 'maxFeePerGas' | 'maxPriorityFeePerGas' | 'nonce'>,
  ): MempoolRefusal | undefined {
    if (waiting === undefined) return undefined;
    if (this.#fixed.has(toHex(waiting.hash)))
      return {
        code: 'NONCE_TOO_LOW',
        message: `nonce ${transaction.nonce} is taken by ${toPrefixedHex(waiting.hash)} in the block being decided; use the next`,
        fields: { nonce: String(transaction.nonce), expectedNonce: String(waiting.nonce + 1n) },
      };
    const fee = raised(waiting.maxFeePerGas);
    const tip = raised(waiting.maxPriorityFeePerGas);
    if (transaction.maxFeePerGas >= fee && transaction.maxPriorityFeePerGas >= tip)
      return undefined;
    return {
      code: 'REPLACEMENT_UNDERPRICED',
      message: `nonce ${transaction.nonce} waits already; to replace it raise the fee cap to ${fee} and the priority fee to ${tip} at least`,
      fields: { minimumFeePerGas: String(fee), minimumPriorityFeePerGas: String(tip) },
    };
  }

  #roomRefusal(
    queue: SenderQueue | undefined,
    waiting: PooledTransaction | undefined,
  ): MempoolRefusal | undefined {
    if (waiting !== undefined) return undefined;
    const { transactionsMax, transactionsPerSenderMax } = this.#limits;
    if (this.#transactions.size + this.#reservations >= transactionsMax)
      return {
        code: 'MEMPOOL_FULL',
        message: `${transactionsMax} transactions wait already; submit again later`,
        fields: { transactionsMax },
      };
    if (queue !== undefined && queue.size + queue.reserved.size >= transactionsPerSenderMax)
      return {
        code: 'SENDER_LIMIT_REACHED',
        message: `${transactionsPerSenderMax} transactions of this sender wait already; submit again later`,
        fields: { transactionsPerSenderMax },
      };
    return undefined;
  }
}

/**
 * Walks over the transactions that a block may take: each sender's in nonce order from the account's
 * nonce, across senders by tip, equal tips by arrival. Valid until the pool changes.
 */
export class ReadyCursor {
  readonly #senders: ReadonlyMap<string, SenderQueue>;
  readonly #baseFeePerGas: bigint;
  readonly #heads: Heap<Candidate>;

  constructor(senders: ReadonlyMap<string, SenderQueue>, baseFeePerGas: bigint) {
    this.#senders = senders;
    this.#baseFeePerGas = baseFeePerGas;
    this.#heads = new Heap((left, right) =>
      left.tip === right.tip
        ? left.transaction.sequence < right.transaction.sequence
        : left.tip > right.tip,
    );
    for (const queue of senders.values()) this.#offer(queue.head());
  }

  /** The best that is left; its sender's next one only follows when `accept` is called for it. */
  next(): PooledTransaction | undefined {
    return this.#heads.pop()?.transaction;
  }

  /** The block takes this transaction, so that its sender's next may follow. */
  accept({ sender, nonce }: PooledTransaction): void {
    this.#offer(this.#senders.get(toHex(sender))?.at(nonce + 1n));
  }

  #offer(transaction: PooledTransaction | undefined): void {
    if (transaction === undefined || transaction.maxFeePerGas < this.#baseFeePerGas) return;
    this.#heads.push({ transaction, tip: effectiveTip(transaction, this.#baseFeePerGas) });
  }
}

interface Candidate {
  readonly transaction: PooledTransaction;
  readonly tip: bigint;
}

function raised(fee: bigint): bigint {
  return (fee * (100n + REPLACEMENT_FEE_PERCENT) + 99n) / 100n;
}

function nonceRefusal(
  nonce: bigint,
  accountNonce: bigint,
  gapMax: number | undefined,
): MempoolRefusal | undefined {
  const fields = { nonce: String(nonce), expectedNonce: String(accountNonce) };
  if (nonce < accountNonce)
    return {
      code: 'NONCE_TOO_LOW',
      message: `nonce ${nonce} was used already; the account's next is ${accountNonce}`,
      fields,
    };
  if (gapMax !== undefined && nonce > accountNonce + BigInt(gapMax))
    return {
      code: 'NONCE_TOO_FAR',
      message: `nonce ${nonce} is too far above the account's next, ${accountNonce}; submit those between first`,
      fields,
    };
  return undefined;
}

function fundsRefusal(
  transaction: Pick<PooledTransaction, 'worstCaseCost'>,
  account: SenderAccount,
  waitingCost: bigint,
): MempoolRefusal | undefined {
  const needed = transaction.worstCaseCost + waitingCost;
  if (needed <= account.balance) return undefined;
  return {
    code: 'INSUFFICIENT_FUNDS',
    message: `the sender owns ${account.balance} wei; this transaction and those of its that wait may cost ${needed}`,
    fields: { balance: String(account.balance), needed: String(needed) },
  };
}
