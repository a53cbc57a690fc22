import type { TraceConfiguration, TraceEntry, TraceMessage } from '../../src/driver/trace.ts';
import type { Role } from '../../src/raft/ready.ts';
import type { SpecLog } from './spec_log.ts';

/** The specification does not allow what a trace shows; the message says what and why. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

export function must(condition: boolean, words: string | (() => string)): asserts condition {
  if (!condition) throw new Forbidden(typeof words === 'string' ? words : words());
}

/** What a restart finds (figure 3.1, "persistent state"). */
export interface Disk {
  readonly term: number;
  readonly vote: number | undefined;
  readonly log: SpecLog;
}

/** Handed to storage and not yet known to be durable. */
export interface PendingWrite {
  /** Of the Ready that it belongs to. */
  readonly number: number;
  readonly hardState: { readonly term: number; readonly vote: number | undefined } | undefined;
  readonly entries: readonly TraceEntry[];
  /** The disk once this write and all before it are on it. */
  readonly disk: Disk;
}

export interface IndexedConfiguration {
  readonly index: number;
  readonly configuration: TraceConfiguration;
}

/** One server: the variables of the TLA+ specification and what the extensions of the paper add. */
export interface Server {
  readonly id: number;

  term: number;
  vote: number | undefined;
  role: Role;
  log: SpecLog;
  commit: number;
  /** Those in the log, ascending, behind the one that was in force before it; the last one is in force. */
  configurations: IndexedConfiguration[];
  /** Index of the configuration that the trace showed last. */
  shownConfiguration: number;
  ticks: number;

  /** Who answered this candidate with yes. Its own vote is seen on its disk. */
  votesGranted: Set<number>;
  preVotesGranted: Set<number>;
  /** What this leader knows to be on each server's disk. */
  match: Map<number, number>;
  /** When this leader last heard of each server, in its ticks. */
  heardAt: Map<number, number>;

  disk: Disk;
  pending: PendingWrite[];
  /** Readies whose messages wait for their writes. */
  waiting: Waiting[];
  lastReady: number;
  /** Up to here the state machine was given entries. */
  handedOut: number;
  /** A snapshot that was taken and is put in place before the next start. */
  installing: { readonly index: number; readonly term: number } | undefined;

  /** By term: whom this server voted for. */
  votes: Map<number, number>;
  /** The highest index acknowledged to the leader of a term; outlives a restart, as the leader's memory does. */
  acknowledged: { term: number; index: number };
  /** By term: up to where the log was compared with the leader's. */
  verified: Map<number, number>;

  /** What was true at some moment since the last Ready, by which a message may have been made. */
  recent: Recent;
}

/** Messages of a Ready, and the log that it left behind. */
export interface Waiting {
  readonly number: number;
  readonly messages: readonly TraceMessage[];
  readonly log: SpecLog;
}

export interface Recent {
  /** `term:lastIndex:lastTerm` of PreVotes and Votes of this server. */
  readonly campaigns: Set<string>;
  /** `member:askedTerm` that may be told yes. */
  readonly preVotes: Set<string>;
  /** Terms that it led, with its log and what it knew when that ended. */
  readonly led: { term: number; log: SpecLog; match: ReadonlyMap<number, number> }[];
}

export function nothingRecent(): Recent {
  return { campaigns: new Set(), preVotes: new Set(), led: [] };
}

/** What no server knows and the checker remembers of all (figure 3.2). */
export interface Cluster {
  readonly servers: Map<number, Server>;
  readonly leaders: Map<number, number>;
  /** By `index:term`: what every log holds there, and the term before it. */
  readonly positions: Map<string, { hash: number; type: string; previousTerm: number | undefined }>;
  /** By index: what was committed, and in which term at the latest. */
  readonly committed: Map<number, { term: number; inTerm: number }>;
  readonly sent: Set<string>;
  /** Ticks without a quorum after which a leader must have stepped down; undefined when unknown. */
  readonly silentTicksMax: number | undefined;
}

/** Of a server in force: the last configuration in its log, committed or not (section 4.1). */
export function configurationOf({ configurations }: Server): IndexedConfiguration {
  const last = configurations.at(-1);
  must(last !== undefined, 'no configuration is known');
  return last;
}
