import type { IndexedConfiguration } from '../../src/raft/ready.ts';
import { type Configuration, decodeConfiguration } from '../../src/types/configuration.ts';
import type { Entry, HardState, MemberId } from '../../src/types/entry.ts';
import { LogMirror } from './log_mirror.ts';

/** A write on its way to the disk. */
export interface WriteUnderWay {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
}

/** Who has to agree: majorities of both, where the second is empty unless the configuration is joint. */
export interface Electorate {
  /** Of the configuration's entry. */
  readonly index: number;
  readonly voters: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
}

/** What a disk holds, or may hold after a crash. */
export interface DurableState {
  readonly hardState: HardState;
  readonly log: LogMirror;
}

/**
 * What the simulator knows of one member: what its core holds, and what its disk was reported to
 * hold. It outlives the member, as its votes and acknowledgements do.
 */
export class MemberFacts {
  readonly id: MemberId;
  /** As the core of the running process sees it, durable or not. */
  log = new LogMirror({ index: 0, term: 0 }, []);
  commit = 0;
  term = 0;
  leads = false;
  /** What storage reported durable. */
  durable: DurableState = {
    hardState: { term: 0, vote: undefined },
    log: new LogMirror({ index: 0, term: 0 }, []),
  };
  underWay: WriteUnderWay[] = [];
  /** A snapshot that a crash may leave in the place of the durable log. */
  installing: DurableState | undefined;
  /** Those in the log behind that of the state machine, which comes first. */
  #configurations: IndexedConfiguration[];

  constructor(id: MemberId, start: Configuration) {
    this.id = id;
    this.#configurations = [{ index: 0, configuration: start }];
  }

  /** Index of the last configuration in the log. */
  get configurationIndex(): number {
    return this.#configurations.at(-1)?.index ?? 0;
  }

  /** What the log may fall back to, or has applied, ascending. */
  get configurations(): readonly IndexedConfiguration[] {
    return this.#configurations;
  }

  /** The core puts an entry into its log. */
  put(entry: Entry): void {
    while (this.configurationIndex >= entry.index) this.#configurations.pop();
    this.#keepConfiguration(entry);
    this.log.put(entry);
  }

  /** The oldest write is durable. */
  persisted(): void {
    const write = this.underWay.shift();
    if (write === undefined) return;
    for (const entry of write.entries) this.durable.log.put(entry);
    if (write.hardState !== undefined)
      this.durable = { hardState: write.hardState, log: this.durable.log };
  }

  /** A process finds this on its disk, and a state machine that has applied so much. */
  restart(
    found: DurableState,
    machine: { applied: number; configuration: IndexedConfiguration },
  ): void {
    this.durable = found;
    this.underWay = [];
    this.installing = undefined;
    this.log = found.log.copy();
    this.leads = false;
    this.term = found.hardState.term;
    this.commit = machine.applied;
    this.#configurations = [machine.configuration];
    for (const entry of this.log)
      if (entry.index > machine.configuration.index) this.#keepConfiguration(entry);
  }

  #keepConfiguration({ index, type, data }: Entry): void {
    if (type !== 'configuration') return;
    this.#configurations.push({ index, configuration: decodeConfiguration(data) });
  }

  /** Whether the disk holds this entry, or a state that has taken it in. */
  holds(index: number, term: number): boolean {
    const { log } = this.durable;
    return log.term(index) === term || log.base >= index;
  }

  /** Whether the disk may hold a vote for a candidate: a later term has overwritten which it was. */
  mayHaveVoted(term: number, candidate: MemberId): boolean {
    const { hardState } = this.durable;
    return hardState.term > term || (hardState.term === term && hardState.vote === candidate);
  }

  /**
   * Whether a crash can have left this: the durable part and a prefix of the records under way, or
   * the snapshot that was being installed.
   */
  mayFind(found: DurableState): boolean {
    const { installing } = this;
    if (installing !== undefined && isEqual(found, installing)) return true;
    const log = this.durable.log.copy();
    let { hardState } = this.durable;
    if (isEqual(found, { hardState, log })) return true;
    for (const write of this.underWay) {
      hardState = write.hardState ?? hardState;
      if (isEqual(found, { hardState, log })) return true;
      for (const entry of write.entries) {
        log.put(entry);
        if (isEqual(found, { hardState, log })) return true;
      }
    }
    return false;
  }
}

/** Logs that end alike are alike; how far they are compacted does not matter. */
function isEqual(left: DurableState, right: DurableState): boolean {
  return (
    left.log.lastIndex === right.log.lastIndex &&
    left.log.lastTerm === right.log.lastTerm &&
    left.hardState.term === right.hardState.term &&
    left.hardState.vote === right.hardState.vote
  );
}
