import { assert } from '../lib/assert.ts';
import { decodeConfiguration } from '../types/configuration.ts';
import type { Entry } from '../types/entry.ts';
import type { LogReader } from './options.ts';
import type { IndexedConfiguration } from './ready.ts';

/** Entry bytes read at once when a member starts. */
const LOAD_BYTES = 1024 * 1024;

/**
 * The configurations that the log may still fall back to. A member uses the last one in its log, committed
 * or not (dissertation 4.1); when that entry is truncated, the one before is in force again.
 */
export class ConfigurationLog {
  /** Ascending by index. The first is the last one known to be committed, the others are not. */
  #held: IndexedConfiguration[];

  constructor(committed: IndexedConfiguration) {
    this.#held = [committed];
  }

  get inForce(): IndexedConfiguration {
    const last = this.#held.at(-1);
    assert(last !== undefined, 'a configuration is always in force');
    return last;
  }

  /** Those that may come to count: the last committed one and all behind it. */
  get held(): readonly IndexedConfiguration[] {
    return this.#held;
  }

  /** Takes in what the log holds from an index on. */
  load(reader: LogReader, from: number): void {
    for (let next = Math.max(from, reader.firstIndex); next <= reader.lastIndex; ) {
      const entries = reader.entries(next, reader.lastIndex, LOAD_BYTES);
      assert(entries.length > 0, 'the log reader returns at least one entry');
      this.append(entries);
      next += entries.length;
    }
  }

  /** Follows what was put into the log: what stood from the first index on is gone. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    while (this.inForce.index >= first.index) this.#held.pop();
    for (const { index, type, data } of entries) {
      if (type !== 'configuration') continue;
      this.#held.push({ index, configuration: decodeConfiguration(data) });
    }
  }

  /** What a committed configuration superseded never comes back. */
  committedTo(index: number): void {
    while ((this.#held[1]?.index ?? Number.POSITIVE_INFINITY) <= index) this.#held.shift();
  }
}
