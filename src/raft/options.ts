import { configurationProblem } from '../types/configuration.ts';
import type { Entry, HardState, MemberId } from '../types/entry.ts';
import { RaftError } from './error.ts';
import type { IndexedConfiguration } from './ready.ts';

/**
 * What the core needs of the durable log. Reads are synchronous and see at least every write that
 * was reported through `persisted`. A read that throws stops the member for good: the core never
 * sends or answers anything that rests on a failed read.
 */
export interface LogReader {
  /**
   * Index of the first entry still held; 1 for an uncompacted log, also when it is empty. It may rise
   * between any two calls, over entries that are committed and applied.
   */
  readonly firstIndex: number;
  /** Index of the last entry; firstIndex - 1 when the log is empty. */
  readonly lastIndex: number;
  /** Term of an entry; defined from firstIndex - 1 (0 when that is index 0) to lastIndex. */
  term(index: number): number;
  /** Entries of the range in order, as many as fit into `bytesMax` of data, but at least one. */
  entries(from: number, toInclusive: number, bytesMax: number): Entry[];
}

/**
 * Lease reads (dissertation 6.4.1). They rest on an assumption about clocks: no member's electionTicks
 * pass before `durationMs` have passed on the clock of the leader. A tick may come right after a
 * heartbeat was sent, so with clocks that differ in speed by at most d it takes
 * durationMs <= (electionTicks - 1) * tickMs / (1 + d). A member without them, or with shorter ones, counts for no lease.
 */
export interface LeaseReads {
  readonly durationMs: number;
}

/** PreVote and CheckQuorum are always on (dissertation sections 9.6 and 6.2). */
export interface RaftOptions {
  readonly id: MemberId;
  /**
   * The last configuration at or below `applied`, and its index: 0 for the one that the cluster started with.
   * Those behind it are read from the log. A member that joins starts with EMPTY_CONFIGURATION.
   */
  readonly configuration: IndexedConfiguration;
  /** Reads that need no round of messages; undefined when every read asks a majority. */
  readonly leaseReads?: LeaseReads | undefined;
  /** Silence that starts an election, drawn anew from [electionTicks, 2 * electionTicks). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Soft limit of entry bytes in one Append: one larger entry still travels, alone. */
  readonly maxAppendBytes?: number;
  /** Appends that one follower may have unacknowledged. */
  readonly maxInflightAppends?: number;
  /** Bytes of proposals not yet committed, above which the leader refuses more. */
  readonly maxUncommittedBytes?: number;
  /** As found on disk; term 0 without a vote for a new member. */
  readonly hardState: HardState;
  /** Index up to which the state machine has durably applied; the commit index starts here. */
  readonly applied: number;
}

/** With all defaults filled in. */
export type CheckedOptions = Required<RaftOptions>;

const DEFAULT_LIMITS = {
  maxAppendBytes: 256 * 1024,
  maxInflightAppends: 64,
  maxUncommittedBytes: 64 * 1024 * 1024,
};

/** Largest data of one entry, so that every entry fits into a message. */
export const ENTRY_DATA_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes that an entry counts for beyond its data, so that empty ones are limited too. */
export const ENTRY_OVERHEAD_BYTES = 16;

/** Fills in the defaults and throws INVALID_OPTIONS when a relation does not hold. */
export function checkedOptions(options: RaftOptions): CheckedOptions {
  const checked = { ...DEFAULT_LIMITS, leaseReads: undefined, ...options };
  const problem = problemOf(checked);
  if (problem !== undefined) throw new RaftError('INVALID_OPTIONS', `Raft options: ${problem}`);
  return checked;
}

function problemOf(options: CheckedOptions): string | undefined {
  const { configuration, leaseReads, heartbeatTicks, electionTicks, applied, hardState } = options;
  if (!isPositive(options.id)) return 'the id must be a positive safe integer';
  const wrong = configurationProblem(configuration.configuration);
  if (wrong !== undefined) return wrong;
  if (configuration.index > applied) return 'the configuration is not applied yet';
  if (leaseReads !== undefined && !isPositive(leaseReads.durationMs))
    return 'leaseReads.durationMs must be at least 1';
  if (!isPositive(heartbeatTicks)) return 'heartbeatTicks must be at least 1';
  if (!isPositive(electionTicks) || electionTicks <= heartbeatTicks)
    return 'electionTicks must be greater than heartbeatTicks';
  if (!isPositive(options.maxAppendBytes)) return 'maxAppendBytes must be at least 1';
  if (options.maxAppendBytes > ENTRY_DATA_BYTES_MAX)
    return `maxAppendBytes must be at most ${ENTRY_DATA_BYTES_MAX}`;
  if (!isPositive(options.maxInflightAppends)) return 'maxInflightAppends must be at least 1';
  if (!isPositive(options.maxUncommittedBytes)) return 'maxUncommittedBytes must be at least 1';
  if (!Number.isSafeInteger(applied) || applied < 0) return 'applied must not be negative';
  if (!Number.isSafeInteger(hardState.term) || hardState.term < 0) return 'the term is negative';
  return undefined;
}

function isPositive(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}
