import { assert } from '../lib/assert.ts';
import type { Random } from '../lib/environment.ts';
import type { HardState, MemberId } from '../types/entry.ts';
import { proposeConfiguration } from './configuration_change.ts';
import { countOwnVote } from './election.ts';
import { RaftError } from './error.ts';
import type { Message } from './messages.ts';
import type { LogReader, RaftOptions } from './options.ts';
import { proposeCommands } from './propose.ts';
import { flushReads, requestRead } from './reads.ts';
import type {
  ConfigurationChange,
  ConfigurationRefusal,
  IndexedConfiguration,
  IndexRange,
  Leadership,
  PersistToken,
  ProposalAccepted,
  ProposalRefusal,
  RaftStatus,
  Ready,
  SnapshotPosition,
  TransferRefusal,
} from './ready.ts';
import { advanceCommit, broadcastHeartbeat, flushAppends } from './replication.ts';
import { becomeFollower } from './roles.ts';
import { compareSnapshot, takeSnapshotWanted } from './snapshots.ts';
import { RaftState } from './state.ts';
import { leadershipOf, statusOf } from './status.ts';
import { stepMessage } from './step.ts';
import { tickFollower, tickLeader } from './ticks.ts';
import { giveUpLeadership, startTransfer } from './transfer.ts';

/**
 * One member of a Raft cluster (Ongaro's dissertation) as a deterministic state machine without I/O,
 * clock or promise. Inputs are method calls, time is `tick`, and everything that must happen outside comes out
 * of `takeReady`. After any method has thrown, the member must stop: all further calls throw STOPPED.
 */
export class Raft {
  protected readonly state: RaftState;
  #handedHardState: HardState;
  #handedCommit: number;
  #handedLeadership: Leadership;
  #handedConfiguration: IndexedConfiguration | undefined;
  #installing = false;
  #failure: unknown;
  #failed = false;

  /** Throws INVALID_OPTIONS. The random source draws election timeouts and the session of reads. */
  constructor(options: RaftOptions, dependencies: { log: LogReader; random: Random }) {
    this.state = new RaftState(options, dependencies);
    this.#handedHardState = this.state.hardState;
    this.#handedCommit = this.state.commit;
    this.#handedLeadership = leadershipOf(this.state);
  }

  /** One unit of time passed. */
  tick(): void {
    this.#run((state) => {
      state.electionElapsedTicks += 1;
      state.leaderContactTicks += 1;
      state.preferencePauseTicks = Math.max(0, state.preferencePauseTicks - 1);
      state.log.tick();
      if (state.isLeader) tickLeader(state);
      else tickFollower(state);
    });
  }

  /** Takes a message of a peer. Those of strangers and of the past change nothing. */
  step(message: Message): void {
    this.#run((state) => stepMessage(state, message));
  }

  /** Appends commands, at least one, to the log of the leader; all of them or none. */
  propose(datas: readonly Uint8Array[]): ProposalAccepted | ProposalRefusal {
    assert(datas.length > 0, 'a proposal holds at least one command');
    return this.#run((state) => proposeCommands(state, datas));
  }

  /** Asks for a linearizable read; the answer comes as a read state with this id, chosen by the caller. */
  readIndex(requestId: number): void {
    this.#run((state) => requestRead(state, requestId));
  }

  /** Storage reports that the write of a Ready and all writes before it are durable. */
  persisted(token: PersistToken): void {
    this.#run((state) => {
      state.log.persisted(token);
      countOwnVote(state);
      if (state.isLeader) advanceCommit(state);
    });
  }

  /**
   * The connection to a peer broke. When the peer leads, it is held for dead after one or two ticks; the
   * others, who may still hear it, are asked first by the PreVote.
   */
  peerDisconnected(id: MemberId): void {
    this.#run((state) => {
      state.progress.get(id)?.becomeProbe();
      if (state.isLeader || state.leader !== id) return;
      // A lease rests on the whole election timeout.
      if (state.lease !== undefined) return;
      becomeFollower(state, state.term, undefined);
      const delayTicks = 1 + Math.floor(state.random() * 2);
      state.electionElapsedTicks = state.electionTimeoutTicks - delayTicks;
    });
  }

  /** The connection to a peer is back: a leader probes it at once. */
  peerConnected(id: MemberId): void {
    this.#run((state) => state.progress.get(id)?.becomeProbe());
  }

  /** Starts a hand-over (3.10); undefined when it began, or when this member is the target and leads. */
  transferLeadership(target: MemberId): TransferRefusal | undefined {
    return this.#run((state) => {
      const { leader } = state;
      if (!state.isLeader) return { refused: 'not-leader', leader };
      if (target === state.id) return undefined;
      if (!state.configuration.voters.includes(target))
        return { refused: 'unknown-member', leader };
      if (state.transfer !== undefined) return { refused: 'transferring', leader };
      startTransfer(state, target, 'resume');
      return undefined;
    });
  }

  /** Gives up leadership or a campaign: hands over to the best follower, or to nobody if that fails. */
  stepDown(): void {
    this.#run(giveUpLeadership);
  }

  /** A member that is not eligible never campaigns, and gives up leadership if it has it. */
  setEligible(eligible: boolean): void {
    this.#run((state) => {
      state.eligible = eligible;
      if (!eligible) giveUpLeadership(state);
    });
  }

  /**
   * The monotonic clock; never falls. Only lease reads look at it: a read is answered on a lease only when the
   * time was set after the read was asked for.
   */
  setTime(monotonicMs: number): void {
    this.#run((state) => {
      state.lease?.setTime(monotonicMs);
    });
  }

  /** Begins one step of membership; its entry is at the index that is returned. */
  changeConfiguration(change: ConfigurationChange): ProposalAccepted | ConfigurationRefusal {
    return this.#run((state) => proposeConfiguration(state, change));
  }

  /**
   * The driver holds a complete, verified snapshot whose last entry is (index, term). On `install` it stops,
   * puts the snapshot in place of state and log, and starts a new core on them: this one takes nothing
   * more (INSTALLING). The new log's durable term is at least that of the snapshot. On `notNeeded` the log holds
   * what the snapshot covers. Throws COMMITTED_ENTRY_CONFLICT when the snapshot contradicts a committed entry.
   */
  acceptSnapshot(position: SnapshotPosition): 'install' | 'notNeeded' {
    const answer = this.#run((state) => compareSnapshot(state, position));
    if (answer === 'install') this.#installing = true;
    return answer;
  }

  /** What must happen outside because of the inputs so far; undefined when there is nothing. */
  takeReady(): Ready | undefined {
    return this.#run((state) => {
      if (flushReads(state)) broadcastHeartbeat(state);
      if (state.isLeader) flushAppends(state);
      const write = state.log.takeWrite(this.#newHardState());
      const committed = this.#newlyApplicable();
      const leadership = this.#newLeadership();
      const { messages, messagesAfterPersist } = state;
      const readStates = state.reads.states;
      const outputs = messages.length + messagesAfterPersist.length + readStates.length;
      const configuration = this.#newConfiguration();
      const snapshotWanted = takeSnapshotWanted(state);
      const changed = write ?? committed ?? leadership ?? configuration ?? snapshotWanted;
      if (outputs === 0 && changed === undefined) return undefined;
      state.messages = [];
      state.messagesAfterPersist = [];
      state.reads.states = [];
      return {
        messages,
        hardState: write?.hardState,
        entries: write?.entries ?? [],
        persist: write?.token,
        messagesAfterPersist,
        committed,
        readStates,
        leadership,
        snapshotWanted,
        configuration,
      };
    });
  }

  status(): RaftStatus {
    return statusOf(this.state);
  }

  #newHardState(): HardState | undefined {
    const { term, vote } = this.state;
    if (term === this.#handedHardState.term && vote === this.#handedHardState.vote)
      return undefined;
    this.#handedHardState = { term, vote };
    return this.#handedHardState;
  }

  #newlyApplicable(): IndexRange | undefined {
    const from = this.#handedCommit + 1;
    const toInclusive = Math.min(this.state.commit, this.state.log.stableIndex);
    if (toInclusive < from) return undefined;
    this.#handedCommit = toInclusive;
    return { from, toInclusive };
  }

  #newLeadership(): Leadership | undefined {
    const now = leadershipOf(this.state);
    const { role, term, leader } = this.#handedLeadership;
    if (now.role === role && now.term === term && now.leader === leader) return undefined;
    this.#handedLeadership = now;
    return now;
  }

  #newConfiguration(): IndexedConfiguration | undefined {
    const { inForce } = this.state.configurations;
    if (this.#handedConfiguration === inForce) return undefined;
    this.#handedConfiguration = inForce;
    return inForce;
  }

  /** A failure in the middle of a change leaves a state that nothing may rest on. */
  #run<Result>(change: (state: RaftState) => Result): Result {
    if (this.#failed)
      throw new RaftError('STOPPED', 'this member failed before and must stop', {
        cause: this.#failure,
      });
    if (this.#installing)
      throw new RaftError('INSTALLING', 'a snapshot replaces what this member holds');
    try {
      return change(this.state);
    } catch (thrown) {
      this.#failed = true;
      this.#failure = thrown;
      throw thrown;
    }
  }
}
