/** Time, as seen from inside: monotonic milliseconds for durations, wall milliseconds for block times only. */
export interface Clock {
  monotonicMs(): number;
  wallMs(): number;
  /** Calls back once after the delay; the returned function cancels it. */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** Source of randomness: a uniform number in [0, 1). */
export type Random = () => number;

/** An event and its fields; pino's loggers satisfy this. */
export interface Logger {
  debug(fields: object, event: string): void;
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

/** The real clock. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
