import type { Chain } from '../ledger/chain.ts';
import { toHex } from '../lib/bytes.ts';
import { NodeError } from '../types/node_error.ts';
import type { Hash } from '../types/primitives.ts';
import type { FinalState } from '../types/submission.ts';
import type { TransactionState } from '../types/transaction_state.ts';

/** Calls that may wait for a final state at once. */
const WAITING_MAX = 100_000;

/** Tells those who wait what became of a transaction on this member. */
export class Finality {
  readonly #chain: Chain;
  readonly #waiting = new Map<string, Set<(state: FinalState) => void>>();
  #count = 0;

  constructor(chain: Chain) {
    this.#chain = chain;
  }

  /** Resolves with the final state of an admitted transaction; rejects with the signal's reason. */
  async of(hash: Hash, signal: AbortSignal): Promise<FinalState> {
    if (this.#count >= WAITING_MAX)
      throw new NodeError('OVERLOADED', 'too many requests wait here; ask for the state later');
    const key = toHex(hash);
    const { promise, resolve, reject } = Promise.withResolvers<FinalState>();
    // The signal may come while the store is read, and nobody awaits this yet: unhandled, it would end the process.
    promise.catch(() => undefined);
    const waiters = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiters.add(resolve));
    this.#count += 1;
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      // It may have become final before anybody waited.
      const [state] = await this.#chain.transactionStates([hash]);
      if (state !== undefined && state.state !== 'pending') return state;
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#count -= 1;
      waiters.delete(resolve);
      if (waiters.size === 0) this.#waiting.delete(key);
    }
  }

  /** Called when the states are durable on this member. */
  reached(finals: readonly { readonly hash: Hash; readonly state: TransactionState }[]): void {
    if (this.#waiting.size === 0) return;
    for (const { hash, state } of finals) {
      if (state.state === 'pending') continue;
      for (const resolve of this.#waiting.get(toHex(hash)) ?? []) resolve(state);
    }
  }
}
