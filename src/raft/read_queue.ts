import type { Random } from '../lib/environment.ts';
import type { MemberId } from '../types/entry.ts';
import type { ReadIndex } from './messages.ts';
import type { ReadRefusal, ReadState } from './ready.ts';

/** Reads that one member may have waiting; more are refused. */
const WAITING_READS_MAX = 65_536;
/** Rounds of one leader, or forwarded batches of one follower, under way at once. */
const ROUNDS_MAX = 4;
const SESSION_MAX = 2 ** 48;

/** A read that came from a follower: what its answer must name. */
export type RemoteRead = Pick<ReadIndex, 'from' | 'session' | 'batch'>;

/** The index from which the answer to a follower's read may be given. */
export interface ConfirmedRead {
  readonly read: RemoteRead;
  readonly index: number;
}

interface Round {
  readonly round: number;
  /** The commit index when the round started. */
  readonly index: number;
  readonly local: readonly number[];
  readonly remote: readonly RemoteRead[];
}

interface Batch {
  readonly batch: number;
  readonly requestIds: readonly number[];
  readonly leader: MemberId;
  elapsedTicks: number;
}

/**
 * Reads on their way (dissertation 6.4). A leader gathers them into rounds, each confirmed by one
 * exchange of heartbeats; a follower gathers its own into batches for the leader.
 */
export class ReadQueue {
  /** Distinguishes this start of the member from all others. */
  readonly session: number;
  /** Answers that the driver has not taken. */
  states: ReadState[] = [];
  /** The leader's latest round in its term. */
  round = 0;
  #local: number[] = [];
  #remote: RemoteRead[] = [];
  #rounds: Round[] = [];
  #batch = 0;
  readonly #batches = new Map<number, Batch>();

  /** Rounds are under way. */
  get hasRounds(): boolean {
    return this.#rounds.length > 0;
  }

  constructor(random: Random) {
    this.session = Math.floor(random() * SESSION_MAX);
  }

  get hasWaiting(): boolean {
    return this.#local.length + this.#remote.length > 0;
  }

  addLocal(requestId: number): void {
    if (this.#local.length < WAITING_READS_MAX) this.#local.push(requestId);
    else this.states.push({ requestId, refused: 'too-many-reads' });
  }

  /** False when there is no room. */
  addRemote(read: RemoteRead): boolean {
    if (this.#remote.length >= WAITING_READS_MAX) return false;
    this.#remote.push(read);
    return true;
  }

  /** Puts all waiting reads into a new round; undefined when too many are under way. */
  startRound(index: number): number | undefined {
    if (this.#rounds.length >= ROUNDS_MAX) return undefined;
    this.round += 1;
    this.#rounds.push({ round: this.round, index, local: this.#local, remote: this.#remote });
    this.#local = [];
    this.#remote = [];
    return this.round;
  }

  /** Answers the waiting local reads without a round and returns the remote ones. */
  takeWaiting(index: number): ConfirmedRead[] {
    for (const requestId of this.#local) this.states.push({ requestId, index });
    const remote = this.#remote.map((read) => ({ read, index }));
    this.#local = [];
    this.#remote = [];
    return remote;
  }

  /** Answers the local reads of all rounds up to this one and returns the remote ones. */
  confirmRounds(round: number): ConfirmedRead[] {
    const remote: ConfirmedRead[] = [];
    let done = 0;
    for (const { round: started, index, ...reads } of this.#rounds) {
      if (started > round) break;
      done += 1;
      for (const requestId of reads.local) this.states.push({ requestId, index });
      for (const read of reads.remote) remote.push({ read, index });
    }
    if (done > 0) this.#rounds.splice(0, done);
    return remote;
  }

  /** Moves all waiting local reads into a batch for the leader; undefined when too many are out. */
  startBatch(leader: MemberId): number | undefined {
    if (this.#batches.size >= ROUNDS_MAX) return undefined;
    this.#batch += 1;
    const batch = { batch: this.#batch, requestIds: this.#local, leader, elapsedTicks: 0 };
    this.#batches.set(this.#batch, batch);
    this.#local = [];
    return this.#batch;
  }

  /** Takes the leader's answer; one to another session or an unknown batch is ignored. */
  answerBatch(session: number, batch: number, index: number | undefined): void {
    const asked = session === this.session ? this.#batches.get(batch) : undefined;
    if (asked === undefined) return;
    this.#batches.delete(batch);
    for (const requestId of asked.requestIds)
      this.states.push(
        index === undefined ? { requestId, refused: 'not-leader' } : { requestId, index },
      );
  }

  /** Refuses batches that the leader did not answer in time: the request or the answer was lost. */
  tickBatches(timeoutTicks: number): void {
    for (const batch of this.#batches.values()) {
      batch.elapsedTicks += 1;
      if (batch.elapsedTicks < timeoutTicks) continue;
      this.#batches.delete(batch.batch);
      this.#refuse(batch.requestIds, 'leader-changed');
    }
  }

  /** Refuses the reads that nobody has been asked about yet. */
  refuseWaiting(refused: ReadRefusal): void {
    this.#refuse(this.#local, refused);
    this.#local = [];
    this.#remote = [];
  }

  /** The leader that all this was addressed to is gone: everything under way is refused. */
  refuseAll(refused: ReadRefusal): void {
    for (const round of this.#rounds) this.#refuse(round.local, refused);
    for (const batch of this.#batches.values()) this.#refuse(batch.requestIds, refused);
    this.#rounds = [];
    this.#batches.clear();
    this.refuseWaiting(refused);
    this.round = 0;
  }

  #refuse(requestIds: readonly number[], refused: ReadRefusal): void {
    for (const requestId of requestIds) this.states.push({ requestId, refused });
  }
}
