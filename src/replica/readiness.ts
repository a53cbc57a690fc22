import type { Leadership } from '../raft/ready.ts';
import type { Readiness } from '../types/views.ts';

const READY: Readiness = { ready: true, reason: '' };

/**
 * A member is ready when it is not fenced and has applied everything that the leader it follows had
 * committed when it began to follow.
 */
export class ReadinessWatch {
  readonly #catchUp: (signal: AbortSignal) => Promise<void>;
  readonly #pause: () => Promise<void>;
  readonly #listeners = new Set<(readiness: Readiness) => void>();
  #current: Readiness = { ready: false, reason: 'NO_LEADER' };
  #fenced: string | undefined;
  #abort = new AbortController();

  constructor(dependencies: {
    /** Resolves once everything committed before the call is applied here. */
    catchUp: (signal: AbortSignal) => Promise<void>;
    /** Waits a moment before the next attempt. */
    pause: () => Promise<void>;
  }) {
    this.#catchUp = dependencies.catchUp;
    this.#pause = dependencies.pause;
  }

  get current(): Readiness {
    return this.#current;
  }

  get fencedReason(): string | undefined {
    return this.#fenced;
  }

  watch(listener: (readiness: Readiness) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#current);
    return () => this.#listeners.delete(listener);
  }

  leadershipChanged({ leader }: Leadership): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    if (leader === undefined) {
      this.#become({ ready: false, reason: 'NO_LEADER' });
      return;
    }
    if (!this.#current.ready) this.#become({ ready: false, reason: 'CATCHING_UP' });
    void this.#follow(this.#abort.signal);
  }

  /** Tries until it succeeds or the leader changes: a refusal says nothing about the next attempt. */
  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#catchUp(signal);
        if (!signal.aborted) this.#become(READY);
        return;
      } catch {
        await this.#pause();
      }
    }
  }

  fence(reason: string): void {
    this.#fenced = reason;
    this.#become({ ready: false, reason: 'FENCED' });
  }

  stop(): void {
    this.#abort.abort();
    this.#become({ ready: false, reason: 'STOPPING' });
  }

  #become(readiness: Readiness): void {
    const next =
      this.#fenced !== undefined && readiness.reason !== 'STOPPING'
        ? { ready: false, reason: 'FENCED' }
        : readiness;
    if (next.ready === this.#current.ready && next.reason === this.#current.reason) return;
    this.#current = next;
    for (const listener of this.#listeners) listener(next);
  }
}
