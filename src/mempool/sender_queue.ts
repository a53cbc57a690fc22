import type { PooledTransaction } from './pooled_transaction.ts';

/** The waiting transactions of one sender in nonce order, and what the leader has promised beside them. */
export class SenderQueue {
  /** The account's nonce after the last executed block, as far as this pool was told. */
  accountNonce: bigint;
  /** Wei: the worst case of everything waiting or reserved. */
  totalCost = 0n;
  /** Reserved by the leader and not yet admitted: nonce to cost. */
  readonly reserved = new Map<bigint, bigint>();
  readonly #transactions: PooledTransaction[] = [];

  constructor(accountNonce: bigint) {
    this.accountNonce = accountNonce;
  }

  get size(): number {
    return this.#transactions.length;
  }

  get isEmpty(): boolean {
    return this.#transactions.length === 0 && this.reserved.size === 0;
  }

  at(nonce: bigint): PooledTransaction | undefined {
    const found = this.#transactions[this.#position(nonce)];
    return found?.nonce === nonce ? found : undefined;
  }

  /** The one to execute next; undefined while its nonce is missing. */
  head(): PooledTransaction | undefined {
    return this.at(this.accountNonce);
  }

  /** Puts a transaction in, instead of the one with its nonce if there is one. */
  put(transaction: PooledTransaction): void {
    const position = this.#position(transaction.nonce);
    const replaced = this.#transactions[position];
    const isReplacement = replaced?.nonce === transaction.nonce;
    this.#transactions.splice(position, isReplacement ? 1 : 0, transaction);
    this.totalCost += transaction.worstCaseCost;
    if (isReplacement) this.totalCost -= replaced.worstCaseCost;
  }

  remove(transaction: PooledTransaction): void {
    const position = this.#position(transaction.nonce);
    if (this.#transactions[position] !== transaction) return;
    this.#transactions.splice(position, 1);
    this.totalCost -= transaction.worstCaseCost;
  }

  /** Takes out everything below a nonce, which is the account's from now on. */
  advance(accountNonce: bigint): PooledTransaction[] {
    this.accountNonce = accountNonce;
    const passed = this.#transactions.splice(0, this.#position(accountNonce));
    for (const { worstCaseCost } of passed) this.totalCost -= worstCaseCost;
    return passed;
  }

  reserve(nonce: bigint, cost: bigint): void {
    this.totalCost += cost - (this.reserved.get(nonce) ?? 0n);
    this.reserved.set(nonce, cost);
  }

  release(nonce: bigint): void {
    this.totalCost -= this.reserved.get(nonce) ?? 0n;
    this.reserved.delete(nonce);
  }

  /** The first nonce, from the account's on, that nothing waiting has. */
  nextFreeNonce(): bigint {
    let nonce = this.accountNonce;
    for (let position = this.#position(nonce); ; position += 1) {
      if (this.#transactions[position]?.nonce !== nonce) return nonce;
      nonce += 1n;
    }
  }

  /** Index of the first transaction whose nonce is at least this. */
  #position(nonce: bigint): number {
    let low = 0;
    let high = this.#transactions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#transactions[middle] as PooledTransaction).nonce < nonce) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
