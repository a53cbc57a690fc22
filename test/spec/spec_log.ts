import type { TraceConfiguration, TraceEntry } from '../../src/driver/trace.ts';

/** An entry of a log; what a leader appended is known in full once it is written. */
export interface SpecEntry {
  readonly term: number;
  written: TraceEntry | undefined;
  configuration: TraceConfiguration | undefined;
}

export function specEntry(entry: TraceEntry): SpecEntry {
  return { term: entry.term, written: entry, configuration: entry.configuration };
}

/**
 * A log as a value. Versions of one log share their entries: appending to the latest one is cheap, and an
 * older one stays as it was. What is compacted away is still known here, though no longer part of the log.
 */
export class SpecLog {
  readonly baseIndex: number;
  readonly baseTerm: number;
  readonly lastIndex: number;
  /** The entry of index origin + 1 comes first. */
  readonly #origin: number;
  readonly #entries: SpecEntry[];

  private constructor(
    base: { index: number; term: number },
    lastIndex: number,
    entries: { origin: number; list: SpecEntry[] },
  ) {
    this.baseIndex = base.index;
    this.baseTerm = base.term;
    this.lastIndex = lastIndex;
    this.#origin = entries.origin;
    this.#entries = entries.list;
  }

  static from(base: { index: number; term: number }, entries: readonly TraceEntry[]): SpecLog {
    const list = entries.map(specEntry);
    return new SpecLog(base, base.index + list.length, { origin: base.index, list });
  }

  get lastTerm(): number {
    return this.termAt(this.lastIndex) ?? 0;
  }

  /** Undefined for what is not known: behind the end, or before all that the trace has shown. */
  termAt(index: number): number | undefined {
    if (index === this.baseIndex) return this.baseTerm;
    return this.at(index)?.term;
  }

  at(index: number): SpecEntry | undefined {
    return index > this.lastIndex ? undefined : this.#entries[index - this.#origin - 1];
  }

  append(entry: SpecEntry): SpecLog {
    const length = this.lastIndex - this.#origin;
    const list = length === this.#entries.length ? this.#entries : this.#entries.slice(0, length);
    list.push(entry);
    return this.#with({ lastIndex: this.lastIndex + 1, list });
  }

  truncatedTo(lastIndex: number): SpecLog {
    return this.#with({ lastIndex, list: this.#entries });
  }

  compactedTo(index: number): SpecLog {
    const term = this.termAt(index) ?? 0;
    const entries = { origin: this.#origin, list: this.#entries };
    return new SpecLog({ index, term }, this.lastIndex, entries);
  }

  /** Whether a log with this end is at least as complete as this one (section 3.6.1). */
  isNotAheadOf(lastTerm: number, lastIndex: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** The highest index up to which both logs are the same. */
  agreesWith(other: SpecLog): number {
    let index = Math.min(this.lastIndex, other.lastIndex);
    while (index > this.baseIndex && this.termAt(index) !== other.termAt(index)) index -= 1;
    return index;
  }

  #with({ lastIndex, list }: { lastIndex: number; list: SpecEntry[] }): SpecLog {
    const base = { index: this.baseIndex, term: this.baseTerm };
    return new SpecLog(base, lastIndex, { origin: this.#origin, list });
  }
}
