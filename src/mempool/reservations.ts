import { assert } from '../lib/assert.ts';

/** What is on its way with one nonce: usually one transaction, more when a sender outbids itself at once. */
interface NonceReservation {
  count: number;
  /** The highest of them, since only one can be admitted. */
  cost: bigint;
}

interface SenderReservations {
  readonly byNonce: Map<bigint, NonceReservation>;
  count: number;
  costTotal: bigint;
  /** All nonces from start up to, without, end are reserved: what was last found out. */
  run: { readonly start: bigint; readonly end: bigint } | undefined;
}

/** What the leader has put on its way through the log, by sender. Nothing replicated depends on it. */
export class Reservations {
  readonly #bySender = new Map<string, SenderReservations>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  count(senderKey: string): number {
    return this.#bySender.get(senderKey)?.count ?? 0;
  }

  /** Wei: the worst case of everything reserved but what has this nonce. */
  costWithout(senderKey: string, nonce: bigint): bigint {
    const reserved = this.#bySender.get(senderKey);
    if (reserved === undefined) return 0n;
    return reserved.costTotal - (reserved.byNonce.get(nonce)?.cost ?? 0n);
  }

  /** The first nonce, from the given one on, that is not reserved. */
  firstFreeNonce(senderKey: string, from: bigint): bigint {
    const reserved = this.#bySender.get(senderKey);
    if (reserved === undefined) return from;
    const { run } = reserved;
    let end = run !== undefined && run.start <= from && from <= run.end ? run.end : from;
    while (reserved.byNonce.has(end)) end += 1n;
    reserved.run = { start: from, end };
    return end;
  }

  add(senderKey: string, { nonce, cost }: { nonce: bigint; cost: bigint }): void {
    let reserved = this.#bySender.get(senderKey);
    if (reserved === undefined) {
      reserved = { byNonce: new Map(), count: 0, costTotal: 0n, run: undefined };
      this.#bySender.set(senderKey, reserved);
    }
    const same = reserved.byNonce.get(nonce);
    if (same === undefined) {
      reserved.byNonce.set(nonce, { count: 1, cost });
      reserved.costTotal += cost;
    } else {
      same.count += 1;
      if (cost > same.cost) {
        reserved.costTotal += cost - same.cost;
        same.cost = cost;
      }
    }
    reserved.count += 1;
    this.#size += 1;
  }

  /** The log admitted one of this nonce: its cost counts as waiting from now on, and no more as reserved. */
  admitted(senderKey: string, nonce: bigint): void {
    const reserved = this.#bySender.get(senderKey);
    const same = reserved?.byNonce.get(nonce);
    if (reserved === undefined || same === undefined) return;
    reserved.costTotal -= same.cost;
    same.cost = 0n;
  }

  delete(senderKey: string, nonce: bigint): void {
    const reserved = this.#bySender.get(senderKey);
    const same = reserved?.byNonce.get(nonce);
    assert(reserved !== undefined && same !== undefined, 'only what is reserved is released');
    this.#size -= 1;
    reserved.count -= 1;
    same.count -= 1;
    if (same.count > 0) return;
    reserved.byNonce.delete(nonce);
    reserved.costTotal -= same.cost;
    reserved.run = undefined;
    if (reserved.count === 0) this.#bySender.delete(senderKey);
  }
}
