import { join } from 'node:path';
import type { MemberId } from '../../src/types/entry.ts';
import { Ambush } from './ambush.ts';
import { MEMBER_FOLDER } from './disk.ts';
import type { Fault } from './faults.ts';
import type { Machine } from './machine.ts';
import type { Operator } from './operator.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

const WALL_JUMP_MS = 3_600_000;
/** A wall clock that is corrected is set back by about this much. */
const CLOCK_STEP_MS = 1_000;

/** Breaks one thing after another while it runs, and puts everything right when it stops. */
export class Chaos {
  crashes = 0;
  readonly #world: World;
  readonly #operator: Operator;
  readonly #leader: () => SimProcess | undefined;
  readonly #downMeanMs: number;
  #running = true;

  constructor(world: World, operator: Operator, leader: () => SimProcess | undefined) {
    this.#world = world;
    this.#operator = operator;
    this.#leader = leader;
    this.#downMeanMs = world.dice.pick([20, 100, 300]);
  }

  start(): void {
    this.#strikeSometimes();
    new Ambush(this.#world, this.#leader, {
      after: (delayMs, run) => this.#after(delayMs, run),
      strike: (fault, machine) => this.#strike(fault, machine),
    }).start();
    if (this.#world.settings.upgrade) this.#upgradeOne();
  }

  /** Everything works from now on. */
  stop(): void {
    this.#running = false;
    const { network, machines } = this.#world;
    network.calm();
    const version = Math.max(...[...machines.values()].map((each) => each.version));
    for (const machine of machines.values()) {
      machine.disk.heal();
      const { process } = machine;
      process?.life.resume();
      // After what waited while it was paused, which may be another fence.
      process?.life.later(0, () => process.driver?.setEligible(true));
      // A process that is up may not know what its disk has lost.
      if (machine.up && (machine.damaged || machine.version < version)) machine.powerOff();
      machine.version = version;
      machine.start();
    }
  }

  #strikeSometimes(): void {
    const { dice, settings } = this.#world;
    this.#after(dice.exponential(settings.faultMeanMs), () => {
      const action = dice.pick(settings.faults);
      this.#strike(action, this.#victim(action));
      this.#strikeSometimes();
    });
  }

  /** One member after another is started again with the next version. */
  #upgradeOne(): void {
    const { dice, machines } = this.#world;
    this.#after(dice.exponential(800), () => {
      const old = [...machines.values()].filter(({ version, up }) => up && version === 1);
      if (old.length > 0) {
        const machine = dice.pick(old);
        machine.version = 2;
        this.#down(machine, () => machine.process?.stop());
      }
      this.#upgradeOne();
    });
  }

  #victim(action: Fault): Machine {
    const { dice, machines } = this.#world;
    const wanted = action.endsWith('Leader') ? this.#leader()?.machine : undefined;
    return wanted ?? dice.pick([...machines.values()]);
  }

  #strike(action: Fault, victim: Machine): void {
    const { dice, network, machines } = this.#world;
    this.#world.trace(() => `chaos: ${action} ${victim.id}`);
    switch (action) {
      case 'kill':
      case 'killLeader':
        this.#down(victim, () => victim.kill());
        break;
      case 'powerOff':
        this.#down(victim, () => victim.powerOff());
        break;
      case 'powerOffAll':
        for (const machine of machines.values()) this.#down(machine, () => machine.powerOff());
        break;
      case 'stopInOrder':
        this.#down(victim, () => victim.process?.stop());
        break;
      case 'isolate':
      case 'isolateLeader':
        this.#separate(new Set([victim.id]));
        break;
      case 'split':
        this.#separate(new Set([...machines.keys()].filter(() => dice.chance(0.5))));
        break;
      case 'blockOneWay':
        network.block(victim.id, dice.pick([...machines.keys()]));
        break;
      case 'clog':
        this.#clog(victim.id, dice.pick([...machines.keys()]));
        break;
      case 'flapLink':
        this.#flap(victim.id, dice.pick([...machines.keys()]), dice.integer(2, 20));
        break;
      case 'open':
        network.openSome(0.5);
        break;
      default:
        this.#strikeMachine(action, victim);
        break;
    }
  }

  #strikeMachine(action: Fault, victim: Machine): void {
    const { dice } = this.#world;
    switch (action) {
      case 'pause':
      case 'pauseLeader':
        this.#pause(victim, 150);
        break;
      case 'isolateAndPauseLeader':
        // Time stands still for it: it goes on believing that it leads.
        this.#separate(new Set([victim.id]));
        this.#pause(victim, 300);
        break;
      case 'isolateAndResetLeader':
        // Its wall clock is set back: it may believe that no time has passed.
        this.#separate(new Set([victim.id]));
        this.#pause(victim, 300);
        victim.clock.jump(-dice.exponential(CLOCK_STEP_MS));
        break;
      case 'transferAndIsolateLeader':
        this.#instruct('transfer', victim);
        this.#after(dice.exponential(dice.pick([1, 10])), () =>
          this.#separate(new Set([victim.id])),
        );
        break;
      case 'suspend':
        victim.clock.suspended(this.#pause(victim, 300));
        break;
      case 'jumpWallClock':
        victim.clock.jump(dice.between(-WALL_JUMP_MS, WALL_JUMP_MS));
        break;
      case 'breakConnection':
      case 'transfer':
      case 'fence':
        this.#instruct(action, victim);
        break;
      default:
        this.#strikeDisk(action, victim);
        break;
    }
  }

  #strikeDisk(action: Fault, victim: Machine): void {
    const { dice } = this.#world;
    const { disk } = victim;
    switch (action) {
      case 'stallDisk':
        disk.stall(dice.exponential(dice.pick([200, 200, 3_000])));
        break;
      case 'failOperation':
        disk.failOperation();
        break;
      case 'fillDisk':
        disk.fill();
        this.#after(dice.exponential(300), () => disk.heal());
        break;
      case 'failReads':
        disk.failReads();
        this.#after(dice.exponential(200), () => disk.heal());
        break;
      case 'flipBit':
      case 'misdirectWrite':
        this.#damage(action, victim).catch(this.#world.fail);
        break;
      case 'loseDisk':
        if (!victim.lost && this.#operator.mayHarm(victim.id)) victim.loseDisk();
        break;
      default:
        break;
    }
  }

  /** Destroys a little of what had been durable, and often lets the member find out at once. */
  async #damage(action: 'flipBit' | 'misdirectWrite', victim: Machine): Promise<void> {
    if (victim.lost || victim.damaged || !this.#operator.mayHarm(victim.id)) return;
    const { dice } = this.#world;
    const directory = join(MEMBER_FOLDER, `generation-${victim.generation}`, 'log');
    const { disk } = victim;
    const flips = action === 'flipBit';
    if (!(await (flips ? disk.flipBit(directory) : disk.misdirectWrite(directory)))) return;
    victim.wasDamaged();
    if (dice.chance(0.7)) this.#down(victim, () => victim.powerOff());
  }

  #instruct(action: 'breakConnection' | 'transfer' | 'fence', victim: Machine): void {
    const { dice, machines } = this.#world;
    const other = dice.pick([...machines.keys()]);
    const { process } = victim;
    if (process === undefined) return;
    switch (action) {
      case 'breakConnection':
        process.peerDisconnected(other);
        this.#after(dice.exponential(20), () => process.peerConnected(other));
        break;
      case 'transfer':
        process.life.run(() => process.driver?.transferLeadership(other));
        break;
      case 'fence':
        process.life.run(() => process.driver?.setEligible(false));
        this.#after(dice.exponential(300), () =>
          process.life.run(() => process.driver?.setEligible(true)),
        );
        break;
    }
  }

  /** Stops the process for a while. @returns for how long */
  #pause(victim: Machine, meanMs: number): number {
    const durationMs = this.#world.dice.exponential(meanMs);
    const life = victim.process?.life;
    life?.pause();
    this.#after(durationMs, () => life?.resume());
    return durationMs;
  }

  #down(machine: Machine, takeDown: () => void): void {
    if (!machine.up) return;
    const { dice, network } = this.#world;
    takeDown();
    this.crashes += 1;
    if (dice.chance(0.5)) network.loseSentBy(machine.id);
    this.#tellOthers(machine, (other) => other.peerDisconnected(machine.id));
    this.#after(dice.exponential(this.#downMeanMs), () => {
      machine.start();
      this.#tellOthers(machine, (other) => other.peerConnected(machine.id));
    });
  }

  /** Connections notice a crash soon, or not at all when the machine is gone with the process. */
  #tellOthers(machine: Machine, tell: (other: SimProcess) => void): void {
    const { dice, machines } = this.#world;
    if (dice.chance(0.3)) return;
    for (const other of machines.values())
      if (other !== machine)
        this.#after(dice.exponential(1), () => other.process && tell(other.process));
  }

  #separate(group: ReadonlySet<MemberId>): void {
    const { dice, machines, network } = this.#world;
    for (const from of machines.keys())
      for (const to of machines.keys())
        if (group.has(from) !== group.has(to)) network.block(from, to);
    if (dice.chance(0.8))
      this.#after(dice.exponential(200), () => network.openSome(dice.pick([0.5, 1])));
  }

  #clog(from: MemberId, to: MemberId): void {
    const { dice, network } = this.#world;
    network.clog(from, to);
    this.#after(dice.exponential(200), () => network.open(from, to));
  }

  #flap(from: MemberId, to: MemberId, times: number): void {
    const { dice, network } = this.#world;
    if (network.isOpen(from, to)) network.block(from, to);
    else network.open(from, to);
    if (times > 0) this.#after(dice.exponential(15), () => this.#flap(from, to, times - 1));
    else network.open(from, to);
  }

  #after(delayMs: number, run: () => void): void {
    this.#world.events.schedule(delayMs, () => {
      if (this.#running) run();
    });
  }
}
