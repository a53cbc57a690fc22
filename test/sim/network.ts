import { decodeMessage, encodeMessage, type Message } from '../../src/raft/messages.ts';
import type { MemberId } from '../../src/types/entry.ts';
import type { EventQueue } from './event_queue.ts';
import type { Dice } from './random.ts';

export interface NetworkOptions {
  readonly lossRate: number;
  readonly duplicateRate: number;
  readonly delayMeanMs: number;
  /** Share of messages that take fifty times as long. */
  readonly lateRate: number;
  /** Messages travel as bytes. */
  readonly encoded: boolean;
}

/** Every message finds its own way: it may be lost, doubled, late, and overtake others. */
export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #events: EventQueue;
  readonly #dice: Dice;
  readonly #deliver: (message: Message) => void;
  readonly #blocked = new Set<string>();
  #calm = false;

  constructor(
    options: NetworkOptions,
    dependencies: { events: EventQueue; dice: Dice; deliver: (message: Message) => void },
  ) {
    this.#options = options;
    this.#events = dependencies.events;
    this.#dice = dependencies.dice;
    this.#deliver = dependencies.deliver;
  }

  send(message: Message): void {
    const dice = this.#dice;
    const { lossRate, duplicateRate, encoded } = this.#options;
    if (!this.#calm && dice.chance(lossRate)) return;
    const bytes = encoded ? encodeMessage(message) : undefined;
    const copies = !this.#calm && dice.chance(duplicateRate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1)
      this.#events.schedule(this.#delayMs(), () => {
        if (this.#blocked.has(link(message.from, message.to))) return;
        this.#deliver(bytes === undefined ? message : decodeMessage(bytes));
      });
  }

  /** Nothing passes in this direction. */
  block(from: MemberId, to: MemberId): void {
    this.#blocked.add(link(from, to));
  }

  unblockAll(): void {
    this.#blocked.clear();
  }

  /** The faults are over. */
  calm(): void {
    this.#calm = true;
    this.unblockAll();
  }

  #delayMs(): number {
    const late = !this.#calm && this.#dice.chance(this.#options.lateRate);
    return this.#dice.exponential(this.#options.delayMeanMs) * (late ? 50 : 1);
  }
}

function link(from: MemberId, to: MemberId): string {
  return `${from}>${to}`;
}
