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
  readonly refused: 'not-leader' | 'unknown-member' | 'transferring';
  readonly leader: MemberId | undefined;
}

export interface RaftStatus extends Leadership {
  readonly id: MemberId;
  readonly commit: number;
  readonly lastIndex: number;
  /** Everything up to here is durable on this member. */
  readonly stableIndex: number;
  readonly transferTarget: MemberId | undefined;
  readonly eligible: boolean;
  /** Empty unless this member leads. */
  readonly peers: readonly PeerStatus[];
}

export interface PeerStatus {
  readonly id: MemberId;
  readonly match: number;
  readonly next: number;
  readonly state: 'probe' | 'replicate';
  /** Heard since the last quorum check. */
  readonly active: boolean;
}
