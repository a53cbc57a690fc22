import { errorText } from '../../src/lib/error.ts';
import type { Configuration } from '../../src/types/configuration.ts';
import type { MemberId } from '../../src/types/entry.ts';
import { SimDisk } from './disk.ts';
import { emptyState, KeyValueStore } from './key_value_store.ts';
import { MachineClock } from './life.ts';
import type { MemberFacts } from './member_facts.ts';
import { SimProcess } from './process.ts';
import { violated } from './violation.ts';
import type { World } from './world.ts';

/** How long a supervisor waits before it starts a process again that ended by itself. */
const SUPERVISOR_MEAN_MS = 100;

/**
 * The machine of one member: its disk and its clocks, which survive, and the process that runs on it
 * at the moment.
 */
export class Machine {
  readonly id: MemberId;
  readonly disk: SimDisk;
  readonly clock: MachineClock;
  readonly facts: MemberFacts;
  /** State machines by generation of the data folder; they survive a crash as a database does. */
  readonly stores = new Map<number, KeyValueStore>();
  /** Version of the software that is started. */
  version: number;
  process: SimProcess | undefined;
  /** Generation of the data folder that the last process worked with. */
  generation = 1;
  /** What had been durable was damaged: the member must notice, or not need it. */
  damaged = false;
  /** The damage was noticed, or the disk is gone: this member never comes back. */
  lost = false;
  /** It applied that it is no member any more, and stopped. */
  removed = false;
  #damages = 0;
  #damagesAtStart = 0;
  readonly #world: World;
  readonly #start: Configuration;

  constructor(options: { id: MemberId; start: Configuration; version: number }, world: World) {
    const { settings, dice, events, checker } = world;
    this.id = options.id;
    this.version = options.version;
    this.#start = options.start;
    this.#world = world;
    this.facts = checker.addMember(options.id, options.start);
    this.disk = new SimDisk(
      { fsyncMeanMs: dice.pick(settings.fsyncMeansMs), pauseRate: settings.diskPauseRate },
      { events, dice },
    );
    this.clock = new MachineClock(
      {
        rate: dice.between(1 - settings.clockDrift, 1 + settings.clockDrift),
        wallOffsetMs: dice.between(-1e6, 1e6),
      },
      { events },
    );
  }

  get up(): boolean {
    return this.process !== undefined;
  }

  /** Starts a process, unless one runs or the machine is out of service. */
  start(): void {
    if (this.process !== undefined || this.lost || this.removed) return;
    this.disk.beginLife();
    this.#damagesAtStart = this.#damages;
    this.#world.trace(() => `${this.id} starts`);
    this.process = new SimProcess(this, this.#world);
    this.process.start();
  }

  /** The process is killed; the machine goes on, and what was written stays in its cache. */
  kill(): void {
    this.#endProcess();
    this.disk.kill();
    this.#crashStores();
  }

  /** The power fails. */
  powerOff(): void {
    this.#endProcess();
    this.disk.crash();
    this.#crashStores();
  }

  /** The disk is gone, and the member with it. */
  loseDisk(): void {
    this.#endProcess();
    this.lost = true;
  }

  /** The machine is switched off for good. */
  retire(): void {
    this.#endProcess();
    this.removed = true;
  }

  startAfter(delayMs: number): void {
    this.#world.events.schedule(delayMs, () => this.start());
  }

  /** The state of a generation as its database keeps it. */
  openStore(generation: number): KeyValueStore {
    this.generation = generation;
    let store = this.stores.get(generation);
    if (store === undefined) {
      if (generation !== 1)
        violated('a generation is complete', `member ${this.id}: ${generation}`);
      store = new KeyValueStore(emptyState(this.#start, this.#world.settings.registers));
      this.stores.set(generation, store);
    }
    return store;
  }

  /** What had been durable was damaged. */
  wasDamaged(): void {
    this.damaged = true;
    this.#damages += 1;
  }

  /** The process found everything in order, as it was when it started. */
  booted(): void {
    if (this.#damages === this.#damagesAtStart) this.damaged = false;
  }

  /** The process stopped as it was told; sooner or later it is started again. */
  stopped(): void {
    this.#endProcess();
    this.disk.kill();
    this.startAfter(this.#world.dice.exponential(SUPERVISOR_MEAN_MS));
  }

  /** A process that installed a snapshot starts again from it. */
  restartNow(): void {
    this.#endProcess();
    this.disk.kill();
    this.start();
  }

  removedFromCluster(): void {
    this.#world.trace(() => `${this.id} knows that it was removed`);
    this.retire();
  }

  /** The process ended by itself: it may do so only when something is wrong with its disk. */
  died(thrown: unknown, { booting }: { booting: boolean }): void {
    const { dice } = this.#world;
    if (this.damaged) {
      // Nobody can say what is missing: the operator replaces it.
      this.#endProcess();
      this.lost = true;
      return;
    }
    if (!this.disk.troubled) {
      this.#world.fail(
        new Error(
          `member ${this.id} ${booting ? 'cannot start' : 'stopped'}: ${errorText(thrown)}`,
          {
            cause: thrown,
          },
        ),
      );
      return;
    }
    // What a failed write or sync left is as uncertain as after a power failure.
    this.powerOff();
    this.startAfter(dice.exponential(SUPERVISOR_MEAN_MS));
  }

  #endProcess(): void {
    this.process?.life.end();
    this.process = undefined;
  }

  #crashStores(): void {
    for (const store of this.stores.values()) store.crash(this.#world.dice.random());
  }
}
