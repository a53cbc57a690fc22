import type { Fault } from './faults.ts';
import type { Machine } from './machine.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

const WATCH_MS = 1;
/** Shares of leaders that are struck when they are new, when histories part. */
const NEW_LEADER_RATES = [0, 0.3, 0.8];
const CHURN_RATE = 0.9;
/** Share of changes of the membership that are struck in their midst. */
const CHANGE_RATE = 0.3;
/** Shares of what a process does beside serving that are struck in their midst. */
const TASK_RATES = { boot: 0.1, compaction: 0.1, install: 0.5 };
const DELAYS_MEAN_MS = [0.1, 1, 5, 20];

const ON_LEADERS = [
  'killLeader',
  'killLeader',
  'killLeader',
  'isolateLeader',
  'isolateAndPauseLeader',
] as const;
const ON_TASKS = ['powerOff', 'powerOff', 'kill'] as const;

/** What an ambush needs of whoever breaks things. */
interface Striker {
  /** Runs something later, unless the faults are over by then. */
  readonly after: (delayMs: number, run: () => void) => void;
  readonly strike: (fault: Fault, machine: Machine) => void;
}

/** Waits for the moments in which a fault does the most harm. */
export class Ambush {
  readonly #world: World;
  readonly #leader: () => SimProcess | undefined;
  readonly #striker: Striker;
  readonly #newLeaderRate: number;
  /** What was met already: the highest term of a leader, the last change, the task of each process. */
  #term = 0;
  #change = 0;
  readonly #tasks = new WeakMap<SimProcess, SimProcess['task']>();

  constructor(world: World, leader: () => SimProcess | undefined, striker: Striker) {
    this.#world = world;
    this.#leader = leader;
    this.#striker = striker;
    const { dice, settings } = world;
    this.#newLeaderRate = settings.churn ? CHURN_RATE : dice.pick(NEW_LEADER_RATES);
  }

  start(): void {
    this.#striker.after(WATCH_MS, () => {
      this.#watchLeader();
      this.#watchTasks();
      this.start();
    });
  }

  #watchLeader(): void {
    const leader = this.#leader();
    const core = leader?.core?.inside;
    if (leader === undefined || core === undefined) return;
    const { term, commit, configurations } = core;
    const { index } = configurations.inForce;
    const isNew = term > this.#term;
    const changes = index > commit && index !== this.#change;
    this.#term = Math.max(term, this.#term);
    if (changes) this.#change = index;
    if (isNew) this.#strikeSometimes(this.#newLeaderRate, ON_LEADERS, leader);
    else if (changes && this.#newLeaderRate > 0)
      this.#strikeSometimes(CHANGE_RATE, ON_LEADERS, leader);
  }

  #watchTasks(): void {
    for (const { process } of this.#world.machines.values()) {
      if (process === undefined || this.#tasks.get(process) === process.task) continue;
      const { task } = process;
      this.#tasks.set(process, task);
      if (task !== undefined) this.#strikeSometimes(TASK_RATES[task], ON_TASKS, process);
    }
  }

  #strikeSometimes(rate: number, faults: readonly Fault[], { machine }: SimProcess): void {
    const { dice } = this.#world;
    if (!dice.chance(rate)) return;
    const fault = dice.pick(faults);
    this.#striker.after(dice.exponential(dice.pick(DELAYS_MEAN_MS)), () =>
      this.#striker.strike(fault, machine),
    );
  }
}
