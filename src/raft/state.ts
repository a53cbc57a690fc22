import { assert } from '../lib/assert.ts';
import type { Random } from '../lib/environment.ts';
import { type Configuration, isVoter } from '../types/configuration.ts';
import type { Entry, HardState, MemberId } from '../types/entry.ts';
import { ConfigurationLog } from './configuration_log.ts';
import { RaftError } from './error.ts';
import { Lease } from './lease.ts';
import { entryBytes, RaftLog } from './log.ts';
import type { Message } from './messages.ts';
import {
  type CheckedOptions,
  checkedOptions,
  type LogReader,
  type RaftOptions,
} from './options.ts';
import { InflightWindow, Progress } from './progress.ts';
import { ReadQueue } from './read_queue.ts';
import type { Role, SnapshotWanted } from './ready.ts';

/** The leader hands over to another member (dissertation 3.10). */
export interface Transfer {
  readonly target: MemberId;
  elapsedTicks: number;
  /** What to do when the target does not take over within an election timeout. */
  readonly onTimeout: 'resume' | 'stepDown';
}

/** Everything that one member knows; the handlers beside it are the only ones to change it. */
export class RaftState {
  readonly options: CheckedOptions;
  readonly id: MemberId;
  readonly random: Random;
  readonly log: RaftLog;
  readonly configurations: ConfigurationLog;

  role: Role = 'follower';
  term: number;
  vote: MemberId | undefined;
  leader: MemberId | undefined = undefined;
  /** Highest index known to be committed; starts at what was applied before the restart. */
  commit: number;
  /** A member that is not eligible never campaigns; it still votes and stores entries. */
  eligible = true;

  /**
   * Since any leader was heard, whatever its term was. A member that has just started may have answered one
   * right before; one without a term has not.
   */
  leaderContactTicks: number;
  /** Since the leader was heard or a vote was given; for a leader, since its last quorum check. */
  electionElapsedTicks = 0;
  electionTimeoutTicks = 0;
  heartbeatElapsedTicks = 0;

  /** Answers to this member's own candidacy. */
  readonly votes = new Map<MemberId, boolean>();
  /** The leader's view of each peer; empty otherwise. */
  readonly progress = new Map<MemberId, Progress>();
  readonly uncommitted = new UncommittedBytes();
  transfer: Transfer | undefined = undefined;
  readonly reads: ReadQueue;
  /** undefined when every read asks a quorum. */
  readonly lease: Lease | undefined;
  /** Ticks until the leader may hand over to a preferred voter again. */
  preferencePauseTicks = 0;
  /** What a leader asked this member to fetch, until the driver takes note. */
  snapshotWanted: SnapshotWanted | undefined = undefined;

  messages: Message[] = [];
  messagesAfterPersist: Message[] = [];

  constructor(options: RaftOptions, dependencies: { log: LogReader; random: Random }) {
    this.options = checkedOptions(options);
    this.id = options.id;
    this.random = dependencies.random;
    this.term = options.hardState.term;
    this.vote = options.hardState.vote;
    this.commit = options.applied;
    this.leaderContactTicks = this.term === 0 ? this.options.electionTicks : 0;
    const { leaseReads } = this.options;
    this.lease = leaseReads && new Lease(leaseReads.durationMs);
    this.log = new RaftLog(dependencies.log, options.hardState);
    this.reads = new ReadQueue(dependencies.random);
    checkRestart(this);
    this.configurations = new ConfigurationLog(options.configuration);
    this.configurations.load(dependencies.log, this.commit + 1);
    this.drawElectionTimeout();
  }

  /**
   * Whoever votes by any configuration that may come to count: one that removed this member may exist
   * here alone, and then only this member can get it committed (section 4.2.2). Learners never are.
   */
  get mayCampaign(): boolean {
    if (!this.eligible) return false;
    return this.configurations.held.some(({ configuration }) => isVoter(configuration, this.id));
  }

  /** Whether a leader may choose this member as its successor. */
  get wouldTakeOver(): boolean {
    return this.eligible && this.log.pendingTicks < this.options.electionTicks;
  }

  get isLeader(): boolean {
    return this.role === 'leader';
  }

  /** The last one in the log, committed or not (chapter 4). */
  get configuration(): Configuration {
    return this.configurations.inForce.configuration;
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote };
  }

  /** Sends as soon as durability allows: see the fields of Ready. */
  send(message: Message): void {
    if (this.term !== this.log.durableHardState.term || promisesDurability(message)) {
      this.messagesAfterPersist.push(message);
    } else {
      this.messages.push(message);
    }
  }

  drawElectionTimeout(): void {
    const { electionTicks } = this.options;
    this.electionTimeoutTicks = electionTicks + Math.floor(this.random() * electionTicks);
  }

  /**
   * A leader is alive as far as this member can tell: campaigns of others are ignored (6.4.1, 4.2.3). With lease
   * reads this is a promise to that leader, which neither a restart nor a higher term takes back.
   */
  get supportsLeader(): boolean {
    if (this.lease !== undefined && this.leaderContactTicks < this.options.electionTicks)
      return true;
    return this.leader !== undefined && this.electionElapsedTicks < this.options.electionTicks;
  }

  /** Moves the commit index forward, never back. */
  commitTo(index: number): void {
    if (index <= this.commit) return;
    assert(index <= this.log.lastIndex, 'only entries of the log commit');
    this.commit = index;
    this.configurations.committedTo(index);
    this.uncommitted.committedTo(index);
  }

  /** Puts entries at their index, dropping whatever stood from there on: configurations too. */
  append(entries: readonly Entry[]): void {
    this.log.append(entries);
    this.configurations.append(entries);
  }

  /** The leader's entries of its own term start here; reads wait until one of them is committed. */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.commit) === this.term;
  }

  newProgress(): Progress {
    const { maxInflightAppends: countMax, maxAppendBytes } = this.options;
    const window = new InflightWindow({ countMax, bytesMax: countMax * maxAppendBytes });
    return new Progress(this.log.lastIndex + 1, window);
  }
}

/** What a correct storage can never show: the member must not start on it. */
function checkRestart({ log, commit, term }: RaftState): void {
  const { lastIndex, lastTerm } = log;
  const fields = { applied: commit, term, lastIndex, lastTerm };
  if (lastIndex < commit)
    throw new RaftError(
      'INCONSISTENT_STORAGE',
      `the state machine has applied index ${commit} but the log ends at ${lastIndex}: the log was lost; this member must rejoin under a new id`,
      { fields },
    );
  // A term is durable before or with its first entry.
  if (term < lastTerm)
    throw new RaftError(
      'INCONSISTENT_STORAGE',
      `the log holds an entry of term ${lastTerm} but the durable term is ${term}: the vote was lost; this member must rejoin under a new id`,
      { fields },
    );
}

/** Promises that a crash must not break: a vote, and the durability of entries. */
function promisesDurability(message: Message): boolean {
  if (message.type === 'voteReply') return message.granted;
  if (message.type === 'appendReply') return message.conflict === undefined;
  return message.type === 'vote';
}

/** The proposals of this leader that are not committed yet, so that they can be limited. */
export class UncommittedBytes {
  #total = 0;
  #batches: { lastIndex: number; bytes: number }[] = [];

  get total(): number {
    return this.#total;
  }

  add(entries: readonly Entry[]): void {
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#total += bytes;
    this.#batches.push({ lastIndex: entries.at(-1)?.index ?? 0, bytes });
  }

  committedTo(index: number): void {
    let done = 0;
    for (const batch of this.#batches) {
      if (batch.lastIndex > index) break;
      this.#total -= batch.bytes;
      done += 1;
    }
    if (done > 0) this.#batches.splice(0, done);
  }

  clear(): void {
    this.#total = 0;
    this.#batches = [];
  }
}
