import type { Random } from '../../src/lib/environment.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { LogReader, RaftOptions } from '../../src/raft/options.ts';
import { Raft } from '../../src/raft/raft.ts';
import type { ReadState, Ready } from '../../src/raft/ready.ts';
import type { Entry, MemberId } from '../../src/types/entry.ts';
import type { Checker } from './checker.ts';
import type { SimDisk } from './disk.ts';
import type { EventQueue } from './event_queue.ts';
import type { Dice } from './random.ts';

export type MemberOptions = Omit<RaftOptions, 'hardState' | 'applied'> & {
  /** How long inputs are gathered before a Ready is taken; 0 takes one for each input. */
  readonly gatherMs: number;
  /** Mean delay of the state machine behind the committed entries. */
  readonly applyMeanMs: number;
};

export interface MemberDependencies {
  readonly events: EventQueue;
  readonly dice: Dice;
  readonly disk: SimDisk;
  readonly checker: Checker;
  readonly send: (message: Message) => void;
}

/** Messages that wait for a paused member; more are lost. */
const BACKLOG_MAX = 500;

/**
 * One member around the real core: the driver loop that Ready describes, and a state machine whose
 * state is its applied index. A crash loses everything but the disk and a part of what was applied.
 */
export class SimMember {
  readonly id: MemberId;
  readonly disk: SimDisk;
  up = false;
  applied = 0;
  servedReads = 0;
  protected raft!: Raft;
  protected readonly options: MemberOptions;
  protected readonly dependencies: MemberDependencies;
  /** The whole log as the core sees it, durable or not. */
  #log: Entry[] = [];
  #commit = 0;
  #term = 0;
  #toApply = 0;
  /** Proposals under way by index, and reads by id; each with what was observed when it began. */
  #proposals = new Map<number, { term: number; floor: number }>();
  #reads = new Map<number, number>();
  #waiting: { index: number; floor: number }[] = [];
  #nextRead = 0;
  #epoch = 0;
  #paused = false;
  #backlog: (() => void)[] = [];
  #gathering = false;
  #applying = false;
  #durableApplied = 0;

  constructor(options: MemberOptions, dependencies: MemberDependencies) {
    this.id = options.id;
    this.options = options;
    this.dependencies = dependencies;
    this.disk = dependencies.disk;
  }

  get status() {
    return this.raft.status();
  }

  /** Reads whose fate is open. */
  get openReads(): number {
    return this.#reads.size + this.#waiting.length;
  }

  start(): void {
    const { disk, dice } = this.dependencies;
    this.up = true;
    this.applied = this.#durableApplied;
    this.#commit = this.applied;
    this.#toApply = this.applied;
    this.#term = disk.hardState.term;
    this.#log = [...disk.log];
    this.raft = this.makeRaft(
      { ...this.options, hardState: disk.hardState, applied: this.applied },
      { log: disk, random: dice.random },
    );
  }

  crash(): void {
    if (!this.up) return;
    this.up = false;
    this.#epoch += 1;
    this.disk.crash();
    // The state machine's store keeps some prefix of what was applied, never less than before.
    this.#durableApplied = this.dependencies.dice.integer(this.#durableApplied, this.applied);
    this.#proposals.clear();
    this.#reads.clear();
    this.#waiting = [];
    this.#paused = false;
    this.#backlog = [];
    this.#gathering = false;
    this.#applying = false;
  }

  /** Stops executing, as SIGSTOP does; what arrives waits. */
  pause(): void {
    this.#paused = this.up;
  }

  resume(): void {
    this.#paused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const run of backlog) this.#whenRunning(run);
  }

  tick(): void {
    if (!this.#paused) this.input((raft) => raft.tick());
  }

  receive(message: Message): void {
    if (this.#paused && this.#backlog.length >= BACKLOG_MAX) return;
    this.#whenRunning(() => this.input((raft) => raft.step(message)));
  }

  /** Anything that the world does to the core. */
  input(change: (raft: Raft) => void): void {
    if (!this.up || this.#paused) return;
    change(this.raft);
    if (this.options.gatherMs === 0) {
      this.#drain();
    } else if (!this.#gathering) {
      this.#gathering = true;
      this.#later(this.dependencies.dice.between(0, this.options.gatherMs), () => {
        this.#gathering = false;
        this.#drain();
      });
    }
  }

  propose(datas: Uint8Array[]): boolean {
    if (!this.up || this.#paused) return false;
    const floor = this.dependencies.checker.observedIndex;
    const answer = this.raft.propose(datas);
    if (!('index' in answer)) return false;
    for (let offset = 0; offset < datas.length; offset += 1)
      this.#proposals.set(answer.index + offset, { term: answer.term, floor });
    this.input(() => undefined);
    return true;
  }

  read(): void {
    if (!this.up || this.#paused) return;
    this.#nextRead += 1;
    const requestId = this.#nextRead;
    this.#reads.set(requestId, this.dependencies.checker.observedIndex);
    this.input((raft) => raft.readIndex(requestId));
  }

  protected makeRaft(options: RaftOptions, dependencies: { log: LogReader; random: Random }): Raft {
    return new Raft(options, dependencies);
  }

  /** The order that Ready asks for. */
  protected handle(ready: Ready): void {
    this.send(ready.messages);
    if (!ready.persist && ready.messagesAfterPersist.length === 0) return;
    this.write(ready, () => {
      if (ready.persist) this.raft.persisted(ready.persist);
      this.send(ready.messagesAfterPersist);
    });
  }

  protected send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.dependencies.checker.sent(message);
      this.dependencies.send(message);
    }
  }

  protected write(ready: Pick<Ready, 'hardState' | 'entries'>, onDurable: () => void): void {
    const { hardState, entries } = ready;
    const done = () =>
      this.#whenRunning(() => {
        onDurable();
        this.input(() => undefined);
      });
    this.disk.write({ hardState, entries, onDurable: done });
  }

  #drain(): void {
    for (let ready = this.raft.takeReady(); ready; ready = this.raft.takeReady()) {
      this.#keepLog(ready.entries);
      const status = this.raft.status();
      const before = { commit: this.#commit, term: this.#term };
      this.dependencies.checker.observe(status, before, this.#log);
      this.#commit = status.commit;
      this.#term = status.term;
      this.handle(ready);
      if (ready.committed) this.#toApply = ready.committed.toInclusive;
      for (const state of ready.readStates) this.#answerRead(state);
      if (this.applied < this.#toApply) this.#startApplying();
    }
  }

  #keepLog(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#log.length = first.index - 1;
    let previousTerm = this.#log.at(-1)?.term ?? 0;
    for (const entry of entries) {
      this.dependencies.checker.appended(entry, previousTerm);
      this.#log.push(entry);
      previousTerm = entry.term;
    }
  }

  #startApplying(): void {
    if (this.#applying) return;
    if (this.options.applyMeanMs === 0) {
      this.#apply();
      return;
    }
    this.#applying = true;
    const delayMs = this.dependencies.dice.exponential(this.options.applyMeanMs);
    this.#later(delayMs, () => {
      this.#applying = false;
      this.#apply();
    });
  }

  /** Entries come from the disk: only durable ones are applied. */
  #apply(): void {
    const { checker } = this.dependencies;
    while (this.applied < this.#toApply) {
      const entry = this.disk.log[this.applied]!;
      checker.applied(this.id, entry);
      this.applied += 1;
      const proposal = this.#proposals.get(entry.index);
      if (proposal === undefined) continue;
      this.#proposals.delete(entry.index);
      if (proposal.term === entry.term) checker.acknowledge(entry, proposal.floor);
    }
    this.#serveReads();
  }

  #answerRead(state: ReadState): void {
    const floor = this.#reads.get(state.requestId);
    this.#reads.delete(state.requestId);
    if (floor === undefined || !('index' in state)) return;
    this.#waiting.push({ index: state.index, floor });
    this.#serveReads();
  }

  #serveReads(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting.filter(({ index, floor }) => {
      if (index > this.applied) return true;
      this.servedReads += 1;
      this.dependencies.checker.readServed(this.id, this.applied, floor);
      return false;
    });
    this.#waiting = waiting;
  }

  #whenRunning(run: () => void): void {
    if (!this.up) return;
    if (this.#paused) this.#backlog.push(run);
    else run();
  }

  #later(delayMs: number, run: () => void): void {
    const epoch = this.#epoch;
    this.dependencies.events.schedule(delayMs, () => {
      if (this.#epoch === epoch) this.#whenRunning(run);
    });
  }
}
