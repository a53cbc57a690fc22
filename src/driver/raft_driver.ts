import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/environment.ts';
import type { Message } from '../raft/messages.ts';
import type { LogReader } from '../raft/options.ts';
import type { Raft } from '../raft/raft.ts';
import type {
  ConfigurationChange,
  ConfigurationRefusal,
  IndexedConfiguration,
  IndexRange,
  Leadership,
  ProposalAccepted,
  ProposalRefusal,
  RaftStatus,
  ReadState,
  Ready,
  SnapshotPosition,
  SnapshotWanted,
  TransferRefusal,
} from '../raft/ready.ts';
import type { Entry, HardState, MemberId } from '../types/entry.ts';
import { NodeError } from '../types/node_error.ts';
import { type TraceInput, Tracer, type TraceSink } from './trace.ts';

/** The durable log as the driver needs it (wal/). */
export interface DurableLog extends LogReader {
  /** Resolves once all of it is durable, in the order of the calls; rejects when that is unknown. */
  append(write: { hardState: HardState | undefined; entries: readonly Entry[] }): Promise<void>;
}

/** What committed entries act upon. */
export interface StateMachine {
  /** Applies a prefix of the entries, at least one, and gives the last index that it applied. */
  apply(entries: readonly Entry[]): Promise<number>;
}

export interface RaftDriverDependencies {
  readonly raft: Raft;
  readonly log: DurableLog;
  readonly stateMachine: StateMachine;
  readonly clock: Clock;
  /** Calls back once, after what has arrived from outside by now was taken in (setImmediate). */
  readonly defer: (callback: () => void) => void;
  /** Gives a message to the transport; it may be lost. */
  readonly send: (message: Message) => void;
  readonly onLeadership: (leadership: Leadership) => void;
  /** Another configuration is in force, committed or not; the first call says which one the member starts with. */
  readonly onConfiguration: (configuration: IndexedConfiguration) => void;
  /** The leader's log begins behind what this member lacks. It is repeated until `offerSnapshot`. */
  readonly onSnapshotWanted: (wanted: SnapshotWanted) => void;
  /** The member cannot go on: storage failed or an invariant broke. Called once. */
  readonly onFatal: (error: unknown) => void;
  /** Where the protocol's events are written down, if anywhere. */
  readonly trace?: TraceSink | undefined;
}

/** Entry bytes handed to the state machine at once: it holds this thread, and the heartbeats, for as long as they take. */
const APPLY_BYTES_MAX = 512 * 1024;
/** Reads that may wait, for a quorum or for the state machine. */
const WAITING_READS_MAX = 16_384;
/** Pause before a refused read asks again: a leader is probably being elected. */
const READ_RETRY_MS = 15;

interface Waiter {
  readonly index: number;
  readonly resolve: () => void;
}

/**
 * The one loop around the Raft core: collects inputs, makes its writes durable, sends what may be sent
 * then, and feeds the state machine. Inputs of one turn of the event loop share one Ready.
 */
export class RaftDriver {
  readonly #tickMs: number;
  readonly #dependencies: RaftDriverDependencies;
  readonly #raft: Raft;
  readonly #log: DurableLog;
  readonly #tracer: Tracer | undefined;
  readonly #readsInRound = new Map<number, SharedRead>();
  #openRead: SharedRead | undefined;
  readonly #waiters = new Set<Waiter>();
  #waitingReads = 0;
  #nextReadId = 1;
  #awake = false;
  #stopped = false;
  #cancelTick: () => void = () => undefined;
  #lastWrite: Promise<void> = Promise.resolve();
  #committed: number;
  #applied: number;
  #applying: Promise<void> | undefined;

  constructor(options: { tickMs: number; applied: number }, dependencies: RaftDriverDependencies) {
    this.#tickMs = options.tickMs;
    this.#applied = options.applied;
    this.#committed = options.applied;
    this.#dependencies = dependencies;
    this.#raft = dependencies.raft;
    this.#log = dependencies.log;
    this.#tracer = dependencies.trace && new Tracer(dependencies.trace, dependencies);
  }

  start(): void {
    this.#scheduleTick();
    this.#wake();
  }

  /** Stops taking input and waits until nothing is being written or applied. */
  async stop(): Promise<void> {
    this.#halt(new NodeError('STOPPING', 'this member is stopping; ask another one'));
    await this.#lastWrite.catch(() => undefined);
    await this.#applying;
  }

  get appliedIndex(): number {
    return this.#applied;
  }

  status(): RaftStatus {
    return this.#raft.status();
  }

  receive(message: Message): void {
    this.#input(() => this.#raft.step(message), message);
  }

  peerConnected(peer: MemberId): void {
    this.#input(() => this.#raft.peerConnected(peer), 'peerConnected');
  }

  peerDisconnected(peer: MemberId): void {
    this.#input(() => this.#raft.peerDisconnected(peer), 'peerDisconnected');
  }

  /** Appends commands to the log of the leader, or says why not; nothing was appended then. */
  propose(commands: readonly Uint8Array[]): ProposalAccepted | ProposalRefusal {
    const refusal = { refused: 'not-leader', leader: undefined } as const;
    let answer: ReturnType<Raft['propose']> = refusal;
    this.#input(() => {
      answer = this.#raft.propose(commands);
    }, 'propose');
    return this.#stopped ? refusal : answer;
  }

  /** Asks a caught-up member to take over, or says why that cannot begin. */
  transferLeadership(target: MemberId): TransferRefusal | undefined {
    const refusal = { refused: 'not-leader', leader: undefined } as const;
    let answer: TransferRefusal | undefined = refusal;
    this.#input(() => {
      answer = this.#raft.transferLeadership(target);
    }, 'transferLeadership');
    return this.#stopped ? refusal : answer;
  }

  /** Begins a change of who the cluster consists of, or says why not; nothing was appended then. */
  changeConfiguration(change: ConfigurationChange): ProposalAccepted | ConfigurationRefusal {
    const refusal = { refused: 'not-leader', leader: undefined } as const;
    let answer: ReturnType<Raft['changeConfiguration']> = refusal;
    this.#input(() => {
      answer = this.#raft.changeConfiguration(change);
    }, 'changeConfiguration');
    return this.#stopped ? refusal : answer;
  }

  /**
   * A complete snapshot is at hand. After 'install' the driver takes nothing more: stop it, put the snapshot in place of
   * state and log, and start again. Otherwise the log goes on from what it has.
   */
  offerSnapshot(position: SnapshotPosition): 'install' | 'notNeeded' {
    let answer: 'install' | 'notNeeded' = 'notNeeded';
    this.#input(() => {
      answer = this.#raft.acceptSnapshot(position);
      this.#tracer?.offeredSnapshot(position, answer);
      if (answer === 'install')
        this.#halt(new NodeError('NOT_READY', 'this member installs a snapshot; ask another one'));
    }, 'offerSnapshot');
    return answer;
  }

  /** A member that is not eligible neither campaigns nor keeps the lead. */
  setEligible(eligible: boolean): void {
    this.#input(() => this.#raft.setEligible(eligible), 'setEligible');
  }

  /**
   * Resolves when this member has applied everything that was acknowledged before the call. Calls of one
   * turn share a quorum round. Throws NO_LEADER when the signal aborts first.
   */
  async linearize(signal: AbortSignal): Promise<void> {
    if (this.#waitingReads >= WAITING_READS_MAX)
      throw new NodeError('OVERLOADED', 'too many reads wait for a quorum; try again later');
    this.#waitingReads += 1;
    try {
      await this.#linearized(signal);
    } finally {
      this.#waitingReads -= 1;
    }
  }

  async #linearized(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#stopped) throw new NodeError('STOPPING', 'this member is stopping');
      const state = await abortable(this.#readState(), signal);
      if ('index' in state) return this.#appliedUpTo(state.index, signal);
      await abortable(this.#pause(READ_RETRY_MS), signal);
    }
  }

  async #appliedUpTo(index: number, signal: AbortSignal): Promise<void> {
    if (index <= this.#applied) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { index, resolve };
    this.#waiters.add(waiter);
    try {
      await abortable(promise, signal);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #input(step: () => void, input: TraceInput | Message): void {
    if (this.#stopped) return;
    try {
      this.#raft.setTime(this.#dependencies.clock.monotonicMs());
      step();
      this.#tracer?.input(input);
    } catch (thrown) {
      this.#fail(thrown);
    }
    this.#wake();
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#dependencies.clock.schedule(this.#tickMs, () => {
      if (this.#stopped) return;
      this.#scheduleTick();
      this.#input(() => this.#raft.tick(), 'tick');
    });
  }

  /** What arrives until the event loop has polled once more goes into the same Ready. */
  #wake(): void {
    if (this.#awake || this.#stopped) return;
    this.#awake = true;
    this.#dependencies.defer(() => {
      this.#awake = false;
      if (this.#stopped) return;
      try {
        this.#drain();
      } catch (thrown) {
        this.#fail(thrown);
      }
    });
  }

  #drain(): void {
    // A lease is looked at as of now: later than the reads that it is to answer.
    this.#raft.setTime(this.#dependencies.clock.monotonicMs());
    for (;;) {
      const ready = this.#raft.takeReady();
      if (ready === undefined) return;
      this.#tracer?.ready(ready);
      if (ready.configuration !== undefined)
        this.#dependencies.onConfiguration(ready.configuration);
      for (const message of ready.messages) this.#dependencies.send(message);
      this.#persist(ready);
      if (ready.leadership !== undefined) this.#dependencies.onLeadership(ready.leadership);
      for (const state of ready.readStates) this.#answerRead(state);
      if (ready.committed !== undefined) this.#commit(ready.committed);
      if (ready.snapshotWanted !== undefined)
        this.#dependencies.onSnapshotWanted(ready.snapshotWanted);
    }
  }

  /** Persist before send: replies wait for this write and for all earlier ones. */
  #persist(ready: Ready): void {
    const { persist, hardState, entries, messagesAfterPersist } = ready;
    if (persist === undefined && messagesAfterPersist.length === 0) return;
    const earlier = this.#lastWrite;
    const write = persist === undefined ? earlier : this.#log.append({ hardState, entries });
    this.#lastWrite = this.#afterWrite(Promise.all([earlier, write]), () => {
      this.#raft.setTime(this.#dependencies.clock.monotonicMs());
      if (persist !== undefined) this.#raft.persisted(persist);
      this.#tracer?.persisted(ready);
      for (const message of messagesAfterPersist) this.#dependencies.send(message);
    });
  }

  async #afterWrite(write: Promise<unknown>, then: () => void): Promise<void> {
    try {
      await write;
      if (!this.#stopped) then();
      this.#wake();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #commit(range: IndexRange): void {
    assert(range.toInclusive > this.#committed, 'the commit index never falls');
    this.#committed = range.toInclusive;
    this.#applying ??= this.#applyCommitted();
  }

  async #applyCommitted(): Promise<void> {
    try {
      while (this.#applied < this.#committed && !this.#stopped) {
        const entries = this.#log.entries(this.#applied + 1, this.#committed, APPLY_BYTES_MAX);
        const applied = await this.#dependencies.stateMachine.apply(entries);
        assert(applied > this.#applied, 'applying makes progress');
        this.#applied = applied;
        this.#resolveWaiters();
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
    this.#applying = undefined;
  }

  #resolveWaiters(): void {
    for (const waiter of this.#waiters) if (waiter.index <= this.#applied) waiter.resolve();
  }

  #readState(): Promise<ReadState> {
    if (this.#openRead !== undefined) return this.#openRead.promise;
    const requestId = this.#nextReadId++;
    const read = sharedRead();
    this.#openRead = read;
    this.#readsInRound.set(requestId, read);
    this.#dependencies.defer(() => {
      this.#openRead = undefined;
      this.#input(() => this.#raft.readIndex(requestId), 'readIndex');
    });
    return read.promise;
  }

  #answerRead(state: ReadState): void {
    this.#readsInRound.get(state.requestId)?.resolve(state);
    this.#readsInRound.delete(state.requestId);
  }

  #halt(answer: NodeError): void {
    this.#stopped = true;
    this.#cancelTick();
    this.#failReads(answer);
  }

  #failReads(error: NodeError): void {
    for (const read of this.#readsInRound.values()) read.reject(error);
    this.#readsInRound.clear();
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#dependencies.clock.schedule(delayMs, resolve);
    });
  }

  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#halt(new NodeError('STOPPING', 'this member has failed; ask another one'));
    this.#dependencies.onFatal(thrown);
  }
}

interface SharedRead {
  readonly promise: Promise<ReadState>;
  readonly resolve: (state: ReadState) => void;
  readonly reject: (error: NodeError) => void;
}

function sharedRead(): SharedRead {
  const { promise, resolve, reject } = Promise.withResolvers<ReadState>();
  // Whoever waits may have left already; then nobody is told.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** The promise's result, or NO_LEADER when the signal aborts first. */
function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const refusal = () =>
    new NodeError('NO_LEADER', 'no leader confirmed the read in time; try again', {
      cause: signal.reason,
    });
  if (signal.aborted) return Promise.reject(refusal());
  return new Promise((resolve, reject) => {
    const abort = () => reject(refusal());
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
