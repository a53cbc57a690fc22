import type { MemberId } from '../../src/types/entry.ts';
import type { SimMember } from './member.ts';
import type { Simulation } from './simulation.ts';

/** What goes wrong, and how often relative to the rest. */
const ACTIONS = {
  crash: 10,
  crashLeader: 6,
  powerLoss: 1,
  isolate: 5,
  isolateLeader: 5,
  split: 5,
  blockOneWay: 8,
  unblock: 12,
  pause: 8,
  pauseLeader: 4,
  isolateAndPauseLeader: 4,
  stallDisk: 6,
  flapConnection: 5,
  transfer: 5,
  stepDown: 2,
  fence: 3,
} as const;

type Action = keyof typeof ACTIONS;

const WEIGHTED: readonly Action[] = Object.entries(ACTIONS).flatMap(([action, weight]) =>
  Array.from({ length: weight }, () => action as Action),
);

const AMBUSHES = [
  'crashLeader',
  'crashLeader',
  'crashLeader',
  'isolateLeader',
  'isolateAndPauseLeader',
] as const;
const WATCH_MS = 1;

/** Breaks one thing after another while it runs, and puts everything right when it stops. */
export class Chaos {
  readonly #simulation: Simulation;
  readonly #meanMs: number;
  readonly #downMeanMs: number;
  /** Share of new leaders that are struck in their first moments, when histories part. */
  readonly #ambushRate: number;
  #ambushedTerm = 0;
  #running = true;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    const { churn, dice } = simulation;
    this.#downMeanMs = dice.pick([20, 100, 300]);
    this.#meanMs = churn ? 600 : dice.pick([20, 60, 200, 600]);
    this.#ambushRate = churn ? 0.9 : dice.pick([0, 0.3, 0.8]);
  }

  start(): void {
    this.#strikeSometimes();
    if (this.#ambushRate > 0) this.#watchForLeaders();
  }

  #watchForLeaders(): void {
    const { dice } = this.#simulation;
    this.#after(WATCH_MS, () => {
      const leader = this.#simulation.leader();
      const term = leader?.status.term ?? 0;
      if (leader && term > this.#ambushedTerm) {
        this.#ambushedTerm = term;
        const action = dice.pick(AMBUSHES);
        if (dice.chance(this.#ambushRate))
          this.#after(dice.exponential(dice.pick([0.1, 1, 5, 20])), () =>
            this.#strike(action, leader),
          );
      }
      this.#watchForLeaders();
    });
  }

  #strikeSometimes(): void {
    const { events, dice, trace } = this.#simulation;
    events.schedule(dice.exponential(this.#meanMs), () => {
      if (!this.#running) return;
      const action = dice.pick(WEIGHTED);
      const victim = this.#victim(action);
      trace(`chaos: ${action} ${victim.id}`);
      this.#strike(action, victim);
      this.#strikeSometimes();
    });
  }

  stop(): void {
    this.#running = false;
    this.#simulation.network.calm();
    for (const member of this.#simulation.members.values()) {
      member.resume();
      if (!member.up) this.#restart(member);
      member.disk.heal();
      member.input((raft) => raft.setEligible(true));
    }
  }

  #victim(action: Action): SimMember {
    const { leader, dice, members } = this.#simulation;
    const wanted = action.endsWith('Leader') ? leader.call(this.#simulation) : undefined;
    return wanted ?? dice.pick([...members.values()]);
  }

  #strike(action: Action, victim: SimMember): void {
    const { dice, network, members } = this.#simulation;
    switch (action) {
      case 'crash':
      case 'crashLeader':
        this.#crash(victim, dice.exponential(this.#downMeanMs));
        break;
      case 'powerLoss':
        for (const member of members.values()) this.#crash(member, dice.exponential(30));
        break;
      case 'isolate':
      case 'isolateLeader':
        this.#separate(new Set([victim.id]));
        break;
      case 'split':
        this.#separate(new Set([...members.keys()].filter(() => dice.chance(0.5))));
        break;
      case 'blockOneWay':
        network.block(victim.id, dice.pick([...members.keys()]));
        break;
      case 'unblock':
        network.unblock(0.5);
        break;
      case 'pause':
      case 'pauseLeader':
        victim.pause();
        this.#after(dice.exponential(150), () => victim.resume());
        break;
      case 'isolateAndPauseLeader':
        // Time stands still for it: it goes on believing that it leads.
        this.#separate(new Set([victim.id]));
        victim.pause();
        this.#after(dice.exponential(300), () => victim.resume());
        break;
      case 'stallDisk':
        victim.disk.stall(dice.exponential(200));
        break;
      default:
        this.#instruct(action, victim);
        break;
    }
  }

  #instruct(action: 'flapConnection' | 'transfer' | 'stepDown' | 'fence', victim: SimMember): void {
    const { dice, members } = this.#simulation;
    const other = dice.pick([...members.keys()]);
    switch (action) {
      case 'flapConnection':
        victim.input((raft) => raft.peerDisconnected(other));
        this.#after(dice.exponential(20), () => victim.input((raft) => raft.peerConnected(other)));
        break;
      case 'transfer':
        victim.input((raft) => raft.transferLeadership(other));
        break;
      case 'stepDown':
        victim.input((raft) => raft.stepDown());
        break;
      case 'fence':
        victim.input((raft) => raft.setEligible(false));
        this.#after(dice.exponential(300), () => victim.input((raft) => raft.setEligible(true)));
        break;
    }
  }

  #crash(member: SimMember, downMs: number): void {
    if (!member.up) return;
    member.crash();
    if (this.#simulation.dice.chance(0.5)) this.#simulation.network.loseSentBy(member.id);
    this.#simulation.crashes += 1;
    this.#tellOthers(member, (other) => other.input((raft) => raft.peerDisconnected(member.id)));
    this.#after(downMs, () => this.#restart(member));
  }

  #restart(member: SimMember): void {
    if (member.up) return;
    member.start();
    this.#tellOthers(member, (other) => other.input((raft) => raft.peerConnected(member.id)));
  }

  /** Connections notice a crash soon, or not at all when the machine is gone with the process. */
  #tellOthers(member: SimMember, tell: (other: SimMember) => void): void {
    const { dice, members } = this.#simulation;
    if (dice.chance(0.3)) return;
    for (const other of members.values())
      if (other !== member) this.#after(dice.exponential(1), () => tell(other));
  }

  #separate(group: ReadonlySet<MemberId>): void {
    const { dice, members, network } = this.#simulation;
    for (const from of members.keys())
      for (const to of members.keys())
        if (group.has(from) !== group.has(to)) network.block(from, to);
    if (dice.chance(0.8))
      this.#after(dice.exponential(200), () => network.unblock(dice.pick([0.5, 1])));
  }

  #after(delayMs: number, run: () => void): void {
    this.#simulation.events.schedule(delayMs, () => {
      if (this.#running) run();
    });
  }
}
