import { assert } from '../lib/assert.ts';
import { Heap } from './heap.ts';
import { effectiveTip, type PooledTransaction } from './pooled_transaction.ts';
import type { SenderQueue } from './sender_queue.ts';

/** The order of the heads: by the most that their tip can be, then by arrival. */
export function headBefore(left: SenderQueue, right: SenderQueue): boolean {
  const { head: leftHead } = left;
  const { head: rightHead } = right;
  assert(leftHead !== undefined && rightHead !== undefined, 'a sender among the heads has one');
  return capBefore(leftHead, rightHead);
}

/**
 * Walks over the transactions that a block may take: each sender's in nonce order from the account's nonce, across
 * senders by effective tip, equal tips by arrival. Valid until the pool changes.
 *
 * No effective tip exceeds its cap, so a sender deep in the heap of caps is not looked at before the caps above it are
 * no better than the best offer: a block of a thousand costs the same whether a thousand or a million wait.
 */
export class ReadyCursor {
  readonly #heads: Heap<SenderQueue>;
  readonly #queueOf: (transaction: PooledTransaction) => SenderQueue | undefined;
  readonly #isCurrent: () => boolean;
  readonly #baseFeePerGas: bigint;
  /** Senders not looked at whose parents in the heap of heads were. */
  readonly #frontier = new Heap<Unseen>((left, right) => capBefore(left.head, right.head));
  readonly #offers = new Heap<Offer>((left, right) =>
    left.tip === right.tip
      ? left.transaction.sequence < right.transaction.sequence
      : left.tip > right.tip,
  );

  constructor(
    baseFeePerGas: bigint,
    pool: {
      heads: Heap<SenderQueue>;
      queueOf: (transaction: PooledTransaction) => SenderQueue | undefined;
      isCurrent: () => boolean;
    },
  ) {
    this.#baseFeePerGas = baseFeePerGas;
    this.#heads = pool.heads;
    this.#queueOf = pool.queueOf;
    this.#isCurrent = pool.isCurrent;
    this.#reveal(0);
  }

  /** The best that is left; its sender's next one only follows when `accept` is called for it. */
  next(): PooledTransaction | undefined {
    assert(this.#isCurrent(), 'the pool does not change under a cursor');
    for (;;) {
      const unseen = this.#frontier.peek();
      const best = this.#offers.peek();
      if (unseen === undefined || (best !== undefined && beats(best, unseen.head))) break;
      this.#frontier.pop();
      this.#reveal(2 * unseen.index + 1);
      this.#reveal(2 * unseen.index + 2);
      this.#offer(unseen.head);
    }
    return this.#offers.pop()?.transaction;
  }

  /** The block takes this transaction, so that its sender's next may follow. */
  accept(transaction: PooledTransaction): void {
    assert(this.#isCurrent(), 'the pool does not change under a cursor');
    const following = this.#queueOf(transaction)?.at(transaction.nonce + 1n);
    if (following !== undefined) this.#offer(following);
  }

  #reveal(index: number): void {
    const head = this.#heads.at(index)?.head;
    if (head !== undefined) this.#frontier.push({ index, head });
  }

  #offer(transaction: PooledTransaction): void {
    if (transaction.maxFeePerGas < this.#baseFeePerGas) return;
    this.#offers.push({ transaction, tip: effectiveTip(transaction, this.#baseFeePerGas) });
  }
}

interface Unseen {
  readonly index: number;
  readonly head: PooledTransaction;
}

interface Offer {
  readonly transaction: PooledTransaction;
  readonly tip: bigint;
}

function capBefore(left: PooledTransaction, right: PooledTransaction): boolean {
  return left.maxPriorityFeePerGas === right.maxPriorityFeePerGas
    ? left.sequence < right.sequence
    : left.maxPriorityFeePerGas > right.maxPriorityFeePerGas;
}

/** No head at or after this one in the order of caps can be a better offer. */
function beats(best: Offer, unseen: PooledTransaction): boolean {
  return best.tip === unseen.maxPriorityFeePerGas
    ? best.transaction.sequence < unseen.sequence
    : best.tip > unseen.maxPriorityFeePerGas;
}
