import type { TraceSink } from '../../src/driver/trace.ts';
import type { Message } from '../../src/raft/messages.ts';
import {
  type Configuration,
  initialConfiguration,
  isJoint,
} from '../../src/types/configuration.ts';
import type { MemberId } from '../../src/types/entry.ts';
import { Chaos } from './chaos.ts';
import { Checker } from './checker.ts';
import { Client } from './client.ts';
import { EventQueue, microtasksDrained } from './event_queue.ts';
import { ClientHistory } from './history.ts';
import { Machine } from './machine.ts';
import { SimNetwork } from './network.ts';
import { Operator, recordOf } from './operator.ts';
import type { SimProcess } from './process.ts';
import { Dice } from './random.ts';
import { drawSettings, type Wishes } from './settings.ts';
import { violated } from './violation.ts';
import type { Defect, World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly wishes?: Wishes;
  /** What is wrong with all members; nothing when it is left out. */
  readonly defect?: Defect;
  /** Told what happens, for a person who replays a seed. */
  readonly trace?: (line: string) => void;
  /** Given for each start of a member; takes what test/spec checks. */
  readonly protocolTrace?: (member: MemberId) => TraceSink;
}

export interface SimulationResult {
  readonly events: number;
  /** Equal for equal runs. */
  readonly digest: number;
  readonly acknowledged: number;
  readonly servedReads: number;
  readonly elections: number;
  readonly crashes: number;
  readonly members: number;
  readonly installs: number;
  /** Members whose data were destroyed, and which noticed. */
  readonly lost: number;
}

const CHAOS_MS = 6_000;
/** Healed, the cluster must agree, or at least get further, within this time: fifty election timeouts. */
const CONVERGENCE_MS = 8_000;
/** However far it gets, it must be done by then. */
const END_MS = 60_000;
const POLL_MS = 25;

/**
 * A whole cluster in one process and in virtual time, driven by one seed: its size, the quality of its
 * network, disks and clocks, the load, and every fault. Rejects with an InvariantViolation, or
 * with whatever ended a healthy member.
 */
export class Simulation {
  readonly #world: World;
  readonly #events = new EventQueue();
  readonly #history = new ClientHistory();
  readonly #clients: Client[] = [];
  readonly #operator: Operator;
  readonly #chaos: Chaos;
  /** Processes that did something in this event. */
  #touched: SimProcess[] = [];
  #failure: { readonly thrown: unknown } | undefined;

  constructor({ seed, wishes = {}, defect = {}, trace, protocolTrace }: SimulationOptions) {
    const dice = new Dice(seed);
    const events = this.#events;
    const settings = drawSettings(dice, wishes);
    const machines = new Map<MemberId, Machine>();
    const network = new SimNetwork(settings.network, {
      events,
      dice,
      deliver: (message) => this.#deliver(message),
      versionOf: (member) => machines.get(member)?.version ?? 0,
    });
    const ids = Array.from({ length: settings.size }, (_, position) => position + 1);
    const initial = initialConfiguration(ids.map((id) => recordOf(id)));
    this.#world = {
      settings,
      events,
      dice,
      checker: new Checker(),
      network,
      history: this.#history,
      machines,
      defect,
      initial,
      protocolTrace,
      trace: (line) => trace?.(`${events.nowMs.toFixed(2)} ${line()}`),
      fail: (thrown) => {
        this.#failure ??= { thrown };
      },
      touch: (process) => this.#touched.push(process),
    };
    const leader = () => this.leader();
    for (const id of ids)
      machines.set(id, new Machine({ id, start: initial, version: 1 }, this.#world));
    for (let id = 1; id <= settings.clients; id += 1)
      this.#clients.push(new Client(id, { world: this.#world, leader }));
    this.#operator = new Operator(this.#world, leader);
    this.#chaos = new Chaos(this.#world, this.#operator, leader);
  }

  async run(): Promise<SimulationResult> {
    const { machines, checker } = this.#world;
    for (const machine of machines.values()) machine.start();
    for (const client of this.#clients) client.start();
    this.#operator.start();
    this.#chaos.start();
    await this.#runUntil(() => this.#events.nowMs >= CHAOS_MS);
    this.#chaos.stop();
    this.#operator.calm();
    await this.#converge();
    for (const client of this.#clients) client.leave();
    this.#history.requireLinearizable();
    const { acknowledged, servedReads } = this.#history;
    return {
      events: this.#events.executed,
      digest: this.#events.digest,
      acknowledged,
      servedReads,
      elections: checker.elections,
      crashes: this.#chaos.crashes,
      members: machines.size,
      installs: checker.installs,
      lost: [...machines.values()].filter(({ lost }) => lost).length,
    };
  }

  /** Of those that believe to lead, the one of the highest term. */
  leader(): SimProcess | undefined {
    let leader: SimProcess | undefined;
    let term = 0;
    for (const { process } of this.#world.machines.values()) {
      if (process === undefined || !process.leads) continue;
      const own = process.core?.inside.term ?? 0;
      if (own > term) {
        leader = process;
        term = own;
      }
    }
    return leader;
  }

  /** One event after another; after each, everything that it set off, and a look at who took part. */
  async #runUntil(done: () => boolean): Promise<void> {
    while (!done()) {
      if (!this.#events.step()) violated('liveness', 'nothing is left to happen');
      await microtasksDrained();
      const touched = this.#touched;
      if (touched.length > 0) {
        this.#touched = [];
        for (const process of touched) process.look();
      }
      if (this.#failure !== undefined) throw this.#failure.thrown;
    }
  }

  #deliver(message: Message): void {
    this.#world.trace(() => `${message.to} gets ${describe(message)}`);
    this.#events.note(message.from * 64 + message.term);
    this.#world.machines.get(message.to)?.process?.receive(message);
  }

  /**
   * Faults have stopped: one leader, no member lost, equal logs on all members, writes that go on,
   * and a read from each.
   */
  async #converge(): Promise<void> {
    let deadlineMs = this.#events.nowMs + CONVERGENCE_MS;
    let nextPollMs = 0;
    let best = 0;
    let stopped = false;
    const readers = new Map<MemberId, SimProcess | 'served'>();
    const acknowledged = this.#history.acknowledged;
    await this.#runUntil(() => {
      const { nowMs } = this.#events;
      if (nowMs > Math.min(deadlineMs, END_MS)) violated('liveness', this.#describe());
      if (nowMs < nextPollMs) return false;
      nextPollMs = nowMs + POLL_MS;
      const progress = this.#progress();
      if (progress > best) deadlineMs = nowMs + CONVERGENCE_MS;
      best = Math.max(best, progress);
      const leader = this.leader();
      const core = leader?.core?.inside;
      if (leader === undefined || core === undefined) return false;
      const { index, configuration } = core.configurations.inForce;
      if (index > core.commit) return false;
      if (this.#operator.hasLost(configuration) || isJoint(configuration)) return false;
      if (this.#history.acknowledged <= acknowledged) return false;
      if (!stopped) for (const client of this.#clients) client.stop();
      stopped = true;
      this.#retireOthers(configuration);
      return this.#agrees(leader, configuration) && this.#serves(configuration, readers);
    });
  }

  /** Rises as long as the cluster gets anywhere; writes of clients alone do not count for ever. */
  #progress(): number {
    const { machines, checker } = this.#world;
    let stored = checker.committedConfiguration;
    for (const { process } of machines.values()) stored += process?.core?.inside.commit ?? 0;
    return stored;
  }

  /** Machines that are no members are switched off, unless they are about to join. */
  #retireOthers({ members }: Configuration): void {
    for (const machine of this.#world.machines.values())
      if (machine.up && !members.some(({ id }) => id === machine.id)) machine.retire();
  }

  #agrees(leader: SimProcess, { members }: Configuration): boolean {
    const known = leader.core?.inside;
    if (known === undefined || known.commit !== known.log.lastIndex) return false;
    return members.every(({ id }) => {
      const process = this.#world.machines.get(id)?.process;
      const core = process?.core?.inside;
      if (core === undefined || core.log.lastIndex !== known.commit) return false;
      const { term, commit, leader: followed } = core;
      return (
        term === known.term &&
        commit === known.commit &&
        followed === leader.id &&
        process?.state?.applied === commit
      );
    });
  }

  #serves({ members }: Configuration, readers: Map<MemberId, SimProcess | 'served'>): boolean {
    let served = true;
    for (const { id } of members) {
      const asked = readers.get(id);
      if (asked === 'served') continue;
      served = false;
      const process = this.#world.machines.get(id)?.process;
      // Who was asked and has been restarted since does not answer any more.
      if (process === undefined || process === asked) continue;
      readers.set(id, process);
      process.read(0, new AbortController().signal, (answer) => {
        if (answer === 'refused') readers.delete(id);
        else readers.set(id, 'served');
      });
    }
    return served;
  }

  #describe(): string {
    const states = [...this.#world.machines.values()].map((machine) => {
      const { id, lost, removed, up, damaged } = machine;
      const status = machine.process?.driver?.status();
      return JSON.stringify({ id, lost, removed, up, damaged, status });
    });
    return `no agreement, ${CONVERGENCE_MS} ms after the last progress or too late:\n${states.join('\n')}`;
  }
}

function describe(message: Message): string {
  if (message.type !== 'append') return JSON.stringify(message);
  const { entries, ...rest } = message;
  return JSON.stringify({ ...rest, terms: entries.map((entry) => entry.term) });
}
