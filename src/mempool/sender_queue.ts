import { assert } from '../lib/assert.ts';
import type { PooledTransaction } from './pooled_transaction.ts';

/** The waiting transactions of one sender in nonce order. */
export class SenderQueue {
  /** Key of the sender in the mempool's map. */
  readonly key: string;
  /** Index among the mempool's heads; -1 while not there. */
  headIndex = -1;
  /** The account's nonce after the last executed block, as far as this pool was told. */
  #accountNonce: bigint;
  #pendingNonce: bigint;
  #costTotal = 0n;
  /** Ascending by nonce, which is never below the account's. */
  readonly #transactions: PooledTransaction[] = [];

  constructor(key: string, accountNonce: bigint) {
    this.key = key;
    this.#accountNonce = accountNonce;
    this.#pendingNonce = accountNonce;
  }

  get size(): number {
    return this.#transactions.length;
  }

  /** The first nonce, from the account's on, that nothing waiting has. */
  get pendingNonce(): bigint {
    return this.#pendingNonce;
  }

  /** Wei: the worst case of everything waiting. */
  get costTotal(): bigint {
    return this.#costTotal;
  }

  /** The one to execute next; undefined while its nonce is missing. */
  get head(): PooledTransaction | undefined {
    const first = this.#transactions[0];
    return first?.nonce === this.#accountNonce ? first : undefined;
  }

  at(nonce: bigint): PooledTransaction | undefined {
    const found = this.#transactions[this.#position(nonce)];
    return found?.nonce === nonce ? found : undefined;
  }

  /** Puts a transaction in, instead of the one with its nonce if there is one. */
  put(transaction: PooledTransaction): void {
    assert(transaction.nonce >= this.#accountNonce, 'what waits can still be executed');
    const position = this.#position(transaction.nonce);
    const present = this.#transactions[position];
    this.#costTotal += transaction.worstCaseCost;
    if (present?.nonce === transaction.nonce) {
      this.#transactions[position] = transaction;
      this.#costTotal -= present.worstCaseCost;
      return;
    }
    this.#transactions.splice(position, 0, transaction);
    this.#extendPending();
  }

  remove(transaction: PooledTransaction): void {
    const position = this.#position(transaction.nonce);
    assert(this.#transactions[position] === transaction, 'what is removed waits here');
    this.#transactions.splice(position, 1);
    this.#costTotal -= transaction.worstCaseCost;
    if (transaction.nonce < this.#pendingNonce) this.#pendingNonce = transaction.nonce;
  }

  /** Moves the account's nonce, and takes out everything below it. */
  advance(accountNonce: bigint): PooledTransaction[] {
    if (accountNonce === this.#accountNonce) return [];
    const passed = this.#transactions.splice(0, this.#position(accountNonce));
    for (const { worstCaseCost } of passed) this.#costTotal -= worstCaseCost;
    const isWithinRun = accountNonce > this.#accountNonce && accountNonce <= this.#pendingNonce;
    this.#accountNonce = accountNonce;
    if (!isWithinRun) this.#pendingNonce = accountNonce;
    this.#extendPending();
    return passed;
  }

  #extendPending(): void {
    for (let position = this.#position(this.#pendingNonce); ; position += 1) {
      if (this.#transactions[position]?.nonce !== this.#pendingNonce) return;
      this.#pendingNonce += 1n;
    }
  }

  /** Index of the first transaction whose nonce is at least this. */
  #position(nonce: bigint): number {
    const last = this.#transactions.at(-1);
    if (last === undefined || last.nonce < nonce) return this.#transactions.length;
    let low = 0;
    let high = this.#transactions.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      const found = this.#transactions[middle];
      if (found !== undefined && found.nonce < nonce) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
