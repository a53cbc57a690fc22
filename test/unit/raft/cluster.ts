import type { Message } from '../../../src/raft/messages.ts';
import type { LogReader, RaftOptions } from '../../../src/raft/options.ts';
import { Raft } from '../../../src/raft/raft.ts';
import type {
  IndexedConfiguration,
  ReadState,
  Ready,
  SnapshotPosition,
  SnapshotWanted,
} from '../../../src/raft/ready.ts';
import {
  decodeConfiguration,
  initialConfiguration,
  type MemberRecord,
  PRIORITY_DEFAULT,
} from '../../../src/types/configuration.ts';
import type { Entry, HardState, MemberId } from '../../../src/types/entry.ts';
import { seededRandom } from '../../sim/random.ts';

/** A durable log in memory. */
export class MemoryLog implements LogReader {
  /** The last entry that was compacted away, or a snapshot's. */
  base: SnapshotPosition = { index: 0, term: 0 };
  /** The entries after the base. */
  stored: Entry[] = [];
  hardState: HardState = { term: 0, vote: undefined };

  get firstIndex(): number {
    return this.base.index + 1;
  }

  get lastIndex(): number {
    return this.base.index + this.stored.length;
  }

  term(index: number): number {
    return index === this.base.index ? this.base.term : this.entry(index).term;
  }

  entry(index: number): Entry {
    const entry = this.stored[index - this.firstIndex];
    if (entry === undefined) throw new Error(`entry ${index} is not held`);
    return entry;
  }

  compactTo(index: number): void {
    const base = { index, term: this.term(index) };
    this.stored = this.stored.slice(index - this.base.index);
    this.base = base;
  }

  entries(from: number, toInclusive: number, bytesMax: number): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    for (const entry of this.stored.slice(from - this.firstIndex, toInclusive - this.base.index)) {
      bytes += entry.data.length;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(entry);
    }
    return taken;
  }

  write(ready: Pick<Ready, 'hardState' | 'entries'>): void {
    if (ready.hardState) this.hardState = ready.hardState;
    const first = ready.entries[0];
    if (first) this.stored.length = first.index - this.firstIndex;
    this.stored.push(...ready.entries);
  }
}

/** Entries from their terms, as the figures of the dissertation draw logs. */
export function entriesOf(terms: readonly number[], firstIndex = 1): Entry[] {
  return terms.map((term, offset) => ({
    index: firstIndex + offset,
    term,
    type: 'command',
    data: new Uint8Array([term, firstIndex + offset]),
  }));
}

export type MemberOptions = Partial<RaftOptions> & {
  readonly terms?: readonly number[];
  /** The founders; the members of a TestCluster unless given. */
  readonly voters?: readonly MemberId[];
};

/** Founders of a cluster with these ids. */
export function founded(ids: readonly MemberId[]): IndexedConfiguration {
  return { index: 0, configuration: initialConfiguration(ids.map((id) => record(id))) };
}

export function record(id: MemberId, priority = PRIORITY_DEFAULT): MemberRecord {
  const address = { host: `m${id}`, peerPort: 1, apiPort: 2, adminPort: 3 };
  return { id, address, priority };
}

/** The change that lets a member in, to be made a voter as soon as it has caught up unless told otherwise. */
export function learner(
  id: number,
  promotion: 'automatic' | 'manual' = 'automatic',
  replaces?: number,
) {
  return { kind: 'addLearner', member: record(id), promotion, replaces } as const;
}

/** One member with its log, and what came out of it. */
export class TestMember {
  readonly log = new MemoryLog();
  raft: Raft;
  readonly id: MemberId;
  readonly applied: Entry[] = [];
  /** What its state machine covers; after a start that is the base of its log. */
  appliedIndex = 0;
  /** Those of applied entries, ascending; the first is the one that it started with. */
  configurations: IndexedConfiguration[];
  readonly reads: ReadState[] = [];
  readonly wanted: SnapshotWanted[] = [];
  /** Taken but not written: the driver of this member is slow. */
  readonly unwritten: Ready[] = [];
  #options: MemberOptions;
  #starts = 0;

  constructor(id: MemberId, options: MemberOptions = {}) {
    this.id = id;
    this.#options = options;
    this.log.stored = entriesOf(options.terms ?? []);
    const term = options.terms?.at(-1) ?? 0;
    this.log.hardState = options.hardState ?? { term, vote: undefined };
    this.configurations = [options.configuration ?? founded(options.voters ?? [1, 2, 3])];
    this.raft = this.#start();
  }

  restart(): void {
    this.unwritten.length = 0;
    this.raft = this.#start();
  }

  /** Forgets applied entries, as the state machine's snapshot allows. */
  compactTo(index: number): void {
    this.log.compactTo(index);
  }

  /** Offers a snapshot of another member at what that one has applied; installs it when it is needed. */
  offerSnapshotOf(other: TestMember): 'install' | 'notNeeded' {
    const index = other.appliedIndex;
    const term = other.log.term(index);
    const answer = this.raft.acceptSnapshot({ index, term });
    if (answer === 'notNeeded') return answer;
    const { hardState } = this.log;
    this.log.stored = [];
    this.log.base = { index, term };
    // A vote belongs to its term.
    if (hardState.term < term) this.log.hardState = { term, vote: undefined };
    this.configurations = [other.configurationAt(index)];
    this.restart();
    return answer;
  }

  configurationAt(index: number): IndexedConfiguration {
    return this.configurations.findLast((each) => each.index <= index)!;
  }

  /** Takes all outputs, writes at once, and returns what leaves. */
  drain(): Message[] {
    const out = this.take();
    return [...out, ...this.writeAll()];
  }

  /** Takes outputs without writing; only what may leave at once is returned. */
  take(): Message[] {
    const out: Message[] = [];
    for (let ready = this.raft.takeReady(); ready; ready = this.raft.takeReady()) {
      out.push(...ready.messages);
      this.reads.push(...ready.readStates);
      if (ready.snapshotWanted) this.wanted.push(ready.snapshotWanted);
      this.unwritten.push(ready);
      if (ready.committed) this.#apply(ready.committed.from, ready.committed.toInclusive);
    }
    return out;
  }

  /** Writes what was taken, in order; returns everything that may leave because of it. */
  writeAll(): Message[] {
    const out: Message[] = [];
    while (this.unwritten.length > 0) {
      const ready = this.unwritten.shift()!;
      this.log.write(ready);
      if (ready.persist) this.raft.persisted(ready.persist);
      out.push(...ready.messagesAfterPersist, ...this.take());
    }
    return out;
  }

  get status() {
    return this.raft.status();
  }

  #apply(from: number, toInclusive: number): void {
    for (let index = from; index <= toInclusive; index += 1) {
      const entry = this.log.entry(index);
      this.applied.push(entry);
      this.appliedIndex = index;
      if (entry.type === 'configuration')
        this.configurations.push({ index, configuration: decodeConfiguration(entry.data) });
    }
  }

  #start(): Raft {
    this.#starts += 1;
    const { terms: _terms, voters: _voters, ...options } = this.#options;
    // What was applied after the base is applied again.
    const { index: applied } = this.log.base;
    this.appliedIndex = applied;
    const configuration = this.configurationAt(applied);
    this.configurations = this.configurations.filter(({ index }) => index <= applied);
    return new Raft(
      {
        id: this.id,
        electionTicks: 10,
        heartbeatTicks: 2,
        applied,
        ...options,
        configuration,
        hardState: this.log.hardState,
      },
      { log: this.log, random: seededRandom(this.id + 100 * this.#starts) },
    );
  }
}

/** A cluster whose messages are delivered in order and at once, unless a filter drops them. */
export class TestCluster {
  readonly members = new Map<MemberId, TestMember>();
  /** Delivers when true. */
  filter: (message: Message) => boolean = () => true;
  readonly sent: Message[] = [];

  constructor(size: number, options: (id: MemberId) => MemberOptions = () => ({})) {
    const voters = Array.from({ length: size }, (_, position) => position + 1);
    for (const id of voters) this.members.set(id, new TestMember(id, { voters, ...options(id) }));
  }

  /** Starts a member that belongs to no cluster yet. */
  join(id: MemberId, options: MemberOptions = {}): TestMember {
    const member = new TestMember(id, { ...options, voters: [] });
    this.members.set(id, member);
    return member;
  }

  member(id: MemberId): TestMember {
    return this.members.get(id)!;
  }

  /** Exchanges messages until nothing is left to say. */
  settle(): void {
    for (;;) {
      const messages = [...this.members.values()].flatMap((member) => member.drain());
      if (messages.length === 0) return;
      this.deliver(messages);
    }
  }

  deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      this.sent.push(message);
      if (this.filter(message)) this.members.get(message.to)?.raft.step(message);
    }
  }

  tick(count = 1, ids: Iterable<MemberId> = this.members.keys()): void {
    const ticking = [...ids];
    for (let round = 0; round < count; round += 1) {
      for (const id of ticking) this.member(id).raft.tick();
      this.settle();
    }
  }

  /** Lets one member time out alone and win. */
  elect(id: MemberId): TestMember {
    const member = this.member(id);
    for (let count = 0; count < 20 && member.status.role === 'follower'; count += 1)
      member.raft.tick();
    this.settle();
    return member;
  }

  cutOff(id: MemberId): void {
    this.filter = (message) => message.from !== id && message.to !== id;
  }

  heal(): void {
    this.filter = () => true;
  }

  leaders(): TestMember[] {
    return [...this.members.values()].filter((member) => member.status.role === 'leader');
  }
}

export function command(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
