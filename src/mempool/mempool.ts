import { assert } from '../lib/assert.ts';
import { toHex } from '../lib/bytes.ts';
import type { Address, Hash } from '../types/primitives.ts';
import type { TransactionState } from '../types/transaction_state.ts';
import { Heap } from './heap.ts';
import type { PooledTransaction } from './pooled_transaction.ts';
import { headBefore, ReadyCursor } from './ready_cursor.ts';
import {
  insufficientFunds,
  type MempoolRefusal,
  mempoolFull,
  nonceTaken,
  nonceTooFar,
  nonceTooLow,
  replacementUnderpriced,
  senderLimitReached,
} from './refusal.ts';
import { Reservations } from './reservations.ts';
import { SenderQueue } from './sender_queue.ts';

/** What one member's leader admits at most; these never change what the log means. */
export interface MempoolLimits {
  readonly transactionsMax: number;
  readonly transactionsPerSenderMax: number;
  /** How far a nonce may be above the first that the sender has neither used nor waiting. */
  readonly nonceGapMax: number;
}

/** How much higher, in percent, both fees of a replacement must be. Members must agree on it: it is no setting. */
const REPLACEMENT_FEE_PERCENT = 10n;

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
  /** Senders with at least one transaction. */
  readonly #senders = new Map<string, SenderQueue>();
  /** Of the senders those whose next transaction can run. */
  readonly #heads = new Heap<SenderQueue>(headBefore, (queue, index) => {
    queue.headIndex = index;
  });
  readonly #reservations = new Reservations();
  /**
   * What the last block left as the nonces of senders that waited here. Who asks may still hold an account from
   * before that block, and must not be told to use a nonce again.
   */
  #noncesAfterBlock: ReadonlyMap<string, bigint> = new Map();
  /** Hashes in the block being decided: their nonces are taken. */
  #fixed: ReadonlySet<string> = new Set();
  readonly #expiries = new Heap<PooledTransaction>(expiresBefore);
  #gasLimitTotal = 0n;
  /** Counts changes, for cursors. */
  #version = 0;

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
    const key = toHex(sender);
    return this.#senders.get(key)?.pendingNonce ?? this.#newestNonce(key, accountNonce);
  }

  /** Why the leader should not propose this transaction now, given the account after the last block. */
  precheck(
    transaction: Omit<PooledTransaction, 'sequence' | 'expiresAtMs' | 'raw'>,
    account: SenderAccount,
  ): MempoolRefusal | undefined {
    const { nonce } = transaction;
    const key = toHex(transaction.sender);
    const queue = this.#senders.get(key);
    const waiting = queue?.at(nonce);
    const accountNonce = this.#newestNonce(key, account.nonce);
    if (nonce < accountNonce) return nonceTooLow(nonce, accountNonce);
    const reason =
      this.#gapRefusal(nonce, key, accountNonce) ??
      this.#replacementRefusal(waiting, transaction) ??
      this.#roomRefusal(queue, key, waiting);
    if (reason !== undefined) return reason;
    const needed =
      costWith(queue, transaction, waiting) + this.#reservations.costWithout(key, nonce);
    return needed <= account.balance ? undefined : insufficientFunds(account.balance, needed);
  }

  /** Counts a transaction that is on its way through the log, until `release`. */
  reserve(transaction: Pick<PooledTransaction, 'sender' | 'nonce' | 'worstCaseCost'>): void {
    const { nonce, worstCaseCost } = transaction;
    this.#reservations.add(toHex(transaction.sender), { nonce, cost: worstCaseCost });
  }

  release({ sender, nonce }: Pick<PooledTransaction, 'sender' | 'nonce'>): void {
    this.#reservations.delete(toHex(sender), nonce);
  }

  /**
   * Takes in what the log admits, or says why it has become impossible. The hash must be new. Since nobody but the
   * sender can lower its balance, all that waits can always be paid: no sender holds the room of a block with
   * what no block can take.
   */
  admit(
    transaction: PooledTransaction,
    account: SenderAccount,
  ):
    | { readonly result: 'admitted'; readonly effects: readonly MempoolEffect[] }
    | ({ readonly result: 'refused' } & MempoolRefusal) {
    assert(this.get(transaction.hash) === undefined, 'a transaction is admitted once');
    const queue = this.#senders.get(toHex(transaction.sender));
    const waiting = queue?.at(transaction.nonce);
    const needed = costWith(queue, transaction, waiting);
    const reason =
      transaction.nonce < account.nonce
        ? nonceTooLow(transaction.nonce, account.nonce)
        : (this.#replacementRefusal(waiting, transaction) ??
          (needed > account.balance ? insufficientFunds(account.balance, needed) : undefined));
    if (reason !== undefined) return { result: 'refused', ...reason };
    const effects: MempoolEffect[] = [{ hash: transaction.hash, state: { state: 'pending' } }];
    if (waiting !== undefined) {
      this.#forget(waiting);
      effects.push({ hash: waiting.hash, state: { state: 'replaced', by: transaction.hash } });
    }
    this.#insert(transaction, account.nonce);
    this.#reservations.admitted(toHex(transaction.sender), transaction.nonce);
    return { result: 'admitted', effects };
  }

  /** Puts back what was admitted before a restart, in any order. */
  restore(transaction: PooledTransaction, accountNonce: bigint): void {
    assert(this.get(transaction.hash) === undefined, 'a transaction is restored once');
    this.#insert(transaction, accountNonce);
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
    const nonces = new Map<string, bigint>();
    for (const { sender, accountNonce } of senders) {
      const queue = this.#senders.get(toHex(sender));
      if (queue === undefined) continue;
      nonces.set(queue.key, accountNonce);
      for (const passed of queue.advance(accountNonce)) {
        this.#forget(passed);
        if (this.#fixed.has(toHex(passed.hash))) continue;
        effects.push({ hash: passed.hash, state: { state: 'invalidated' } });
      }
      this.#settle(queue);
    }
    this.#fixed = new Set();
    this.#noncesAfterBlock = nonces;
    return effects;
  }

  /** Gives up what is too old for a block of this time, the oldest first. To be called after `executed`. */
  expire(blockTimeMs: number): MempoolEffect[] {
    assert(this.#fixed.size === 0, 'nothing expires out of a block that is being decided');
    const effects: MempoolEffect[] = [];
    for (;;) {
      const oldest = this.#oldest();
      if (oldest === undefined || oldest.expiresAtMs > blockTimeMs) return effects;
      const queue = this.#senders.get(toHex(oldest.sender));
      assert(queue !== undefined, 'what waits has a queue');
      this.#expiries.pop();
      this.#forget(oldest);
      queue.remove(oldest);
      this.#settle(queue);
      effects.push({ hash: oldest.hash, state: { state: 'expired' } });
    }
  }

  /** When the next transaction is given up, if no block takes it. */
  oldestExpiryMs(): number | undefined {
    return this.#oldest()?.expiresAtMs;
  }

  /** Transactions for a block, best first; see `ReadyCursor`. Balances are the caller's to check. */
  ready(baseFeePerGas: bigint): ReadyCursor {
    const version = this.#version;
    return new ReadyCursor(baseFeePerGas, {
      heads: this.#heads,
      queueOf: ({ sender }) => this.#senders.get(toHex(sender)),
      isCurrent: () => version === this.#version,
    });
  }

  #newestNonce(key: string, accountNonce: bigint): bigint {
    const nonce = this.#noncesAfterBlock.get(key);
    return nonce !== undefined && nonce > accountNonce ? nonce : accountNonce;
  }

  #insert(transaction: PooledTransaction, accountNonce: bigint): void {
    const key = toHex(transaction.sender);
    let queue = this.#senders.get(key);
    if (queue === undefined) {
      queue = new SenderQueue(key, accountNonce);
      this.#senders.set(key, queue);
    }
    assert(queue.advance(accountNonce).length === 0, 'blocks take what they pass through executed');
    queue.put(transaction);
    this.#transactions.set(toHex(transaction.hash), transaction);
    this.#gasLimitTotal += transaction.gasLimit;
    this.#expiries.push(transaction);
    // Those that blocks took stay in the heap until their time; they must not outgrow the pool.
    if (this.#expiries.size > 2 * this.#transactions.size + 1024)
      this.#expiries.reset(this.#transactions.values());
    this.#settle(queue);
  }

  /** Drops what left its queue. */
  #forget(transaction: PooledTransaction): void {
    this.#transactions.delete(toHex(transaction.hash));
    this.#gasLimitTotal -= transaction.gasLimit;
  }

  /** Puts a changed queue where its head belongs, and drops an empty one. */
  #settle(queue: SenderQueue): void {
    this.#version += 1;
    const isListed = queue.headIndex !== -1;
    if (queue.size === 0) this.#senders.delete(queue.key);
    if (queue.head === undefined) {
      if (isListed) this.#heads.removeAt(queue.headIndex);
      queue.headIndex = -1;
    } else if (isListed) {
      this.#heads.fix(queue.headIndex);
    } else {
      this.#heads.push(queue);
    }
  }

  #oldest(): PooledTransaction | undefined {
    for (;;) {
      const oldest = this.#expiries.peek();
      if (oldest === undefined || this.get(oldest.hash) === oldest) return oldest;
      this.#expiries.pop();
    }
  }

  #gapRefusal(nonce: bigint, key: string, accountNonce: bigint): MempoolRefusal | undefined {
    const gapMax = BigInt(this.#limits.nonceGapMax);
    const pendingNonce = this.#senders.get(key)?.pendingNonce ?? accountNonce;
    const base = pendingNonce > accountNonce ? pendingNonce : accountNonce;
    if (nonce <= base + gapMax) return undefined;
    const expectedNonce = this.#reservations.firstFreeNonce(key, base);
    if (nonce <= expectedNonce + gapMax) return undefined;
    return nonceTooFar(nonce, { expectedNonce, nonceGapMax: this.#limits.nonceGapMax });
  }

  #replacementRefusal(
    waiting: PooledTransaction | undefined,
    transaction: Pick<PooledTransaction, 'maxFeePerGas' | 'maxPriorityFeePerGas' | 'nonce'>,
  ): MempoolRefusal | undefined {
    if (waiting === undefined) return undefined;
    if (this.#fixed.has(toHex(waiting.hash))) return nonceTaken(waiting);
    const fee = raised(waiting.maxFeePerGas);
    const tip = raised(waiting.maxPriorityFeePerGas);
    if (transaction.maxFeePerGas >= fee && transaction.maxPriorityFeePerGas >= tip)
      return undefined;
    return replacementUnderpriced(transaction.nonce, { fee, tip });
  }

  #roomRefusal(
    queue: SenderQueue | undefined,
    key: string,
    waiting: PooledTransaction | undefined,
  ): MempoolRefusal | undefined {
    if (waiting !== undefined) return undefined;
    const { transactionsMax, transactionsPerSenderMax } = this.#limits;
    if (this.#transactions.size + this.#reservations.size >= transactionsMax)
      return mempoolFull(transactionsMax);
    if ((queue?.size ?? 0) + this.#reservations.count(key) >= transactionsPerSenderMax)
      return senderLimitReached(transactionsPerSenderMax);
    return undefined;
  }
}

/** Wei: the worst case of all that waits in a queue once this transaction is in the place of another. */
function costWith(
  queue: SenderQueue | undefined,
  { worstCaseCost }: Pick<PooledTransaction, 'worstCaseCost'>,
  replaced: PooledTransaction | undefined,
): bigint {
  return worstCaseCost + (queue?.costTotal ?? 0n) - (replaced?.worstCaseCost ?? 0n);
}

function expiresBefore(left: PooledTransaction, right: PooledTransaction): boolean {
  return left.expiresAtMs === right.expiresAtMs
    ? left.sequence < right.sequence
    : left.expiresAtMs < right.expiresAtMs;
}

function raised(fee: bigint): bigint {
  return (fee * (100n + REPLACEMENT_FEE_PERCENT) + 99n) / 100n;
}
