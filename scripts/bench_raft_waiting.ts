import type { RaftDriver } from '../src/driver/raft_driver.ts';
import type { Entry } from '../src/types/entry.ts';

/** Called with why the command was refused, or nobody knows its fate; undefined once it is applied here. */
export type Answer = (refusal: string | undefined) => void;

interface Waiting {
  readonly index: number;
  readonly term: number;
  readonly answer: Answer;
}

/** Proposals that this member took as leader and that are not applied yet, in the order of their indexes. */
export class WaitingProposals {
  #waiting: Waiting[] = [];
  #first = 0;

  /** Proposes one command. */
  propose(driver: RaftDriver, command: Uint8Array, answer: Answer): void {
    const accepted = driver.propose([command]);
    if ('refused' in accepted) answer(accepted.refused);
    else this.#waiting.push({ ...accepted, answer });
  }

  applied(entries: readonly Entry[]): void {
    for (const { index, term } of entries) {
      const waiting = this.#waiting[this.#first];
      if (waiting === undefined) break;
      if (waiting.index !== index) continue;
      this.#first += 1;
      waiting.answer(waiting.term === term ? undefined : 'another entry took its place');
    }
    if (this.#first < 1024 && this.#first < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }

  /** Nobody knows what becomes of them when another member leads. */
  leadershipLost(): void {
    const lost = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    for (const { answer } of lost) answer('the leader changed: the outcome is unknown');
  }
}
