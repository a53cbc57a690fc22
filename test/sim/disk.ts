import type { LogReader } from '../../src/raft/options.ts';
import type { Entry, HardState } from '../../src/types/entry.ts';
import type { EventQueue } from './event_queue.ts';
import type { Dice } from './random.ts';

export interface DiskWrite {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** The write and all before it are durable. */
  readonly onDurable: () => void;
}

/**
 * The disk of one member: a log and a hard state as the write-ahead log keeps them. Writes become
 * durable in order, all that wait at the same moment with one fsync. A crash keeps what is durable and a
 * prefix, of any length, of the records under way. What can be read is what is durable.
 */
export class SimDisk implements LogReader {
  readonly firstIndex = 1;
  readonly log: Entry[] = [];
  hardState: HardState = { term: 0, vote: undefined };
  readonly #events: EventQueue;
  readonly #dice: Dice;
  readonly #fsyncMeanMs: number;
  #waiting: DiskWrite[] = [];
  #syncing: DiskWrite[] = [];
  /** Completions of an fsync begun before a crash mean nothing. */
  #epoch = 0;
  #stalledUntilMs = 0;

  readonly #onHardState: (before: HardState, after: HardState) => void;

  constructor(
    options: { fsyncMeanMs: number },
    dependencies: {
      events: EventQueue;
      dice: Dice;
      /** Told before a hard state replaces another on disk. */
      onHardState: (before: HardState, after: HardState) => void;
    },
  ) {
    this.#fsyncMeanMs = options.fsyncMeanMs;
    this.#onHardState = dependencies.onHardState;
    this.#events = dependencies.events;
    this.#dice = dependencies.dice;
  }

  get lastIndex(): number {
    return this.log.length;
  }

  term(index: number): number {
    return index === 0 ? 0 : this.log[index - 1]!.term;
  }

  entries(from: number, toInclusive: number, bytesMax: number): Entry[] {
    let bytes = 0;
    let end = from - 1;
    while (end < toInclusive) {
      bytes += this.log[end]!.data.length;
      if (bytes > bytesMax && end >= from) break;
      end += 1;
    }
    return this.log.slice(from - 1, end);
  }

  write(write: DiskWrite): void {
    this.#waiting.push(write);
    if (this.#syncing.length === 0) this.#sync();
  }

  stall(durationMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#events.nowMs + durationMs);
  }

  heal(): void {
    this.#stalledUntilMs = 0;
  }

  crash(): void {
    this.#epoch += 1;
    const records = [...this.#syncing, ...this.#waiting].flatMap(recordsOf);
    const kept = this.#dice.chance(0.5) ? 0 : this.#dice.integer(0, records.length);
    for (const record of records.slice(0, kept)) this.#keep(record);
    this.#syncing = [];
    this.#waiting = [];
    this.#stalledUntilMs = 0;
  }

  #sync(): void {
    this.#syncing = this.#waiting;
    this.#waiting = [];
    const epoch = this.#epoch;
    const complete = () => {
      if (this.#epoch !== epoch) return;
      const leftMs = this.#stalledUntilMs - this.#events.nowMs;
      if (leftMs > 0) this.#events.schedule(Math.min(leftMs, 50), complete);
      else this.#complete(epoch);
    };
    this.#events.schedule(this.#dice.exponential(this.#fsyncMeanMs), complete);
  }

  #complete(epoch: number): void {
    const done = this.#syncing;
    for (const write of done) {
      for (const record of recordsOf(write)) this.#keep(record);
      write.onDurable();
      if (this.#epoch !== epoch) return;
    }
    this.#syncing = [];
    if (this.#waiting.length > 0) this.#sync();
  }

  #keep(record: DiskRecord): void {
    if ('index' in record) {
      this.log.length = record.index - 1;
      this.log.push(record);
    } else {
      this.#onHardState(this.hardState, record);
      this.hardState = record;
    }
  }
}

type DiskRecord = Entry | HardState;

function recordsOf(write: DiskWrite): DiskRecord[] {
  return write.hardState === undefined ? [...write.entries] : [write.hardState, ...write.entries];
}
