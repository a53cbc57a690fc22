import type { Entry, MemberId } from '../types/entry.ts';

/**
 * What members say to each other. `term` is always the sender's own term at the time of sending.
 * Messages may be lost, repeated, delayed and reordered.
 */
export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | ReadIndex
  | ReadIndexReply
  | TimeoutNow
  | InstallSnapshot;

interface Header {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: number;
}

/** Would you vote for me in term + 1? Changes nothing at either end (dissertation 9.6). */
export interface PreVote extends Header {
  readonly type: 'preVote';
  readonly lastIndex: number;
  readonly lastTerm: number;
}

export interface PreVoteReply extends Header {
  readonly type: 'preVoteReply';
  /** The candidate's term when it asked. */
  readonly askedTerm: number;
  readonly granted: boolean;
}

/** RequestVote (figure 3.1). */
export interface Vote extends Header {
  readonly type: 'vote';
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The leader asked for this election: its lease does not hold it up (section 4.2.3). */
  readonly transfer: boolean;
}

export interface VoteReply extends Header {
  readonly type: 'voteReply';
  readonly granted: boolean;
}

/** AppendEntries (figure 3.1). Entries follow prevIndex without gaps; their terms never fall. */
export interface Append extends Header {
  readonly type: 'append';
  readonly prevIndex: number;
  readonly prevTerm: number;
  /** The leader's commit index; it may lie beyond these entries. */
  readonly commit: number;
  readonly entries: readonly Entry[];
}

export interface AppendReply extends Header {
  readonly type: 'appendReply';
  /** The sender's log is durable and equal to the leader's up to here; 0 when rejected. */
  readonly match: number;
  readonly conflict: Conflict | undefined;
}

/** Where to look for agreement next (the optimisation at the end of section 3.5, a term at a time). */
export interface Conflict {
  /** prevIndex of the Append that was rejected. */
  readonly prevIndex: number;
  /** The last entry of the follower at which it may agree: its index and term. */
  readonly hintIndex: number;
  readonly hintTerm: number;
}

export interface Heartbeat extends Header {
  readonly type: 'heartbeat';
  /** At most what the receiver is known to hold. */
  readonly commit: number;
  /** The leader's latest read round in its term; 0 before the first. */
  readonly readRound: number;
}

export interface HeartbeatReply extends Header {
  readonly type: 'heartbeatReply';
  readonly readRound: number;
  /** Whether the sender would take over when asked. */
  readonly eligible: boolean;
  /** For how long the sender votes for nobody else, by any clock that lease reads allow; 0 without them. */
  readonly leaseMs: number;
}

/** A follower asks for a read index on behalf of its clients (section 6.4). */
export interface ReadIndex extends Header {
  readonly type: 'readIndex';
  /** Drawn anew at each start of the sender, so that an answer from before a restart fits nothing. */
  readonly session: number;
  readonly batch: number;
}

export interface ReadIndexReply extends Header {
  readonly type: 'readIndexReply';
  readonly session: number;
  readonly batch: number;
  /** undefined when refused. */
  readonly index: number | undefined;
}

/** Start an election now: the leader hands over (section 3.10). */
export interface TimeoutNow extends Header {
  readonly type: 'timeoutNow';
  /** Last index of the leader, which takes no proposals meanwhile: a longer log proves a late message. */
  readonly lastIndex: number;
}

/**
 * Entries that the receiver lacks have been compacted away: it needs the state of a snapshot (chapter 5),
 * which travels on its own. Answered like an Append by a receiver that needs none.
 */
export interface InstallSnapshot extends Header {
  readonly type: 'installSnapshot';
  /** The snapshot must reach at least this far; committed. */
  readonly index: number;
}
