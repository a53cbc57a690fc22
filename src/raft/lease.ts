/** Rounds of heartbeats whose answers may still extend the lease; older ones are forgotten. */
const ROUNDS_MAX = 64;

/**
 * Until when a leader may answer reads by itself (dissertation 6.4.1). Whoever answered a heartbeat votes for
 * nobody else for an election timeout after it came, so a quorum of answers holds off every rival from
 * the moment at which that heartbeat was *sent*. Only the monotonic clock counts, looked at anew for each read.
 */
export class Lease {
  readonly #durationMs: number;
  #rounds: { readonly round: number; readonly sentMs: number }[] = [];
  #untilMs = Number.NEGATIVE_INFINITY;
  #ended = false;
  #nowMs = Number.NEGATIVE_INFINITY;
  /** A time from before a read proves nothing: the member may have slept in between. */
  #isTimeFresh = false;

  constructor(durationMs: number) {
    this.#durationMs = durationMs;
  }

  /** Whether reads that were asked for so far may be answered. */
  get inForce(): boolean {
    return !this.#ended && this.#isTimeFresh && this.#nowMs < this.#untilMs;
  }

  setTime(monotonicMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, monotonicMs);
    this.#isTimeFresh = true;
  }

  readAsked(): void {
    this.#isTimeFresh = false;
  }

  /** A round of heartbeats leaves. The time told last is not after it. */
  roundStarted(round: number): void {
    if (this.#rounds.at(-1)?.round === round) return;
    if (this.#rounds.length >= ROUNDS_MAX) this.#rounds.shift();
    this.#rounds.push({ round, sentMs: this.#nowMs });
  }

  /** A quorum answered this round or later ones. */
  roundConfirmed(round: number): void {
    for (let first = this.#rounds[0]; first !== undefined; first = this.#rounds[0]) {
      if (first.round > round) return;
      this.#untilMs = Math.max(this.#untilMs, first.sentMs + this.#durationMs);
      this.#rounds.shift();
    }
  }

  /** This term grants nothing more: somebody was asked to campaign in spite of the lease (section 3.10). */
  end(): void {
    this.#ended = true;
  }

  /** Another term or role begins without a lease. */
  reset(): void {
    this.#rounds = [];
    this.#untilMs = Number.NEGATIVE_INFINITY;
    this.#ended = false;
  }
}
