import { assert } from '../lib/assert.ts';
import type { Entry, HardState } from '../types/entry.ts';
import { ENTRY_OVERHEAD_BYTES, type LogReader } from './options.ts';
import type { PersistToken } from './ready.ts';

/**
 * The log as the core sees it: the durable part through the reader, and behind it the unstable tail
 * that storage has not yet reported durable. Entries leave the tail only through `persisted`, so a
 * write that was overtaken by a truncation never makes the entries that replaced it look durable.
 */
export class RaftLog {
  readonly #reader: LogReader;
  /** The entries after #stableIndex, in order. */
  #unstable: Entry[] = [];
  #stableIndex: number;
  #stableTerm: number;
  /** Last index handed to storage as it is now; entries above it go out with the next Ready. */
  #handedIndex: number;
  #sequence = 0;
  readonly #writes: Write[] = [];
  #ticks = 0;
  #durableHardState: HardState;

  constructor(reader: LogReader, hardState: HardState) {
    this.#reader = reader;
    this.#stableIndex = reader.lastIndex;
    this.#handedIndex = reader.lastIndex;
    this.#stableTerm = this.#readTerm(reader.lastIndex);
    this.#durableHardState = hardState;
  }

  get firstIndex(): number {
    return this.#reader.firstIndex;
  }

  get lastIndex(): number {
    return this.#stableIndex + this.#unstable.length;
  }

  get lastTerm(): number {
    return this.#unstable.at(-1)?.term ?? this.#stableTerm;
  }

  /** Everything up to here is durable on this member. */
  get stableIndex(): number {
    return this.#stableIndex;
  }

  /** The term and vote that a restart would find. */
  get durableHardState(): HardState {
    return this.#durableHardState;
  }

  /** For how long storage has been busy with the oldest write that it has not reported. */
  get pendingTicks(): number {
    const oldest = this.#writes[0];
    return oldest === undefined ? 0 : this.#ticks - oldest.tick;
  }

  tick(): void {
    this.#ticks += 1;
  }

  /** Term of an entry, 0 for index 0; undefined when the index lies outside of the log. */
  term(index: number): number | undefined {
    if (index > this.lastIndex || index < this.#reader.firstIndex - 1) return undefined;
    if (index > this.#stableIndex) return this.#unstable[index - this.#stableIndex - 1]?.term;
    return index === this.#stableIndex ? this.#stableTerm : this.#readTerm(index);
  }

  /** Term of an index that must lie in the log. */
  requiredTerm(index: number): number {
    const term = this.term(index);
    assert(term !== undefined, `index ${index} lies in the log`);
    return term;
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log with this end is at least as complete as ours (dissertation 3.6.1). */
  isUpToDate(lastTerm: number, lastIndex: number): boolean {
    const ownTerm = this.lastTerm;
    return lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex);
  }

  /**
   * The highest index at or below `index` whose term is at most `term`. Terms never fall along a
   * log, so a binary search finds it: a conflict of any length costs one round trip a term, and few reads.
   * An answer below firstIndex - 1 says only that the logs agree nowhere that is still held.
   */
  lastIndexAtMostTerm(index: number, term: number): number {
    let low = this.#reader.firstIndex - 1;
    let high = Math.min(index, this.lastIndex);
    if (high < low) return high;
    if ((this.term(low) ?? 0) > term) return low - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.term(middle) ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Puts entries at their index, dropping whatever stood from there on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index <= this.lastIndex + 1, 'the log has no gaps');
    assert(first.index >= this.#reader.firstIndex, 'compacted entries are not written again');
    if (first.index <= this.lastIndex) this.#truncateFrom(first.index);
    assert(first.term >= this.lastTerm, 'terms never fall along the log');
    for (const entry of entries) this.#unstable.push(entry);
  }

  /** Entries from an index on until their bytes exceed the limit, at least one if there is any. */
  entriesFrom(from: number, bytesMax: number): Entry[] {
    const last = this.lastIndex;
    if (from > last) return [];
    const taken: Entry[] = [];
    let bytes = 0;
    if (from <= this.#stableIndex) {
      for (const entry of this.#reader.entries(from, this.#stableIndex, bytesMax)) {
        assert(entry.index === from + taken.length, 'the log reader returns what was asked for');
        bytes += entryBytes(entry);
        // The reader counts data alone.
        if (bytes > bytesMax && taken.length > 0) return taken;
        taken.push(entry);
      }
      assert(taken.length > 0, 'the log reader returns at least one entry');
      if (from + taken.length <= this.#stableIndex) return taken;
    }
    let position = from + taken.length - this.#stableIndex - 1;
    for (; position < this.#unstable.length; position += 1) {
      const entry = this.#unstable[position];
      if (entry === undefined) break;
      bytes += entryBytes(entry);
      if (bytes > bytesMax && taken.length > 0) break;
      taken.push(entry);
    }
    return taken;
  }

  /** What storage must write next, or undefined; the token names this write when it is durable. */
  takeWrite(hardState: HardState | undefined): LogWrite | undefined {
    const entries = this.#unstable.slice(this.#handedIndex - this.#stableIndex);
    if (hardState === undefined && entries.length === 0) return undefined;
    this.#handedIndex = this.lastIndex;
    this.#sequence += 1;
    this.#writes.push({
      sequence: this.#sequence,
      lastIndex: this.lastIndex,
      hardState,
      tick: this.#ticks,
    });
    return { hardState, entries, token: { sequence: this.#sequence } };
  }

  /** Takes storage's word that a write and all before it are durable; late repeats change nothing. */
  persisted(token: PersistToken): void {
    assert(token.sequence <= this.#sequence, 'storage reports only writes that it was given');
    let done = 0;
    let stable = this.#stableIndex;
    for (const write of this.#writes) {
      if (write.sequence > token.sequence) break;
      done += 1;
      stable = Math.max(stable, write.lastIndex);
      if (write.hardState !== undefined) this.#durableHardState = write.hardState;
    }
    this.#writes.splice(0, done);
    const count = stable - this.#stableIndex;
    if (count === 0) return;
    this.#stableTerm = this.#unstable[count - 1]?.term ?? 0;
    this.#unstable.splice(0, count);
    this.#stableIndex = stable;
  }

  #truncateFrom(index: number): void {
    if (index > this.#stableIndex) {
      this.#unstable.length = index - this.#stableIndex - 1;
    } else {
      this.#unstable = [];
      this.#stableIndex = index - 1;
      this.#stableTerm = this.#readTerm(index - 1);
    }
    this.#handedIndex = Math.min(this.#handedIndex, index - 1);
    // The ABA guard: a write under way proves nothing about entries that replace its own.
    for (const write of this.#writes) write.lastIndex = Math.min(write.lastIndex, index - 1);
  }

  #readTerm(index: number): number {
    return index === 0 ? 0 : this.#reader.term(index);
  }
}

/** What must become durable together. */
export interface LogWrite {
  readonly hardState: HardState | undefined;
  readonly entries: Entry[];
  readonly token: PersistToken;
}

/** A write handed to storage; it proves entries durable up to lastIndex. */
interface Write {
  readonly sequence: number;
  lastIndex: number;
  readonly hardState: HardState | undefined;
  /** When it was handed over. */
  readonly tick: number;
}

/** What an entry counts for in every limit of bytes. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}
