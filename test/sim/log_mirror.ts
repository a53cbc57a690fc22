import type { Entry } from '../../src/types/entry.ts';

/** The simulator's own copy of a log, or of the part of it that lies behind a base. */
export class LogMirror {
  #base: number;
  #baseTerm: number;
  #entries: Entry[];

  constructor(base: { index: number; term: number }, entries: readonly Entry[]) {
    this.#base = base.index;
    this.#baseTerm = base.term;
    this.#entries = [...entries];
  }

  get base(): number {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#base + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#baseTerm;
  }

  /** The entry at an index; undefined outside of the mirror. */
  at(index: number): Entry | undefined {
    return this.#entries[index - this.#base - 1];
  }

  /** Term of an entry or of the base; undefined elsewhere. */
  term(index: number): number | undefined {
    return index === this.#base ? this.#baseTerm : this.at(index)?.term;
  }

  /** Puts an entry at its index and drops what followed. */
  put(entry: Entry): void {
    this.#entries.length = entry.index - this.#base - 1;
    this.#entries.push(entry);
  }

  copy(): LogMirror {
    return new LogMirror({ index: this.#base, term: this.#baseTerm }, this.#entries);
  }

  *[Symbol.iterator](): Iterator<Entry> {
    yield* this.#entries;
  }
}

/**
 * What tells entries apart: the first four bytes of a client's command number it; other data are
 * short enough to be mixed whole.
 */
export function identityOf({ type, data }: Entry): number {
  if (type === 'noop') return 0;
  if (type === 'command') return new DataView(data.buffer, data.byteOffset).getUint32(0);
  let hash = 0x811c_9dc5;
  for (const byte of data) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return hash >>> 0;
}
