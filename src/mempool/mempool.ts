import { assert } from '../lib/assert.ts';
import { toHex } from '../lib/bytes.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import { Expiries } from './expiries.ts';
import { Heap } from './heap.ts';
import type {
  MempoolEffect,
  PooledTransaction,
  SenderAccount,
  TransactionCandidate,
} from './pooled_transaction.ts';
import { readyTransactions } from './ready.ts';
import {
  insufficientFunds,
  nonceTooHigh,
  nonceTooLow,
  poolFull,
  type Refusal,
  senderFull,
  underpricedReplacement,
} from './refusal.ts';
import { Reservations } from './reservations.ts';
import { SenderQueue } from './sender_queue.ts';

export type {
  MempoolEffect,
  PooledTransaction,
  SenderAccount,
  TransactionCandidate,
} from './pooled_transaction.ts';
export type { Refusal, RefusalCode } from './refusal.ts';

/** Equal on all members: admission must give the same everywhere. */
export interface MempoolLimits {
  readonly transactionsMax: number;
  readonly transactionsPerSenderMax: number;
  /** How far a nonce may be ahead of the sender's next one. */
  readonly nonceGapMax: number;
  /** How much more, in whole per cent, both fees of a replacement must be. */
  readonly replacementFeePercentMin: number;
}

export type PrecheckResult =
  | { readonly result: 'accepted' }
  /** The very transaction is in the mempool. */
  | { readonly result: 'known' }
  /** The very transaction is on its way through the log. */
  | { readonly result: 'reserved' }
  | Refusal;

export type AdmitResult =
  | { readonly result: 'admitted'; readonly effects: readonly MempoolEffect[] }
  | { readonly result: 'known'; readonly effects: readonly MempoolEffect[] }
  | Refusal;

/** A transaction of a block, as far as the mempool must know it. */
export type BlockTransaction = Pick<TransactionCandidate, 'hash' | 'sender' | 'nonce'>;

/**
 * What the log has admitted and no block has executed: the index in memory of the durable mempool, the same on
 * every member. Pure: changes come from log entries only, in their order, and each is answered with the effects
 * to persist. A transaction ends in exactly one final state and is never put out to make room.
 *
 * `precheck`, `reserve` and `release` are the leader's own, before it proposes; `admit` never looks at them.
 */
export class Mempool {
  readonly #limits: MempoolLimits;
  readonly #byHash = new Map<string, PooledTransaction>();
  readonly #bySender = new Map<string, SenderQueue>();
  readonly #expiries = new Expiries();
  readonly #reservations = new Reservations();
  /** Senders that have a transaction for the next block, the best tip first. */
  readonly #heads = new Heap<SenderQueue>(headBefore, (queue, index) => {
    queue.heapIndex = index;
  });
  /** Counts changes, so that an iteration notices that it speaks for the past. */
  #version = 0;

  constructor(limits: MempoolLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byHash.size;
  }

  has(hash: Hash): boolean {
    return this.#byHash.has(toHex(hash));
  }

  get(hash: Hash): PooledTransaction | undefined {
    return this.#byHash.get(toHex(hash));
  }

  /** The nonce after the sender's consecutive transactions; undefined when the mempool knows nothing of the sender. */
  pendingNonce(sender: Address): bigint | undefined {
    return this.#bySender.get(toHex(sender))?.pendingNonce;
  }

  /** When the next transaction expires, in wall milliseconds; undefined when there is none. */
  oldestExpiryMs(): number | undefined {
    return this.#expiries.oldestMs();
  }

  /**
   * Whether the log will admit this transaction if it comes after all that is reserved: what the leader asks
   * before it proposes.
   */
  precheck(candidate: TransactionCandidate, account: SenderAccount): PrecheckResult {
    const hashKey = toHex(candidate.hash);
    if (this.#byHash.has(hashKey)) return { result: 'known' };
    if (this.#reservations.has(hashKey)) return { result: 'reserved' };
    const senderKey = toHex(candidate.sender);
    const queue = this.#bySender.get(senderKey);
    const pendingNonce =
      queue === undefined ? account.nonce : larger(queue.pendingNonce, account.nonce);
    const refused = this.#refusal(candidate, account, {
      blockNonce: queue?.blockNonce ?? account.nonce,
      pendingNonce: this.#reservations.firstFreeNonce(senderKey, pendingNonce),
      present:
        this.#reservations.withNonce(senderKey, candidate.nonce) ??
        queue?.withNonce(candidate.nonce),
      costBefore:
        (queue?.costBefore(candidate.nonce) ?? 0n) +
        this.#reservations.costBefore(senderKey, candidate.nonce),
      poolCount: this.#byHash.size + this.#reservations.size,
      senderCount: (queue?.size ?? 0) + this.#reservations.count(senderKey),
    });
    return refused ?? { result: 'accepted' };
  }

  /** Counts an accepted transaction against the limits until it is released. */
  reserve(candidate: TransactionCandidate): void {
    this.#reservations.add(candidate);
  }

  /** The log has answered, or never will. Unknown hashes are ignored. */
  release(hash: Hash): void {
    this.#reservations.delete(toHex(hash));
  }

  /** Applies the admission of one transaction by the log. `account` is the sender after the last executed height. */
  admit(transaction: PooledTransaction, account: SenderAccount): AdmitResult {
    if (this.has(transaction.hash)) return { result: 'known', effects: [] };
    const senderKey = toHex(transaction.sender);
    const queue = this.#bySender.get(senderKey) ?? new SenderQueue(senderKey, account.nonce);
    const present = queue.withNonce(transaction.nonce);
    const refused = this.#refusal(transaction, account, {
      blockNonce: larger(queue.blockNonce, account.nonce),
      pendingNonce: larger(queue.pendingNonce, account.nonce),
      present,
      costBefore: queue.costBefore(transaction.nonce),
      poolCount: this.#byHash.size,
      senderCount: queue.size,
    });
    if (refused !== undefined) return refused;
    const effects: MempoolEffect[] = [{ hash: transaction.hash, state: { state: 'pending' } }];
    if (present !== undefined) {
      this.#forget(present);
      effects.push({ hash: present.hash, state: { state: 'replaced', by: transaction.hash } });
    }
    this.#put(transaction, queue);
    return { result: 'admitted', effects };
  }

  /** Puts back what was admitted before a restart or a snapshot, in any order. `accountNonce` as for `admit`. */
  restore(transaction: PooledTransaction, accountNonce: bigint): void {
    assert(!this.has(transaction.hash), 'a transaction is restored once');
    const senderKey = toHex(transaction.sender);
    const queue = this.#bySender.get(senderKey) ?? new SenderQueue(senderKey, accountNonce);
    assert(transaction.nonce >= accountNonce, 'a restored transaction is not executed');
    assert(
      queue.withNonce(transaction.nonce) === undefined,
      'a restored nonce has one transaction',
    );
    this.#put(transaction, queue);
  }

  /**
   * A block that will be decided holds these transactions: until they are executed they neither expire nor are
   * replaced, and `ready` starts after them. Said again after a restart.
   */
  proposed(transactions: readonly BlockTransaction[]): void {
    for (const { sender, nonce } of transactions) {
      const senderKey = toHex(sender);
      let queue = this.#bySender.get(senderKey);
      if (queue === undefined) {
        queue = new SenderQueue(senderKey, nonce);
        this.#bySender.set(senderKey, queue);
      }
      queue.advanceBlock(nonce + 1n);
      this.#settle(queue);
    }
  }

  /**
   * One transaction of an applied block, in block order, whether or not it was admitted here. Others of its
   * sender that can no longer be executed are invalidated.
   */
  included(
    transaction: BlockTransaction,
    place: { readonly height: Height; readonly index: number },
  ): MempoolEffect[] {
    const effects: MempoolEffect[] = [
      { hash: transaction.hash, state: { state: 'included', ...place } },
    ];
    const queue = this.#bySender.get(toHex(transaction.sender));
    if (queue === undefined) return effects;
    const includedKey = toHex(transaction.hash);
    for (const used of queue.setAccountNonce(transaction.nonce + 1n)) {
      this.#forget(used);
      if (toHex(used.hash) !== includedKey)
        effects.push({ hash: used.hash, state: { state: 'invalidated' } });
    }
    this.#settle(queue);
    return effects;
  }

  /** Gives up what no block took in time, in a fixed order. `nowMs` is wall time from the log. */
  expire(nowMs: number): MempoolEffect[] {
    const oldestMs = this.oldestExpiryMs();
    if (oldestMs === undefined || oldestMs > nowMs) return [];
    const effects: MempoolEffect[] = [];
    for (const transaction of this.#expiries.due(nowMs)) {
      const queue = this.#queueOf(transaction);
      if (transaction.nonce < queue.blockNonce) continue;
      queue.remove(transaction);
      this.#forget(transaction);
      this.#settle(queue);
      effects.push({ hash: transaction.hash, state: { state: 'expired' } });
    }
    return effects;
  }

  /**
   * What a block may take, best first: by effective tip at this base fee, then by arrival; each sender in nonce order
   * without gaps. Lazy: the cost is that of what is taken. Must be consumed before the next change. Balances
   * at the time of the block are the caller's to check.
   */
  *ready(baseFee: bigint): Generator<PooledTransaction, void, undefined> {
    const version = this.#version;
    for (const transaction of readyTransactions(this.#heads, baseFee)) {
      yield transaction;
      assert(version === this.#version, 'the mempool does not change while a block is assembled');
    }
  }

  #refusal(
    candidate: TransactionCandidate,
    account: SenderAccount,
    facts: AdmissionFacts,
  ): Refusal | undefined {
    const limits = this.#limits;
    if (candidate.nonce < facts.blockNonce) return nonceTooLow(candidate, facts.pendingNonce);
    if (facts.present !== undefined) {
      const required = replacementFees(facts.present, limits.replacementFeePercentMin);
      if (
        candidate.maxFeePerGas < required.maxFeePerGas ||
        candidate.maxPriorityFeePerGas < required.maxPriorityFeePerGas
      )
        return underpricedReplacement(candidate, required);
    } else {
      if (facts.poolCount >= limits.transactionsMax) return poolFull(limits.transactionsMax);
      if (facts.senderCount >= limits.transactionsPerSenderMax)
        return senderFull(candidate, limits.transactionsPerSenderMax);
      if (candidate.nonce > facts.pendingNonce + BigInt(limits.nonceGapMax))
        return nonceTooHigh(candidate, {
          expectedNonce: facts.pendingNonce,
          nonceGapMax: limits.nonceGapMax,
        });
    }
    if (facts.costBefore + candidate.worstCaseCost > account.balance)
      return insufficientFunds(candidate, { account, costBefore: facts.costBefore });
    return undefined;
  }

  #put(transaction: PooledTransaction, queue: SenderQueue): void {
    queue.put(transaction);
    this.#bySender.set(queue.key, queue);
    this.#byHash.set(toHex(transaction.hash), transaction);
    this.#expiries.add(transaction);
    this.#settle(queue);
  }

  /** Takes a transaction that left its queue out of the other indexes. */
  #forget(transaction: PooledTransaction): void {
    this.#byHash.delete(toHex(transaction.hash));
    this.#expiries.delete(transaction);
  }

  #queueOf(transaction: PooledTransaction): SenderQueue {
    const queue = this.#bySender.get(toHex(transaction.sender));
    assert(queue !== undefined, 'a pooled transaction has a queue');
    return queue;
  }

  /** Puts the queue where its head belongs after a change, and drops it when it holds nothing. */
  #settle(queue: SenderQueue): void {
    this.#version += 1;
    const isListed = queue.heapIndex !== -1;
    if (queue.head === undefined) {
      if (isListed) this.#heads.removeAt(queue.heapIndex);
      queue.heapIndex = -1;
      if (queue.isIdle) this.#bySender.delete(queue.key);
    } else if (isListed) {
      this.#heads.fix(queue.heapIndex);
    } else {
      this.#heads.push(queue);
    }
  }
}

/** What decides about admission beside the limits: with reservations for the leader, without for the log. */
interface AdmissionFacts {
  readonly blockNonce: bigint;
  readonly pendingNonce: bigint;
  /** The one with the same nonce. */
  readonly present: TransactionCandidate | undefined;
  readonly costBefore: bigint;
  readonly poolCount: number;
  readonly senderCount: number;
}

/** Both fees must rise, and by the percentage. */
function replacementFees(
  present: TransactionCandidate,
  percentMin: number,
): { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint } {
  const raised = (fee: bigint): bigint =>
    larger((fee * BigInt(100 + percentMin) + 99n) / 100n, fee + 1n);
  return {
    maxFeePerGas: raised(present.maxFeePerGas),
    maxPriorityFeePerGas: raised(present.maxPriorityFeePerGas),
  };
}

function larger(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}

function headBefore(left: SenderQueue, right: SenderQueue): boolean {
  const leftHead = left.head;
  const rightHead = right.head;
  assert(leftHead !== undefined && rightHead !== undefined, 'a listed sender has a head');
  if (leftHead.maxPriorityFeePerGas !== rightHead.maxPriorityFeePerGas)
    return leftHead.maxPriorityFeePerGas > rightHead.maxPriorityFeePerGas;
  return leftHead.sequence < rightHead.sequence;
}
