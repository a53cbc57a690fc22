import { decodeMessage, encodeMessage } from '../../src/raft/message_codec.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { MemberId } from '../../src/types/entry.ts';
import type { EventQueue } from './event_queue.ts';
import type { Dice } from './random.ts';

export interface NetworkOptions {
  readonly lossRate: number;
  readonly duplicateRate: number;
  readonly delayMeanMs: number;
  /** Share of messages that take fifty times as long. */
  readonly lateRate: number;
  /** Share of messages on a blocked link that are held back until it is free, not lost. */
  readonly clogRate: number;
  /** Messages travel as bytes. */
  readonly encoded: boolean;
}

const HELD_MAX = 1_000;

/** Every message finds its own way: it may be lost, doubled, late, and overtake others. */
export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #events: EventQueue;
  readonly #dice: Dice;
  readonly #deliver: (message: Message) => void;
  readonly #blocked = new Set<string>();
  /** Rises when what a member has under way is lost. */
  readonly #epochs = new Map<MemberId, number>();
  #held: Message[] = [];
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
    if (this.#blocked.has(link(message.from, message.to))) {
      if (this.#held.length < HELD_MAX && dice.chance(this.#options.clogRate))
        this.#held.push(message);
      return;
    }
    if (!this.#calm && dice.chance(lossRate)) return;
    const bytes = encoded ? encodeMessage(message) : undefined;
    const copies = !this.#calm && dice.chance(duplicateRate) ? 2 : 1;
    const epoch = this.#epochs.get(message.from);
    for (let copy = 0; copy < copies; copy += 1)
      this.#events.schedule(this.#delayMs(), () => {
        if (this.#epochs.get(message.from) !== epoch) return;
        this.#deliver(bytes === undefined ? message : decodeMessage(bytes));
      });
  }

  /** The machine of a member is gone, and what it had sent with it. */
  loseSentBy(from: MemberId): void {
    this.#epochs.set(from, (this.#epochs.get(from) ?? 0) + 1);
  }

  /** Nothing more passes in this direction but what is under way. */
  block(from: MemberId, to: MemberId): void {
    this.#blocked.add(link(from, to));
  }

  /** Frees each blocked direction with this probability; what it held back arrives. */
  unblock(probability: number): void {
    for (const blocked of this.#blocked)
      if (this.#dice.chance(probability)) this.#blocked.delete(blocked);
    const held = this.#held;
    this.#held = [];
    for (const message of held) {
      if (this.#blocked.has(link(message.from, message.to))) this.#held.push(message);
      else this.send(message);
    }
  }

  /** The faults are over. */
  calm(): void {
    this.#calm = true;
    this.unblock(1);
  }

  #delayMs(): number {
    const late = !this.#calm && this.#dice.chance(this.#options.lateRate);
    return this.#dice.exponential(this.#options.delayMeanMs) * (late ? 50 : 1);
  }
}

function link(from: MemberId, to: MemberId): string {
  return `${from}>${to}`;
}
