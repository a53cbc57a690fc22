import { Heap } from './heap.ts';
import type { PooledTransaction } from './pooled_transaction.ts';

/**
 * Which transactions expire when. Those of one log entry share their time, so there are few times and a
 * removal costs nothing but leaving its set.
 */
export class Expiries {
  readonly #byTime = new Map<number, Set<PooledTransaction>>();
  /** Times, some of which have no transactions left. */
  readonly #times = new Heap<number>((left, right) => left < right);

  add(transaction: PooledTransaction): void {
    const sameTime = this.#byTime.get(transaction.expiresAtMs);
    if (sameTime !== undefined) {
      sameTime.add(transaction);
      return;
    }
    this.#byTime.set(transaction.expiresAtMs, new Set([transaction]));
    this.#times.push(transaction.expiresAtMs);
  }

  delete(transaction: PooledTransaction): void {
    const sameTime = this.#byTime.get(transaction.expiresAtMs);
    if (sameTime === undefined) return;
    sameTime.delete(transaction);
    if (sameTime.size > 0) return;
    this.#byTime.delete(transaction.expiresAtMs);
    if (this.#times.peek() === transaction.expiresAtMs) this.#dropEmptyTimes();
  }

  oldestMs(): number | undefined {
    return this.#times.peek();
  }

  /** All transactions whose time has come, by time and then by arrival. They stay here until deleted. */
  due(nowMs: number): PooledTransaction[] {
    const due: PooledTransaction[] = [];
    for (const [timeMs, transactions] of this.#byTime) {
      if (timeMs <= nowMs) due.push(...transactions);
    }
    return due.sort(
      (left, right) => left.expiresAtMs - right.expiresAtMs || left.sequence - right.sequence,
    );
  }

  /** Keeps the first of the heap a time that has transactions. */
  #dropEmptyTimes(): void {
    for (;;) {
      const first = this.#times.peek();
      if (first === undefined || this.#byTime.has(first)) return;
      this.#times.pop();
    }
  }
}
