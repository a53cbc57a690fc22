/** How long after an event a silence that belongs to it may begin. */
const SILENCE_BEGINS_MS_MAX = 1_000;

/** What an event did to a sequence of times, in milliseconds. */
export interface Interruption {
  /** The longest silence that it caused. */
  readonly silenceMs: number;
  /** From the event until that silence ended. */
  readonly recoveredMs: number;
}

/**
 * Finds the longest silence between two neighbouring times, the first of which is the last before the event or
 * at most a second after it: what was on its way when a member died still arrives. Undefined when nothing came
 * after the event.
 * @param timesMs ascending
 */
export function interruptionBy(eventAtMs: number, timesMs: Float64Array): Interruption | undefined {
  let longest: Interruption | undefined;
  let before: number | undefined;
  for (const timeMs of timesMs) {
    if (timeMs > eventAtMs) {
      const silenceMs = timeMs - (before ?? eventAtMs);
      if (longest === undefined || silenceMs > longest.silenceMs)
        longest = { silenceMs, recoveredMs: timeMs - eventAtMs };
      if (timeMs > eventAtMs + SILENCE_BEGINS_MS_MAX) break;
    }
    before = timeMs;
  }
  return longest;
}

/** The value below or at which this share of the values lies; undefined for none. @param sorted ascending */
export function quantile(sorted: ArrayLike<number>, share: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}
