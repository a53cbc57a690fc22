import type { Configuration, MemberRecord } from '../types/configuration.ts';
import type { Entry, HardState, MemberId } from '../types/entry.ts';
import type { Message } from './messages.ts';

/**
 * What the driver must do next. It takes one Ready after another and for each, in this order:
 *
 * 1. sends `messages`;
 * 2. when `persist` is set, writes `hardState` and `entries` with one fsync;
 * 3. when that write *and those of all earlier Readies* are durable, calls `persisted(persist)` and
 *    sends `messagesAfterPersist`;
 * 4. applies `committed` and answers `readStates`.
 *
 * The next Ready may be taken while the write of an earlier one is under way. Writes reach the disk
 * in the order of their Readies; several may share one fsync, and then the last token is enough.
 * A failed write must stop the member.
 */
export interface Ready {
  /**
   * May leave at once. They promise nothing that a crash could break: the leader's Appends and
   * heartbeats (its own fsync runs beside replication), PreVotes, rejections, heartbeat replies and
   * reads, each only when the term that it shows is durable already.
   */
  readonly messages: readonly Message[];
  /** New term or vote; undefined when they did not change. */
  readonly hardState: HardState | undefined;
  /** To append, after dropping whatever the log holds from entries[0].index on. */
  readonly entries: readonly Entry[];
  /** Names this write for `persisted`; undefined when there is nothing to write. */
  readonly persist: PersistToken | undefined;
  /**
   * Must not leave before everything above is durable: vote requests, granted votes, positive append
   * replies, and whatever shows a term that is not durable yet. They wait for earlier writes even
   * when this Ready has none of its own.
   */
  readonly messagesAfterPersist: readonly Message[];
  /**
   * Entries to apply, newly known to be committed *and* durable on this member (dissertation 10.2.1:
   * an entry may commit before the leader's own write is done). They can be read from the log.
   */
  readonly committed: IndexRange | undefined;
  /** Answers to `readIndex`. */
  readonly readStates: readonly ReadState[];
  /** Present when any of the three changed since the last Ready. */
  readonly leadership: Leadership | undefined;
  /**
   * The leader has compacted what this member lacks: fetch a snapshot that reaches at least `index`, and offer
   * it with `acceptSnapshot`. Repeated while it is needed; a later one replaces an earlier one.
   */
  readonly snapshotWanted: SnapshotWanted | undefined;
  /** Present in the first Ready, and when the configuration in force has changed since the last. */
  readonly configuration: IndexedConfiguration | undefined;
}

export interface SnapshotWanted {
  readonly from: MemberId;
  readonly index: number;
}

/** A configuration and the index of its entry; 0 for the one that the cluster started with. */
export interface IndexedConfiguration {
  readonly index: number;
  readonly configuration: Configuration;
}

/** The last entry that a snapshot covers. */
export interface SnapshotPosition {
  readonly index: number;
  readonly term: number;
}

/**
 * Names one write; opaque to the driver, which hands it back. A number of its own instead of a log
 * position: the same (index, term) can be written, overwritten and written again (the ABA problem).
 */
export interface PersistToken {
  readonly sequence: number;
}

export interface IndexRange {
  readonly from: number;
  readonly toInclusive: number;
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface Leadership {
  readonly role: Role;
  readonly term: number;
  /** The leader of this term as far as it is known here. */
  readonly leader: MemberId | undefined;
}

/** A read may be served once the state machine has applied `index`; a refused one may be tried again. */
export type ReadState =
  | { readonly requestId: number; readonly index: number }
  | { readonly requestId: number; readonly refused: ReadRefusal };

export type ReadRefusal =
  /** No leader is known here, or the one asked is not the leader. */
  | 'not-leader'
  /** The leader changed or went silent before it answered. */
  | 'leader-changed'
  | 'transferring'
  | 'too-many-reads';

/** Why a proposal was not taken; nothing was appended, it may be tried again. */
export interface ProposalRefusal {
  readonly refused: 'not-leader' | 'too-many-uncommitted' | 'transferring' | 'too-large';
  /** Whom to ask instead, if known. */
  readonly leader: MemberId | undefined;
}

/** Position of the first proposal; the others follow it without gaps. */
export interface ProposalAccepted {
  readonly index: number;
  readonly term: number;
}

export interface TransferRefusal {
  /** Only a member that votes and stays can take over; others are unknown. */
  readonly refused: 'not-leader' | 'unknown-member' | 'transferring';
  readonly leader: MemberId | undefined;
}

/** One step of who the cluster consists of (dissertation, chapter 4). */
export type ConfigurationChange =
  /** Stores the log from now on without a vote; one that replaces a voter takes its place when promoted. */
  | {
      readonly kind: 'addLearner';
      readonly member: MemberRecord;
      readonly promotion: 'automatic' | 'manual';
      readonly replaces: MemberId | undefined;
    }
  /** Makes a learner that has caught up a voter. */
  | { readonly kind: 'promote'; readonly id: MemberId }
  | { readonly kind: 'remove'; readonly id: MemberId }
  /** Another address or priority. */
  | { readonly kind: 'update'; readonly member: MemberRecord };

/** Why a change was not begun; nothing was appended. The first four may be tried again. */
export interface ConfigurationRefusal {
  readonly refused:
    | 'not-leader'
    | 'transferring'
    /** An earlier change is not committed, or the configuration is still joint. */
    | 'change-pending'
    /** The leader is new and has to commit an entry of its own first. */
    | 'not-committed-in-term'
    /** The learner's log is too far behind, or it is not heard. */
    | 'not-caught-up'
    | 'unknown-member'
    | 'already-a-voter'
    | 'id-used-before'
    | 'last-voter'
    | 'too-many-members'
    /** The description of the member cannot be stored. */
    | 'invalid-member';
  readonly leader: MemberId | undefined;
}

export interface RaftStatus extends Leadership {
  readonly id: MemberId;
  /** Whom this member voted for in its term. */
  readonly vote: MemberId | undefined;
  readonly commit: number;
  readonly lastIndex: number;
  /** Everything up to here is durable on this member. */
  readonly stableIndex: number;
  readonly transferTarget: MemberId | undefined;
  readonly eligible: boolean;
  /** First index still in the log. */
  readonly firstIndex: number;
  /** The configuration in force: the last one in the log, committed or not. */
  readonly configuration: IndexedConfiguration & { readonly committed: boolean };
  /** Empty unless this member leads. */
  readonly peers: readonly PeerStatus[];
}

export interface PeerStatus {
  readonly id: MemberId;
  readonly match: number;
  readonly next: number;
  /** `snapshot`: it needs one, and is sent no entries until it has it. */
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** `leaving`: it votes no more once the present change is through, or is only told that it is out. */
  readonly role: 'voter' | 'learner' | 'leaving';
  /** Heard since the last quorum check. */
  readonly active: boolean;
  /** It would take over when asked. */
  readonly eligible: boolean;
  /** It keeps up: it stored all that the leader had in less than an election timeout (4.2.1). */
  readonly caughtUp: boolean;
}
