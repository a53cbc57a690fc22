import { expect, test } from 'vitest';
import {
  Mempool,
  type MempoolEffect,
  type MempoolLimits,
  type SenderAccount,
} from '../../../src/mempool/mempool.ts';
import type { PooledTransaction } from '../../../src/mempool/pooled_transaction.ts';
import { pooled, randomOf, senderOf } from './pooled.ts';

const SENDERS = 6;
const LIMITS: MempoolLimits = {
  transactionsMax: 60,
  transactionsPerSenderMax: 20,
  nonceGapMax: 5,
};

/** The same as the pool in the most obvious way: a list, looked through each time. */
class Model {
  waiting: { readonly sender: number; readonly transaction: PooledTransaction }[] = [];
  readonly nonces = new Array<bigint>(SENDERS).fill(0n);

  of(sender: number): PooledTransaction[] {
    return this.waiting.filter((item) => item.sender === sender).map((item) => item.transaction);
  }

  pendingNonce(sender: number): bigint {
    let nonce = this.nonces[sender] ?? 0n;
    while (this.of(sender).some((transaction) => transaction.nonce === nonce)) nonce += 1n;
    return nonce;
  }

  /** Each time the best of what could come next. */
  ready(baseFee: bigint): number[] {
    const next = [...this.nonces];
    const order: number[] = [];
    for (;;) {
      const offers = this.waiting
        .filter(({ sender, transaction }) => transaction.nonce === next[sender])
        .filter(({ transaction }) => transaction.maxFeePerGas >= baseFee)
        .sort(
          ({ transaction: left }, { transaction: right }) =>
            Number(tip(right, baseFee) - tip(left, baseFee)) || left.sequence - right.sequence,
        );
      const [best] = offers;
      if (best === undefined) return order;
      order.push(best.transaction.sequence);
      next[best.sender] = best.transaction.nonce + 1n;
    }
  }
}

function tip(transaction: PooledTransaction, baseFee: bigint): bigint {
  const room = transaction.maxFeePerGas - baseFee;
  if (room < transaction.maxPriorityFeePerGas) return room;
  return transaction.maxPriorityFeePerGas;
}

/** Takes a pool, its twin without reservations, and the model through the same random log. */
class Run {
  readonly #random: (below: number) => number;
  readonly #pool = new Mempool(LIMITS);
  /** What another member has: it sees the log and nothing else. */
  readonly #follower = new Mempool({ ...LIMITS, transactionsMax: 1 });
  readonly #model = new Model();
  readonly #states = new Map<number, string[]>();
  readonly #reserved: PooledTransaction[] = [];
  #sequence = 0;
  #nowMs = 1_000;
  #fixed: PooledTransaction[] = [];

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  step(): void {
    const choice = this.#random(10);
    if (choice < 5) this.#submit();
    else if (choice < 7) this.#answer();
    else if (choice < 8) this.#propose();
    else if (choice < 9) this.#execute();
    else this.#nowMs += this.#random(200);
    this.#check();
  }

  /** Everybody who was admitted has one state too many or too few only if the pool has erred. */
  finish(): void {
    while (this.#reserved.length > 0) this.#answer();
    this.#execute();
    this.#nowMs += 1_000_000;
    this.#execute();
    expect(this.#pool.size).toBe(0);
    expect(this.#pool.gasLimitTotal).toBe(0n);
    for (const states of this.#states.values()) {
      expect(states.length).toBe(2);
      expect(states[0]).toBe('pending');
      expect(['included', 'replaced', 'expired', 'invalidated']).toContain(states[1]);
    }
  }

  #account(sender: number): SenderAccount {
    return { nonce: this.#model.nonces[sender] ?? 0n, balance: 30_000n };
  }

  #senderOf(transaction: PooledTransaction): number {
    return transaction.sender.at(-1) ?? 0;
  }

  #submit(): void {
    const sender = this.#random(SENDERS);
    const account = this.#account(sender);
    this.#sequence += 1;
    const cap = BigInt(this.#random(40));
    const transaction = pooled({
      sequence: this.#sequence,
      sender,
      nonce: account.nonce + BigInt(this.#random(12)),
      maxPriorityFeePerGas: cap,
      maxFeePerGas: cap + BigInt(this.#random(40)),
      worstCaseCost: BigInt(this.#random(4_000)),
      gasLimit: BigInt(21_000 + this.#random(1_000)),
      expiresAtMs: this.#nowMs + this.#random(2_000),
    });
    const refusal = this.#pool.precheck(transaction, account);
    if (refusal !== undefined) {
      expect(refusal.message.length).toBeGreaterThan(20);
      return;
    }
    this.#pool.reserve(transaction);
    this.#reserved.push(transaction);
    expect(this.#pool.size).toBeLessThanOrEqual(LIMITS.transactionsMax);
  }

  /** The log answers the oldest reservation. */
  #answer(): void {
    const transaction = this.#reserved.shift();
    if (transaction === undefined) return;
    const sender = this.#senderOf(transaction);
    const account = this.#account(sender);
    const answer = this.#pool.admit(transaction, account);
    expect(this.#follower.admit(transaction, account)).toEqual(answer);
    this.#pool.release(transaction);
    const present = this.#model.of(sender).find(({ nonce }) => nonce === transaction.nonce);
    if (answer.result === 'refused') {
      const isStale = transaction.nonce < account.nonce;
      expect(isStale || present !== undefined).toBe(true);
      return;
    }
    this.#note(answer.effects);
    this.#drop((other) => other === present);
    this.#model.waiting.push({ sender, transaction });
  }

  /** A block takes some of what is ready, and sometimes a stranger's transaction in one's place. */
  #propose(): void {
    if (this.#fixed.length > 0) return;
    const baseFee = BigInt(this.#random(30));
    const cursor = this.#pool.ready(baseFee);
    const used = new Map<number, bigint>(this.#model.nonces.entries());
    for (let left = this.#random(8); left > 0; left -= 1) {
      const next = cursor.next();
      if (next === undefined) break;
      if (this.#random(5) === 0) continue;
      cursor.accept(next);
      used.set(this.#senderOf(next), next.nonce + 1n);
      this.#fixed.push(this.#random(8) === 0 ? this.#stranger(next) : next);
    }
    for (const pool of [this.#pool, this.#follower]) pool.fix(this.#fixed.map(({ hash }) => hash));
  }

  #stranger(instead: PooledTransaction): PooledTransaction {
    this.#sequence += 1;
    return { ...instead, hash: pooled({ sequence: this.#sequence, sender: 0 }).hash };
  }

  #execute(): void {
    for (const { hash } of this.#fixed)
      this.#note([{ hash, state: { state: 'included', height: 1, index: 0 } }]);
    for (const { sender, nonce } of this.#fixed) {
      const number = sender.at(-1) ?? 0;
      this.#model.nonces[number] = nonce + 1n;
    }
    const senders = this.#model.nonces.map((accountNonce, number) => ({
      sender: senderOf(number),
      accountNonce,
    }));
    const effects = this.#pool.executed(senders);
    expect(this.#follower.executed(senders)).toEqual(effects);
    this.#note(effects);
    this.#drop(
      (transaction) => transaction.nonce < (this.#model.nonces[this.#senderOf(transaction)] ?? 0n),
    );
    this.#fixed = [];
    const expired = this.#pool.expire(this.#nowMs);
    expect(this.#follower.expire(this.#nowMs)).toEqual(expired);
    this.#note(expired);
    this.#drop(({ expiresAtMs }) => expiresAtMs <= this.#nowMs);
  }

  #drop(isGone: (transaction: PooledTransaction) => boolean): void {
    this.#model.waiting = this.#model.waiting.filter(({ transaction }) => !isGone(transaction));
  }

  #note(effects: readonly MempoolEffect[]): void {
    for (const { hash, state } of effects) {
      const sequence = new DataView(hash.buffer).getUint32(28);
      const states = this.#states.get(sequence) ?? [];
      // A stranger's transaction was never admitted: its state begins with the block.
      if (states.length === 0 && state.state === 'included') continue;
      this.#states.set(sequence, [...states, state.state]);
    }
  }

  #check(): void {
    const { waiting } = this.#model;
    expect(this.#pool.size).toBe(waiting.length);
    for (const { transaction } of waiting)
      expect(this.#pool.get(transaction.hash)).toBe(transaction);
    const gas = waiting.reduce((sum, { transaction }) => sum + transaction.gasLimit, 0n);
    expect(this.#pool.gasLimitTotal).toBe(gas);
    const oldest = Math.min(...waiting.map(({ transaction }) => transaction.expiresAtMs));
    expect(this.#pool.oldestExpiryMs()).toBe(waiting.length === 0 ? undefined : oldest);
    for (const [number, accountNonce] of this.#model.nonces.entries())
      expect(this.#pool.pendingNonce(senderOf(number), accountNonce)).toBe(
        this.#model.pendingNonce(number),
      );
    const baseFee = BigInt(this.#random(50));
    expect(ready(this.#pool, baseFee)).toEqual(this.#model.ready(baseFee));
    expect(ready(this.#follower, baseFee)).toEqual(this.#model.ready(baseFee));
  }
}

function ready(pool: Mempool, baseFee: bigint): number[] {
  const cursor = pool.ready(baseFee);
  const order: number[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) {
    order.push(next.sequence);
    cursor.accept(next);
  }
  return order;
}

const SEEDS = Array.from({ length: 40 }, (_unused, index) => index + 1);

test.each(SEEDS)('pool, follower and model agree over a random log (seed %i)', (seed) => {
  const run = new Run(seed);
  for (let step = 0; step < 400; step += 1) run.step();
  run.finish();
});
