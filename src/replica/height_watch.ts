import type { Height } from '../types/primitives.ts';

interface Waiter {
  readonly atLeast: Height;
  readonly resolve: (height: Height) => void;
}

/** Lets others wait for the executed height of this member. */
export class HeightWatch {
  #height: Height;
  readonly #waiters = new Set<Waiter>();

  constructor(height: Height) {
    this.#height = height;
  }

  get height(): Height {
    return this.#height;
  }

  reached(height: Height): void {
    this.#height = height;
    for (const waiter of this.#waiters) {
      if (waiter.atLeast > height) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(height);
    }
  }

  /** Resolves with the height once it is at least the given one; rejects with the signal's reason. */
  async atLeast(height: Height, signal: AbortSignal): Promise<Height> {
    signal.throwIfAborted();
    if (this.#height >= height) return this.#height;
    const { promise, resolve, reject } = Promise.withResolvers<Height>();
    const waiter = { atLeast: height, resolve };
    const abort = () => {
      this.#waiters.delete(waiter);
      reject(signal.reason);
    };
    this.#waiters.add(waiter);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}
