import { assert } from '../lib/assert.ts';
import { copyBytes } from '../lib/bytes.ts';
import type { Entry } from '../types/entry.ts';

/** What an entry costs in memory beside its data, roughly: its object, and a buffer of its own. */
const ENTRY_OVERHEAD_BYTES = 512;
/**
 * Slots of dropped entries are given back once there are this many, and as many as entries that
 * are kept.
 */
const SLOTS_COMPACT_MIN = 1024;

/** The newest entries of the log, within a limit of bytes. */
export class EntryCache {
  readonly #bytesMax: number;
  #slots: (Entry | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(options: { bytesMax: number }) {
    this.#bytesMax = options.bytesMax;
  }

  /**
   * Adds an entry after the last, or in the place of an earlier one, which cuts everything from
   * there on.
   */
  push(entry: Entry): void {
    for (let last = this.#slots.at(-1); last !== undefined && last.index >= entry.index; ) {
      this.#slots.pop();
      this.#bytes -= costOf(last);
      last = this.#slots.length > this.#head ? this.#slots.at(-1) : undefined;
    }
    this.#slots.push(withOwnData(entry));
    this.#bytes += costOf(entry);
    while (this.#bytes > this.#bytesMax) this.#dropOldest();
    if (this.#head > SLOTS_COMPACT_MIN && this.#head > this.#slots.length / 2) {
      this.#slots = this.#slots.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Drops the entries up to the index. */
  dropTo(index: number): void {
    for (let oldest = this.#slots[this.#head]; oldest !== undefined && oldest.index <= index; ) {
      this.#dropOldest();
      oldest = this.#slots[this.#head];
    }
  }

  #dropOldest(): void {
    const oldest = this.#slots[this.#head];
    assert(oldest !== undefined, 'the cache counts its bytes');
    this.#slots[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= costOf(oldest);
  }

  get(index: number): Entry | undefined {
    const first = this.#slots[this.#head];
    return first === undefined || index < first.index
      ? undefined
      : this.#slots[this.#head + index - first.index];
  }
}

/** What came over the network is a view of a larger buffer: in the cache it would keep all of that for its own bytes. */
function withOwnData(entry: Entry): Entry {
  const { data } = entry;
  return data.length === data.buffer.byteLength ? entry : { ...entry, data: copyBytes(data) };
}

function costOf(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}
