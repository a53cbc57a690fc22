import type { Clock } from '../../src/lib/environment.ts';
import type { EventQueue } from './event_queue.ts';

/** What waits for a paused process beyond this is lost, as in the buffers of a socket. */
const BACKLOG_MAX = 500;

/**
 * One life of a process, from its start to its end. What it scheduled dies with it, and waits
 * while it is paused, as under SIGSTOP.
 */
export class Life {
  readonly #events: EventQueue;
  /** Told before anything runs in this process, so that it is looked at afterwards. */
  readonly #onTurn: () => void;
  #over = false;
  #paused = false;
  #backlog: (() => void)[] = [];

  constructor(dependencies: { events: EventQueue; onTurn: () => void }) {
    this.#events = dependencies.events;
    this.#onTurn = dependencies.onTurn;
  }

  get over(): boolean {
    return this.#over;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Runs something in this process after a delay of true time; the returned function cancels it. */
  later(delayMs: number, run: () => void): () => void {
    let cancelled = false;
    const event = this.#events.schedule(delayMs, () =>
      this.run(() => {
        if (!cancelled) run();
      }),
    );
    return () => {
      cancelled = true;
      event.cancelled = true;
    };
  }

  /** Resolves after a delay of true time, in this life; never when it ends before. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.later(delayMs, resolve);
    });
  }

  /** Runs something in this process now, or when it goes on. */
  run(turn: () => void): void {
    if (this.#over) return;
    if (this.#paused) {
      this.#backlog.push(turn);
      return;
    }
    this.#onTurn();
    turn();
  }

  /** As `run`, for what is lost when too much is waiting. */
  deliver(turn: () => void): void {
    if (!this.#paused || this.#backlog.length < BACKLOG_MAX) this.run(turn);
  }

  pause(): void {
    this.#paused = !this.#over;
  }

  /** Goes on; what waited happens now, one event after another. */
  resume(): void {
    this.#paused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const turn of backlog) this.#events.schedule(0, () => this.run(turn));
  }

  end(): void {
    this.#over = true;
    this.#backlog = [];
  }
}

/**
 * The clocks of one machine: the monotonic one runs a little too fast or too slow, the wall clock
 * beside that jumps. A suspended machine has a monotonic clock that stood still.
 */
export class MachineClock {
  readonly rate: number;
  readonly #events: EventQueue;
  #suspendedMs = 0;
  #wallOffsetMs: number;

  constructor(
    options: { rate: number; wallOffsetMs: number },
    dependencies: { events: EventQueue },
  ) {
    this.rate = options.rate;
    this.#wallOffsetMs = options.wallOffsetMs;
    this.#events = dependencies.events;
  }

  /** The wall clock is set, forward or back. */
  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** The machine slept: its monotonic clock did not count this time. */
  suspended(durationMs: number): void {
    this.#suspendedMs += durationMs;
  }

  /** The clock as a process sees it whose timers end with its life. */
  forLife(life: Life): Clock {
    const monotonicMs = () => (this.#events.nowMs - this.#suspendedMs) * this.rate;
    return {
      monotonicMs,
      wallMs: () => monotonicMs() + this.#wallOffsetMs,
      schedule: (delayMs, callback) => life.later(delayMs / this.rate, callback),
    };
  }
}
