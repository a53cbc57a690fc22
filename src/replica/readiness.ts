import type { Leadership } from '../raft/ready.ts';
import type { Readiness } from '../types/views.ts';

const READY: Readiness = { ready: true, reason: '' };

/** What keeps a member from being ready whatever else holds; the first of those that apply is told. */
const OBSTACLES = ['STOPPING', 'REMOVED', 'FENCED', 'JOINING'] as const;

type Obstacle = (typeof OBSTACLES)[number];

/**
 * A member is ready when it belongs to the cluster, is not fenced, and has applied everything that the leader it
 * follows had committed when it began to follow, or when this process last woke from a pause.
 */
export class ReadinessWatch {
  readonly #catchUp: (signal: AbortSignal) => Promise<void>;
  readonly #pause: () => Promise<void>;
  readonly #isAwake: () => boolean;
  readonly #listeners = new Set<(readiness: Readiness) => void>();
  readonly #obstacles = new Set<Obstacle>();
  /** As it would be without obstacles. */
  #progress: Readiness = { ready: false, reason: 'NO_LEADER' };
  #told: Readiness = this.#progress;
  #fenced: string | undefined;
  #abort = new AbortController();

  constructor(dependencies: {
    /** Resolves once everything committed before the call is applied here. */
    catchUp: (signal: AbortSignal) => Promise<void>;
    /** Waits a moment before the next attempt. */
    pause: () => Promise<void>;
    /** False when this process has not run for longer than a leader may be silent: what it knows is old. */
    isAwake: () => boolean;
  }) {
    this.#catchUp = dependencies.catchUp;
    this.#pause = dependencies.pause;
    this.#isAwake = dependencies.isAwake;
  }

  get current(): Readiness {
    if (!this.#isAwake()) this.doubt();
    return this.#told;
  }

  get fencedReason(): string | undefined {
    return this.#fenced;
  }

  watch(listener: (readiness: Readiness) => void): () => void {
    this.#listeners.add(listener);
    listener(this.current);
    return () => this.#listeners.delete(listener);
  }

  leadershipChanged({ leader }: Leadership): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    if (leader === undefined) {
      this.#become({ ready: false, reason: 'NO_LEADER' });
      return;
    }
    if (!this.#progress.ready) this.#become({ ready: false, reason: 'CATCHING_UP' });
    void this.#follow(this.#abort.signal);
  }

  /** The process was paused: others may have gone on without it, so it makes sure that it is still up to date. */
  doubt(): void {
    if (!this.#progress.ready) return;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#become({ ready: false, reason: 'CATCHING_UP' });
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

  /** A member that joins becomes ready once the cluster has taken it in. */
  joining(isJoining: boolean): void {
    if (isJoining) this.#obstacles.add('JOINING');
    else this.#obstacles.delete('JOINING');
    this.#tell();
  }

  fence(reason: string): void {
    this.#fenced = reason;
    this.#hinder('FENCED');
  }

  removed(): void {
    this.#hinder('REMOVED');
  }

  stop(): void {
    this.#abort.abort();
    this.#hinder('STOPPING');
  }

  #hinder(obstacle: Obstacle): void {
    this.#obstacles.add(obstacle);
    this.#tell();
  }

  #become(progress: Readiness): void {
    this.#progress = progress;
    this.#tell();
  }

  #tell(): void {
    const obstacle = OBSTACLES.find((candidate) => this.#obstacles.has(candidate));
    const next = obstacle === undefined ? this.#progress : { ready: false, reason: obstacle };
    if (next.ready === this.#told.ready && next.reason === this.#told.reason) return;
    this.#told = next;
    for (const listener of this.#listeners) listener(next);
  }
}
