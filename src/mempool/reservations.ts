import { assert } from '../lib/assert.ts';
import { toHex } from '../lib/bytes.ts';
import type { TransactionCandidate } from './pooled_transaction.ts';

/** Transactions of one sender on their way through the log. */
interface SenderReservations {
  /** The last reserved of each nonce: the one that the next must outbid. */
  readonly byNonce: Map<bigint, TransactionCandidate>;
  nonceMax: bigint;
  costTotal: bigint;
  /** Every nonce from `runStart` up to, without, `runEnd` is reserved; undefined when not known. */
  run: { start: bigint; end: bigint } | undefined;
}

/** What the leader has proposed and the log has not yet answered. Leader-local: nothing replicated depends on it. */
export class Reservations {
  readonly #byHash = new Map<string, TransactionCandidate>();
  readonly #bySender = new Map<string, SenderReservations>();

  get size(): number {
    return this.#byHash.size;
  }

  has(hashKey: string): boolean {
    return this.#byHash.has(hashKey);
  }

  count(senderKey: string): number {
    return this.#bySender.get(senderKey)?.byNonce.size ?? 0;
  }

  withNonce(senderKey: string, nonce: bigint): TransactionCandidate | undefined {
    return this.#bySender.get(senderKey)?.byNonce.get(nonce);
  }

  /** Worst-case costs of reserved transactions with lower nonces, in wei. */
  costBefore(senderKey: string, nonce: bigint): bigint {
    const reservations = this.#bySender.get(senderKey);
    if (reservations === undefined) return 0n;
    if (reservations.nonceMax < nonce) return reservations.costTotal;
    let cost = 0n;
    for (const reserved of reservations.byNonce.values())
      if (reserved.nonce < nonce) cost += reserved.worstCaseCost;
    return cost;
  }

  /** The first nonce from the given one on that is not reserved. */
  firstFreeNonce(senderKey: string, from: bigint): bigint {
    const reservations = this.#bySender.get(senderKey);
    if (reservations === undefined) return from;
    const { run } = reservations;
    let end = run !== undefined && run.start <= from && from <= run.end ? run.end : from;
    while (reservations.byNonce.has(end)) end += 1n;
    reservations.run = { start: from, end };
    return end;
  }

  add(candidate: TransactionCandidate): void {
    const hashKey = toHex(candidate.hash);
    assert(!this.#byHash.has(hashKey), 'a transaction is reserved once');
    this.#byHash.set(hashKey, candidate);
    const senderKey = toHex(candidate.sender);
    let reservations = this.#bySender.get(senderKey);
    if (reservations === undefined) {
      reservations = {
        byNonce: new Map(),
        nonceMax: candidate.nonce,
        costTotal: 0n,
        run: undefined,
      };
      this.#bySender.set(senderKey, reservations);
    }
    const outbid = reservations.byNonce.get(candidate.nonce);
    reservations.costTotal += candidate.worstCaseCost - (outbid?.worstCaseCost ?? 0n);
    reservations.byNonce.set(candidate.nonce, candidate);
    if (reservations.nonceMax < candidate.nonce) reservations.nonceMax = candidate.nonce;
  }

  delete(hashKey: string): void {
    const candidate = this.#byHash.get(hashKey);
    if (candidate === undefined) return;
    this.#byHash.delete(hashKey);
    const senderKey = toHex(candidate.sender);
    const reservations = this.#bySender.get(senderKey);
    if (reservations?.byNonce.get(candidate.nonce) !== candidate) return;
    reservations.byNonce.delete(candidate.nonce);
    reservations.costTotal -= candidate.worstCaseCost;
    reservations.run = undefined;
    if (reservations.byNonce.size === 0) this.#bySender.delete(senderKey);
  }
}
