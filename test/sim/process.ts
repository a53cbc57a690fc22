import { type DurableLog, RaftDriver } from '../../src/driver/raft_driver.ts';
import type { Logger } from '../../src/lib/environment.ts';
import { errorText } from '../../src/lib/error.ts';
import type { Message } from '../../src/raft/messages.ts';
import { Raft } from '../../src/raft/raft.ts';
import {
  beginGeneration,
  commitGeneration,
  type Generation,
  openGeneration,
  removeOtherGenerations,
} from '../../src/storage/generations.ts';
import { isMember } from '../../src/types/configuration.ts';
import type { Entry } from '../../src/types/entry.ts';
import { Wal } from '../../src/wal/wal.ts';
import { type Command, encodeCommand } from './command.ts';
import { MEMBER_FOLDER } from './disk.ts';
import { KeyValueStore, type Outcome, type StoreState } from './key_value_store.ts';
import { Life } from './life.ts';
import { LogMirror } from './log_mirror.ts';
import type { Machine } from './machine.ts';
import { type ObservedCore, observedCore } from './observed_core.ts';
import { SnapshotFetch } from './snapshot_fetch.ts';
import { InvariantViolation } from './violation.ts';
import type { World } from './world.ts';

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
/** A member that stops in order hands over first, for at most this long. */
const HAND_OVER_MS = 200;
const HAND_OVER_POLL_MS = 5;

/** What became of a request, as its client hears of it: nothing when the process dies before. */
export interface Served {
  /** Index whose state the answer shows. */
  readonly index: number;
  /** Undefined when the request was overtaken by a later one of the same client. */
  readonly output: number | boolean | null | undefined;
}

interface Proposal {
  readonly term: number;
  readonly answer: (served: Served | 'refused') => void;
}

interface Running {
  readonly generation: Generation;
  readonly wal: Wal;
  readonly store: KeyValueStore;
  readonly core: ObservedCore;
  readonly driver: RaftDriver;
}

/**
 * One process of a member: the real write-ahead log on the simulated disk, the real core, the real
 * driver, and a small state machine. How it ends is the machine's business.
 */
export class SimProcess {
  readonly machine: Machine;
  readonly life: Life;
  readonly #world: World;
  readonly #snapshots: SnapshotFetch;
  #running: Running | undefined;
  #stopping = false;
  /** What it does beside serving. */
  task: 'boot' | 'compaction' | 'install' | undefined = 'boot';
  readonly #proposals = new Map<number, Proposal>();

  constructor(machine: Machine, world: World) {
    this.machine = machine;
    this.#world = world;
    const onTurn = () => world.touch(this);
    this.life = new Life({ events: world.events, onTurn });
    this.#snapshots = new SnapshotFetch(this, world, (state) => this.#offer(state));
  }

  get id(): number {
    return this.machine.id;
  }

  /** Undefined while the process boots or installs a snapshot. */
  get core(): ObservedCore | undefined {
    return this.#running?.core;
  }

  get driver(): RaftDriver | undefined {
    return this.#running?.driver;
  }

  get state(): StoreState | undefined {
    return this.#running?.store.state;
  }

  get leads(): boolean {
    return this.core?.inside.isLeader === true;
  }

  start(): void {
    this.life.run(() => this.#guard(this.#boot()));
  }

  /** Looks at the core after a step. */
  look(): void {
    if (!this.life.over) this.core?.look();
  }

  receive(message: Message): void {
    this.life.deliver(() => this.driver?.receive(message));
  }

  peerConnected(peer: number): void {
    this.life.run(() => this.driver?.peerConnected(peer));
  }

  peerDisconnected(peer: number): void {
    this.life.run(() => this.driver?.peerDisconnected(peer));
  }

  /** Asks for a change. */
  write(command: Command, answer: (served: Served | 'refused') => void): void {
    this.life.deliver(() => {
      const { dice, settings } = this.#world;
      const data = encodeCommand(command, dice.integer(0, settings.paddingBytesMax));
      const accepted = this.driver?.propose([data]) ?? { refused: 'booting' };
      if ('refused' in accepted) answer('refused');
      else this.#proposals.set(accepted.index, { term: accepted.term, answer });
    });
  }

  /** Asks for a register. */
  read(register: number, signal: AbortSignal, answer: (served: Served | 'refused') => void): void {
    this.life.deliver(() => {
      const running = this.#running;
      if (running === undefined) {
        answer('refused');
        return;
      }
      const served = () => {
        const { applied, registers } = running.store.state;
        return { index: applied, output: registers[register] ?? null };
      };
      running.driver
        .linearize(signal)
        .then(served, () => 'refused' as const)
        .then((result) => {
          if (!this.life.over) answer(result);
        })
        .catch(this.#world.fail);
    });
  }

  /** Stops in order, as at SIGTERM: hands over, waits for what is under way, closes the log. */
  stop(): void {
    this.life.run(() => this.#guard(this.#stop()));
  }

  async #boot(): Promise<void> {
    const { machine, life } = this;
    const { checker, settings, dice, defect } = this.#world;
    await machine.disk.settle();
    const folders = machine.disk.mountFolders(life);
    const generation = await openGeneration(MEMBER_FOLDER, folders);
    const store = machine.openStore(generation.number);
    await removeOtherGenerations(MEMBER_FOLDER, generation, folders);
    const wal = await Wal.open(this.#walOptions(generation), {
      fileSystem: machine.disk.mount(life),
      logger: SILENT,
    });
    const { applied, configuration } = store.state;
    const log = mirrorOf(wal);
    checker.recovered(machine.facts, { hardState: wal.hardState, log }, { applied, configuration });
    const durable = this.#observed(defect.log?.(wal, this) ?? wal);
    const options = {
      ...settings.raft,
      id: this.id,
      hardState: wal.hardState,
      applied,
      configuration,
    };
    const core = observedCore(defect.core ?? Raft, options, {
      log: durable,
      random: dice.random,
      checker,
      facts: machine.facts,
    });
    const driver = this.#driver(core, durable, store);
    this.#running = { generation, wal, store, core, driver };
    driver.start();
    this.task = undefined;
    this.#keepHouse();
    machine.booted();
  }

  #driver(core: ObservedCore, log: DurableLog, store: KeyValueStore): RaftDriver {
    const { settings, defect } = this.#world;
    const { life } = this;
    const clock = this.machine.clock.forLife(life);
    return new RaftDriver(
      { tickMs: settings.tickMs, applied: store.state.applied },
      {
        raft: core,
        log,
        stateMachine: { apply: (entries) => this.#apply(store, entries) },
        clock: defect.clock?.(clock) ?? clock,
        defer: (callback) => {
          life.later(this.#world.dice.between(0, settings.gatherMs), callback);
        },
        send: (message) => this.#send(message),
        onLeadership: () => undefined,
        onConfiguration: () => undefined,
        onSnapshotWanted: (wanted) => this.#snapshots.want(wanted),
        onFatal: (thrown) => this.#die(thrown),
        trace: this.#world.protocolTrace?.(this.id),
      },
    );
  }

  #send(message: Message): void {
    if (this.life.over) return;
    const said = this.#world.defect.say?.(message, this) ?? message;
    this.#world.checker.sent(said);
    this.#world.network.send(said);
  }

  /** The log as the driver and the core use it; the checker hears of every write and of its end. */
  #observed(log: DurableLog): DurableLog {
    const { checker } = this.#world;
    const { facts } = this.machine;
    return {
      get firstIndex() {
        return log.firstIndex;
      },
      get lastIndex() {
        return log.lastIndex;
      },
      term: (index) => log.term(index),
      entries: (from, toInclusive, bytesMax) => log.entries(from, toInclusive, bytesMax),
      append: async (write) => {
        checker.writes(facts, write.hardState, write.entries);
        await log.append(write);
        if (!this.life.over) facts.persisted();
      },
    };
  }

  async #apply(store: KeyValueStore, entries: readonly Entry[]): Promise<number> {
    const { dice, settings, checker, history, events } = this.#world;
    const count = dice.integer(1, entries.length);
    if (settings.applyMeanMs > 0) await this.life.sleep(dice.exponential(settings.applyMeanMs));
    store.apply(entries.slice(0, count), (entry, outcome, digest) => {
      checker.applied(this.id, entry, digest);
      if (outcome !== undefined) history.took(outcome.command, outcome.output, events.executed);
      this.#answer(entry, outcome);
    });
    const { applied, configuration } = store.state;
    const { highestId } = configuration.configuration;
    if (this.id <= highestId && !isMember(configuration.configuration, this.id))
      this.life.later(0, () => this.machine.removedFromCluster());
    return applied;
  }

  #answer(entry: Entry, outcome: Outcome | undefined): void {
    const proposal = this.#proposals.get(entry.index);
    if (proposal === undefined) return;
    this.#proposals.delete(entry.index);
    if (proposal.term === entry.term && outcome !== undefined) proposal.answer(outcome);
  }

  /** Flushes the state machine and compacts the log now and then. */
  #keepHouse(): void {
    const { dice, settings } = this.#world;
    this.life.later(dice.exponential(settings.flushMeanMs), () => {
      this.#running?.store.flush();
      if (dice.chance(settings.compactionRate)) this.#compact();
      this.#keepHouse();
    });
  }

  #compact(): void {
    const running = this.#running;
    if (running === undefined || this.#stopping) return;
    const { wal, store } = running;
    const kept = Math.min(store.flushed.applied, wal.lastIndex) - this.#world.settings.tailEntries;
    const index = this.#world.defect.compactTo?.(kept, this) ?? kept;
    if (index <= wal.base.index) return;
    this.task = 'compaction';
    const done = () => {
      if (this.task === 'compaction') this.task = undefined;
    };
    this.#guard(wal.compact(index).then(done));
  }

  #offer({ applied: index, appliedTerm: term, ...rest }: StoreState): void {
    const { driver } = this.#running ?? {};
    if (driver?.offerSnapshot({ index, term }) !== 'install') return;
    this.#guard(this.#install({ applied: index, appliedTerm: term, ...rest }));
  }

  /** Puts a snapshot in place of state and log, and starts again inside the same process. */
  async #install(snapshot: StoreState): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.task = 'install';
    const { machine, life } = this;
    const folders = machine.disk.mountFolders(life);
    await running.driver.stop();
    this.#running = undefined;
    await running.wal.close();
    const { hardState } = running.wal;
    const base = { index: snapshot.applied, term: snapshot.appliedTerm };
    const own = hardState.term >= base.term ? hardState : { term: base.term, vote: undefined };
    const carried = this.#world.defect.carry?.(own) ?? own;
    const next = await beginGeneration(MEMBER_FOLDER, running.generation, folders);
    await Wal.create(
      this.#walOptions(next),
      { base, hardState: carried },
      { fileSystem: machine.disk.mount(life) },
    );
    machine.stores.set(next.number, new KeyValueStore(snapshot));
    const { checker } = this.#world;
    checker.installing(machine.facts, { hardState: carried, log: new LogMirror(base, []) });
    await commitGeneration(MEMBER_FOLDER, next, folders);
    checker.installed(machine.facts);
    machine.restartNow();
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#stopping) return;
    this.#stopping = true;
    const { driver, wal, store } = running;
    driver.setEligible(false);
    for (let waitedMs = 0; this.leads && waitedMs < HAND_OVER_MS; waitedMs += HAND_OVER_POLL_MS)
      await this.life.sleep(HAND_OVER_POLL_MS);
    await driver.stop();
    store.flush();
    await wal.close();
    this.machine.stopped();
  }

  #walOptions({ logDirectory }: Generation) {
    const { segmentBytes, cacheBytesMax } = this.#world.settings;
    const identity = { clusterId: 'simulated', memberId: this.id };
    return { directory: logDirectory, identity, segmentBytes, cacheBytesMax };
  }

  #guard(running: Promise<void>): void {
    running.catch((thrown) => this.#die(thrown));
  }

  /** The process cannot go on. Whether it has a right to that, the machine knows. */
  #die(thrown: unknown): void {
    if (this.life.over) return;
    if (thrown instanceof InvariantViolation) this.#world.fail(thrown);
    this.#world.trace(() => `${this.id} dies: ${errorText(thrown)}`);
    this.machine.died(thrown, { booting: this.#running === undefined });
  }
}

function mirrorOf(wal: Wal): LogMirror {
  const { base, firstIndex, lastIndex } = wal;
  const entries: Entry[] = [];
  for (let next = firstIndex; next <= lastIndex; next = firstIndex + entries.length)
    entries.push(...wal.entries(next, lastIndex, Number.MAX_SAFE_INTEGER));
  return new LogMirror(base, entries);
}
