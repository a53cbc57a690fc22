import type { Message } from '../../src/raft/messages.ts';
import type { MemberId } from '../../src/types/entry.ts';
import { Chaos } from './chaos.ts';
import { Checker, violated } from './checker.ts';
import { SimDisk } from './disk.ts';
import { EventQueue } from './event_queue.ts';
import { type MemberDependencies, type MemberOptions, SimMember } from './member.ts';
import { type NetworkOptions, SimNetwork } from './network.ts';
import { Dice } from './random.ts';

export type MemberConstructor = new (
  options: MemberOptions,
  dependencies: MemberDependencies,
) => SimMember;

export interface SimulationOptions {
  readonly seed: number;
  /** Always the churn of leaders that is otherwise drawn for some seeds. */
  readonly churn?: boolean;
  /** The real member, or one with a deliberate defect. */
  readonly member?: MemberConstructor;
  /** Told what happens, for a person who replays a seed. */
  readonly trace?: (line: string) => void;
}

export interface SimulationResult {
  readonly events: number;
  readonly acknowledged: number;
  readonly servedReads: number;
  readonly elections: number;
  readonly crashes: number;
}

const TICK_MS = 10;
const CHAOS_MS = 8_000;
/** Healed, the cluster must agree, or at least catch up further, within this time: fifty election timeouts. */
const CONVERGENCE_MS = 5_000;
const POLL_MS = 25;

/**
 * A whole cluster in one process and in virtual time, driven by one seed: its size, the quality of its
 * network and disks, the load, and every fault. Throws an InvariantViolation, or whatever a core throws.
 */
export class Simulation {
  readonly checker = new Checker();
  readonly members = new Map<MemberId, SimMember>();
  readonly network: SimNetwork;
  readonly events = new EventQueue();
  readonly dice: Dice;
  readonly trace: (line: string) => void;
  /**
   * Leaders fall in their first moments and entries travel one by one: the histories of figure 8, with
   * entries of several terms on different minorities, come up often only here.
   */
  readonly churn: boolean;
  crashes = 0;
  #nextCommand = 0;
  readonly #loadMeanMs: number;
  readonly #dataBytesMax: number;
  #loading = true;

  constructor(options: SimulationOptions) {
    const dice = new Dice(options.seed);
    this.dice = dice;
    const trace = options.trace;
    this.trace = trace
      ? (line) => trace(`${this.events.nowMs.toFixed(2)} ${line}`)
      : () => undefined;
    this.#loadMeanMs = dice.pick([3, 10, 30]);
    this.#dataBytesMax = dice.pick([4, 4, 200]);
    const deliver = (message: Message) => this.#deliver(message);
    const { events } = this;
    this.network = new SimNetwork(drawNetwork(dice), { events, dice, deliver });
    this.churn = dice.chance(0.2) || options.churn === true;
    const size = this.churn ? 5 : dice.pick([3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 4, 2]);
    const voters = Array.from({ length: size }, (_, position) => position + 1);
    const Member = options.member ?? SimMember;
    const common = drawMember(dice, voters, this.churn);
    for (const id of voters) {
      const { checker } = this;
      const onHardState = checker.stored.bind(checker, id);
      const disk = new SimDisk(
        { fsyncMeanMs: dice.pick([0.3, 2, 8]) },
        { events, dice, onHardState },
      );
      const send = (message: Message) => this.#send(message);
      this.members.set(id, new Member({ ...common, id }, { events, dice, disk, checker, send }));
    }
  }

  run(): SimulationResult {
    for (const member of this.members.values()) {
      member.start();
      this.#tick(member, TICK_MS * this.dice.between(0.8, 1.2));
    }
    this.#load();
    const chaos = new Chaos(this);
    chaos.start();
    this.#runUntil(() => this.events.nowMs >= CHAOS_MS);
    chaos.stop();
    this.#loading = false;
    this.#converge();
    const { checker, events, crashes } = this;
    const { acknowledged, servedReads, elections } = checker;
    return { events: events.executed, acknowledged, servedReads, elections, crashes };
  }

  leader(): SimMember | undefined {
    let leader: SimMember | undefined;
    for (const member of this.members.values()) {
      if (!member.up || member.status.role !== 'leader') continue;
      if (leader === undefined || member.status.term > leader.status.term) leader = member;
    }
    return leader;
  }

  #runUntil(done: () => boolean): void {
    while (!done()) {
      if (!this.events.step()) violated('liveness', 'nothing is left to happen');
    }
  }

  /** Faults have stopped: one leader, equal logs, a fresh write on all members, a read from each. */
  #converge(): void {
    let deadlineMs = this.events.nowMs + CONVERGENCE_MS;
    let nextPollMs = 0;
    let stored = 0;
    let fresh = { index: 0, term: 0 };
    this.#runUntil(() => {
      const { nowMs } = this.events;
      if (nowMs > deadlineMs) violated('liveness', this.#describe());
      if (nowMs < nextPollMs) return false;
      nextPollMs = nowMs + POLL_MS;
      const storedBefore = stored;
      stored = this.#storedEntries();
      if (stored > storedBefore) deadlineMs = nowMs + CONVERGENCE_MS;
      const leader = this.leader();
      const { term = 0 } = leader?.status ?? {};
      if (leader && term !== fresh.term && leader.propose([this.#command()]))
        fresh = { index: leader.status.lastIndex, term };
      if (leader === undefined || term !== fresh.term) return false;
      return this.#agreedOn(fresh.index) && this.#everyMemberServesReads();
    });
  }

  #storedEntries(): number {
    let stored = 0;
    for (const member of this.members.values()) stored += member.disk.lastIndex;
    return stored;
  }

  #agreedOn(index: number): boolean {
    const members = [...this.members.values()];
    const { term, commit } = members[0]!.status;
    return members.every(({ status, applied }) => {
      const agreed = status.commit === commit && applied === commit && status.lastIndex === commit;
      return agreed && commit >= index && status.term === term && status.leader !== undefined;
    });
  }

  readonly #readsAsked = new Map<SimMember, number>();

  #everyMemberServesReads(): boolean {
    let served = true;
    for (const member of this.members.values()) {
      const before = this.#readsAsked.get(member);
      if (before === undefined) {
        this.#readsAsked.set(member, member.servedReads);
        member.read();
        served = false;
      } else if (member.servedReads === before) {
        if (member.openReads === 0) member.read();
        served = false;
      }
    }
    return served;
  }

  #tick(member: SimMember, intervalMs: number): void {
    this.events.schedule(intervalMs, () => {
      member.tick();
      this.#tick(member, intervalMs);
    });
  }

  #load(): void {
    this.events.schedule(this.dice.exponential(this.#loadMeanMs), () => {
      if (!this.#loading) return;
      const { dice } = this;
      const anyone = dice.pick([...this.members.values()]);
      if (dice.chance(0.4)) {
        anyone.read();
      } else {
        const member = dice.chance(0.8) ? (this.leader() ?? anyone) : anyone;
        member.propose(Array.from({ length: dice.integer(1, 4) }, () => this.#command()));
      }
      this.#load();
    });
  }

  #command(): Uint8Array {
    this.#nextCommand += 1;
    const data = new Uint8Array(this.dice.integer(4, this.#dataBytesMax));
    new DataView(data.buffer).setUint32(0, this.#nextCommand);
    return data;
  }

  #send(message: Message): void {
    this.trace(`${message.from} sends ${describe(message)}`);
    this.network.send(message);
  }

  #deliver(message: Message): void {
    this.trace(`${message.to} gets ${describe(message)}`);
    this.members.get(message.to)?.receive(message);
  }

  #describe(): string {
    const states = [...this.members.values()].map((member) => {
      const { applied, servedReads, openReads, status } = member;
      return JSON.stringify({ ...status, applied, servedReads, openReads });
    });
    return `no agreement ${CONVERGENCE_MS} ms after the last progress: ${states.join(' ')}`;
  }
}

function drawNetwork(dice: Dice): NetworkOptions {
  return {
    lossRate: dice.pick([0, 0.02, 0.1, 0.25]),
    duplicateRate: dice.pick([0, 0.02, 0.2]),
    delayMeanMs: dice.pick([0.3, 2, 6]),
    lateRate: dice.pick([0, 0.01, 0.05]),
    clogRate: dice.pick([0, 0.5]),
    encoded: dice.chance(0.25),
  };
}

function drawMember(dice: Dice, voters: MemberId[], churn: boolean): Omit<MemberOptions, 'id'> {
  const tight = churn || dice.chance(0.3);
  return {
    voters,
    electionTicks: dice.pick([5, 10, 10]),
    heartbeatTicks: 2,
    maxAppendBytes: tight ? dice.pick([1, 60]) : 4096,
    maxInflightAppends: tight ? dice.integer(1, 4) : 32,
    maxUncommittedBytes: tight ? dice.integer(100, 2_000) : 100_000,
    gatherMs: dice.pick([0, 0.1, 2]),
    applyMeanMs: dice.pick([0, 0, 5]),
  };
}

function describe(message: Message): string {
  if (message.type !== 'append') return JSON.stringify(message);
  const { entries, ...rest } = message;
  const terms = entries.map((entry) => entry.term);
  return JSON.stringify({ ...rest, terms });
}
