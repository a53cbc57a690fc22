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
  /** Messages of one member to another arrive in their order, as in a stream. */
  readonly ordered: boolean;
  /** Messages travel as bytes. */
  readonly encoded: boolean;
}

/** Messages held back on clogged links; more are lost. */
const HELD_MAX = 1_000;
const MEMBERS_MAX = 4_096;
const LATE_FACTOR = 50;

/** What stands between two members, in one direction. */
type Obstacle = 'blocked' | 'clogged';

/** Every message finds its own way: it may be lost, doubled, late, and overtake others. */
export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #events: EventQueue;
  readonly #dice: Dice;
  readonly #deliver: (message: Message) => void;
  /** Version of the protocol that a member speaks now; others are refused. */
  readonly #versionOf: (member: MemberId) => number;
  readonly #obstacles = new Map<number, Obstacle>();
  /** Rises when what a member has under way is lost. */
  readonly #epochs = new Map<MemberId, number>();
  /** When the last message of an ordered link arrives. */
  readonly #arrivals = new Map<number, number>();
  #held: { from: MemberId; to: MemberId; arrive: () => void }[] = [];
  #calm = false;

  constructor(
    options: NetworkOptions,
    dependencies: {
      events: EventQueue;
      dice: Dice;
      deliver: (message: Message) => void;
      versionOf: (member: MemberId) => number;
    },
  ) {
    this.#options = options;
    this.#events = dependencies.events;
    this.#dice = dependencies.dice;
    this.#deliver = dependencies.deliver;
    this.#versionOf = dependencies.versionOf;
  }

  send(message: Message): void {
    const bytes = this.#options.encoded ? encodeMessage(message) : undefined;
    this.carry(message, () => this.#deliver(bytes === undefined ? message : decodeMessage(bytes)));
  }

  /** Takes anything from one member to another, if the network and the versions of both allow it. */
  carry({ from, to }: { from: MemberId; to: MemberId }, arrive: () => void): void {
    const dice = this.#dice;
    const { lossRate, duplicateRate } = this.#options;
    const obstacle = this.#obstacles.get(link(from, to));
    if (obstacle === 'clogged' && this.#held.length < HELD_MAX)
      this.#held.push({ from, to, arrive });
    if (obstacle !== undefined) return;
    if (!this.#calm && dice.chance(lossRate)) return;
    const version = this.#versionOf(from);
    const copies = !this.#calm && dice.chance(duplicateRate) ? 2 : 1;
    const epoch = this.#epochs.get(from);
    for (let copy = 0; copy < copies; copy += 1)
      this.#events.schedule(this.#delayMs(from, to), () => {
        if (this.#epochs.get(from) === epoch && this.#versionOf(to) === version) arrive();
      });
  }

  /** Whether messages pass in this direction. */
  isOpen(from: MemberId, to: MemberId): boolean {
    return this.#obstacles.get(link(from, to)) === undefined;
  }

  /** The machine of a member is gone, and what it had sent with it. */
  loseSentBy(from: MemberId): void {
    this.#epochs.set(from, (this.#epochs.get(from) ?? 0) + 1);
  }

  /** Nothing more passes in this direction but what is under way. */
  block(from: MemberId, to: MemberId): void {
    this.#obstacles.set(link(from, to), 'blocked');
  }

  /** What is sent in this direction waits until it is opened, and arrives at once then. */
  clog(from: MemberId, to: MemberId): void {
    this.#obstacles.set(link(from, to), 'clogged');
  }

  open(from: MemberId, to: MemberId): void {
    this.#obstacles.delete(link(from, to));
    this.#release();
  }

  /** Opens each direction with this probability. */
  openSome(probability: number): void {
    for (const obstacle of this.#obstacles.keys())
      if (this.#dice.chance(probability)) this.#obstacles.delete(obstacle);
    this.#release();
  }

  /** The faults are over. */
  calm(): void {
    this.#calm = true;
    this.openSome(1);
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    for (const freight of held) this.carry(freight, freight.arrive);
  }

  #delayMs(from: MemberId, to: MemberId): number {
    const { delayMeanMs, lateRate, ordered } = this.#options;
    const late = !this.#calm && this.#dice.chance(lateRate);
    const delayMs = this.#dice.exponential(delayMeanMs) * (late ? LATE_FACTOR : 1);
    if (!ordered) return delayMs;
    const { nowMs } = this.#events;
    const arrivalMs = Math.max(nowMs + delayMs, this.#arrivals.get(link(from, to)) ?? 0);
    this.#arrivals.set(link(from, to), arrivalMs);
    return arrivalMs - nowMs;
  }
}

function link(from: MemberId, to: MemberId): number {
  return from * MEMBERS_MAX + to;
}
