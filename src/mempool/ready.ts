import { Heap } from './heap.ts';
import type { PooledTransaction } from './pooled_transaction.ts';
import type { SenderQueue } from './sender_queue.ts';

interface Offer {
  readonly queue: SenderQueue;
  readonly transaction: PooledTransaction;
  /** What the proposer earns for each gas at this base fee, in wei. */
  readonly tip: bigint;
}

/**
 * Merges the queues of all senders by effective tip, then arrival, without visiting more of them than needed:
 * `heads` is ordered by the tip cap, which no effective tip exceeds, so that a sender deeper in that heap can
 * wait until its cap is the best that is left.
 */
export function* readyTransactions(
  heads: Heap<SenderQueue>,
  baseFee: bigint,
): Generator<PooledTransaction, void, undefined> {
  const frontier = new Heap<Frontier>((left, right) => before(left, right));
  const offers = new Heap<Offer>((left, right) =>
    left.tip === right.tip
      ? left.transaction.sequence < right.transaction.sequence
      : left.tip > right.tip,
  );
  visit(heads, frontier, 0);
  for (;;) {
    for (;;) {
      const next = frontier.peek();
      const best = offers.peek();
      if (next === undefined || (best !== undefined && beats(best, next.head))) break;
      frontier.pop();
      visit(heads, frontier, 2 * next.index + 1);
      visit(heads, frontier, 2 * next.index + 2);
      offer(offers, next.queue, next.head, baseFee);
    }
    const best = offers.pop();
    if (best === undefined) return;
    yield best.transaction;
    const following = best.queue.withNonce(best.transaction.nonce + 1n);
    if (following !== undefined) offer(offers, best.queue, following, baseFee);
  }
}

/** A sender whose parent in the heap of heads was visited and which was not. */
interface Frontier {
  readonly index: number;
  readonly queue: SenderQueue;
  readonly head: PooledTransaction;
}

function before(left: Frontier, right: Frontier): boolean {
  return left.head.maxPriorityFeePerGas === right.head.maxPriorityFeePerGas
    ? left.head.sequence < right.head.sequence
    : left.head.maxPriorityFeePerGas > right.head.maxPriorityFeePerGas;
}

/** No sender at or after this head in the order of caps can have a better offer. */
function beats(best: Offer, head: PooledTransaction): boolean {
  return best.tip === head.maxPriorityFeePerGas
    ? best.transaction.sequence < head.sequence
    : best.tip > head.maxPriorityFeePerGas;
}

function visit(heads: Heap<SenderQueue>, frontier: Heap<Frontier>, index: number): void {
  const queue = heads.at(index);
  const head = queue?.head;
  if (queue !== undefined && head !== undefined) frontier.push({ index, queue, head });
}

function offer(
  offers: Heap<Offer>,
  queue: SenderQueue,
  transaction: PooledTransaction,
  baseFee: bigint,
): void {
  const room = transaction.maxFeePerGas - baseFee;
  if (room < 0n) return;
  const cap = transaction.maxPriorityFeePerGas;
  offers.push({ queue, transaction, tip: cap < room ? cap : room });
}
