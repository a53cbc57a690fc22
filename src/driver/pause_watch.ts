import type { Clock, Logger } from '../lib/environment.ts';

/** So many looks fit into the shortest pause that is noticed. */
const LOOKS = 4;

/** Notices that this process did not run for a while: it was stopped, its machine slept, or its thread was held. */
export class PauseWatch {
  readonly #pauseMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onPause: () => void;
  #lastLookMs: number;
  #cancel: () => void = () => undefined;

  /** @param options.pauseMs the shortest absence that matters */
  constructor(
    options: { pauseMs: number },
    dependencies: { clock: Clock; logger: Logger; onPause: () => void },
  ) {
    this.#pauseMs = options.pauseMs;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#onPause = dependencies.onPause;
    this.#lastLookMs = this.#clock.monotonicMs();
  }

  /** False from the end of a pause until it has been told: a request may be read before any timer fires. */
  get isAwake(): boolean {
    return this.#clock.monotonicMs() - this.#lastLookMs < this.#pauseMs;
  }

  start(): void {
    this.#lastLookMs = this.#clock.monotonicMs();
    this.#look();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    const absentMs = nowMs - this.#lastLookMs;
    this.#lastLookMs = nowMs;
    this.#cancel = this.#clock.schedule(this.#pauseMs / LOOKS, () => this.#look());
    if (absentMs < this.#pauseMs) return;
    this.#logger.warn({ absentMs: Math.round(absentMs) }, 'this process did not run for a while');
    this.#onPause();
  }
}
