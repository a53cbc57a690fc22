import type { SnapshotWanted } from '../../src/raft/ready.ts';
import type { MemberId } from '../../src/types/entry.ts';
import type { StoreState } from './key_value_store.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** A piece that does not arrive is asked for again after this time. */
const RETRY_MS = 60;
/** A sender that is not heard for so many pieces is given up; the leader will name another. */
const RETRIES_MAX = 5;
const PIECES_MAX = 5;

/** A snapshot being sent; it ends with the process that sends it. */
interface Sending {
  readonly process: SimProcess;
  readonly state: StoreState;
  readonly pieces: number;
}

/** What is asked for next. */
interface Step {
  readonly from: MemberId;
  /** Undefined before the first answer. */
  readonly sending: Sending | undefined;
  readonly piece: number;
  readonly retries: number;
}

/** Fetches the state of another member piece by piece over the simulated network. */
export class SnapshotFetch {
  readonly #process: SimProcess;
  readonly #world: World;
  readonly #complete: (state: StoreState) => void;
  #active = false;
  /** Number of the step whose answer is awaited; answers to earlier ones fit nothing. */
  #asked = 0;

  constructor(process: SimProcess, world: World, complete: (state: StoreState) => void) {
    this.#process = process;
    this.#world = world;
    this.#complete = complete;
  }

  /** The leader named a sender; a fetch that is under way goes on. */
  want({ from }: SnapshotWanted): void {
    if (this.#active) return;
    this.#active = true;
    this.#ask({ from, sending: undefined, piece: 0, retries: 0 });
  }

  #ask(step: Step): void {
    if (step.retries > RETRIES_MAX) {
      this.#active = false;
      return;
    }
    this.#asked += 1;
    const asked = this.#asked;
    const { life, id } = this.#process;
    const { network } = this.#world;
    const { from } = step;
    const cancel = life.later(RETRY_MS, () => this.#ask({ ...step, retries: step.retries + 1 }));
    network.carry({ from: id, to: from }, () => {
      const sending = this.#serve(step);
      if (sending === undefined) return;
      network.carry({ from, to: id }, () =>
        life.run(() => {
          if (asked !== this.#asked) return;
          cancel();
          this.#take(step, sending);
        }),
      );
    });
  }

  /** The sender goes on with what it began, or begins anew when it has been restarted. */
  #serve({ from, sending }: Step): Sending | undefined {
    const { machines, dice } = this.#world;
    const process = machines.get(from)?.process;
    if (process === undefined || process.life.paused) return undefined;
    if (sending?.process === process) return sending;
    const { state } = process;
    return state && { process, state, pieces: dice.integer(1, PIECES_MAX) };
  }

  #take({ from, sending: before, piece }: Step, sending: Sending): void {
    const next = sending === before ? piece + 1 : 1;
    if (next < sending.pieces) {
      this.#ask({ from, sending, piece: next, retries: 0 });
      return;
    }
    this.#asked += 1;
    this.#active = false;
    this.#complete(sending.state);
  }
}
