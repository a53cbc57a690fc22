import type { DurableLog } from '../../src/driver/raft_driver.ts';
import type { Random } from '../../src/lib/environment.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { LogReader, RaftOptions } from '../../src/raft/options.ts';
import { quorumValue } from '../../src/raft/quorum.ts';
import { Raft } from '../../src/raft/raft.ts';
import type { Ready } from '../../src/raft/ready.ts';
import type { Wishes } from './settings.ts';
import type { Defect } from './world.ts';

/*
 * Clusters whose members all have one deliberate defect, most of them bugs that shipped somewhere. They show
 * that the simulator would find them: a checker that never fails proves nothing.
 */

export interface KnownDefect {
  readonly name: string;
  readonly defect: Defect;
  /** Seeds within which the simulator must catch it. */
  readonly seeds: number;
  /** What it needs to show often enough for a quick test. */
  readonly wishes?: Wishes;
}

/** Replies leave before what they promise is durable. */
class RepliesBeforeFsync extends Raft {
  override takeReady(): Ready | undefined {
    const ready = super.takeReady();
    if (ready === undefined) return undefined;
    const { messages, messagesAfterPersist } = ready;
    return {
      ...ready,
      messages: [...messages, ...messagesAfterPersist],
      messagesAfterPersist: [],
    };
  }
}

/** The leader counts its own log before its own flush. */
class UnflushedLeaderRaft extends Raft {
  override step(message: Message): void {
    super.step(message);
    const { state } = this;
    if (!state.isLeader) return;
    const index = quorumValue([state.log.lastIndex, ...matches(state)]);
    if (state.log.term(index) === state.term) state.commitTo(index);
  }
}

/** Figure 8: whatever a majority holds is committed. */
class CountingRaft extends Raft {
  override step(message: Message): void {
    super.step(message);
    const { state } = this;
    if (state.isLeader) state.commitTo(quorumValue([state.log.stableIndex, ...matches(state)]));
  }
}

/** A follower takes every Append for the end of the log. */
class TruncatingRaft extends Raft {
  override step(message: Message): void {
    const { state } = this;
    if (message.type === 'append' && message.term === state.term && !state.isLeader) {
      const { prevIndex, prevTerm, entries } = message;
      if (prevIndex >= state.commit && state.log.matches(prevIndex, prevTerm))
        state.append(entries);
    }
    super.step(message);
  }
}

/** A leader answers reads without asking whether it still leads. */
class UnconfirmedReadsRaft extends Raft {
  override readIndex(requestId: number): void {
    const { state } = this;
    if (!state.isLeader) super.readIndex(requestId);
    else state.reads.states.push({ requestId, index: state.commit });
  }
}

/** A new leader serves reads before an entry of its term is committed. */
class EarlyReadsRaft extends Raft {
  constructor(options: RaftOptions, dependencies: { log: LogReader; random: Random }) {
    super(options, dependencies);
    Object.defineProperty(this.state, 'hasCommittedInTerm', { get: () => true });
  }
}

/** Votes are given to logs that lack entries. */
class CarelessVoterRaft extends Raft {
  override step(message: Message): void {
    const asks = message.type === 'vote' || message.type === 'preVote';
    super.step(asks ? { ...message, lastTerm: Number.MAX_SAFE_INTEGER } : message);
  }
}

/** The leader's commit index is believed beyond what was compared with the leader's log. */
class UnclampedCommitRaft extends Raft {
  override step(message: Message): void {
    super.step(message);
    const { state } = this;
    if (message.type === 'append' && message.term === state.term && !state.isLeader)
      state.commitTo(Math.min(message.commit, state.log.lastIndex));
  }
}

/** Of an even number of voters half is taken for a majority. */
class HalfRaft extends Raft {
  constructor(options: RaftOptions, dependencies: { log: LogReader; random: Random }) {
    super(options, dependencies);
    const { state } = this;
    Object.defineProperty(state, 'configuration', {
      get: () => {
        const { configuration } = state.configurations.inForce;
        const { voters } = configuration;
        return voters.length % 2 === 0
          ? { ...configuration, voters: voters.slice(1) }
          : configuration;
      },
    });
  }
}

function matches({ progress }: Raft['state']): number[] {
  return [...progress.values()].map(({ match }) => match);
}

/** The log with another way to write. */
function withAppend(log: DurableLog, append: DurableLog['append']): DurableLog {
  return {
    get firstIndex() {
      return log.firstIndex;
    },
    get lastIndex() {
      return log.lastIndex;
    },
    term: (index) => log.term(index),
    entries: (from, toInclusive, bytesMax) => log.entries(from, toInclusive, bytesMax),
    append,
  };
}

/** Only the term reaches the disk. */
function forgetVote(log: DurableLog): DurableLog {
  return withAppend(log, ({ hardState, entries }) =>
    log.append({ hardState: hardState && { ...hardState, vote: undefined }, entries }),
  );
}

/** Entries are written, the new term beside them is not. */
function forgetTerm(log: DurableLog): DurableLog {
  return withAppend(log, ({ hardState, entries }) =>
    log.append({ hardState: entries.length > 0 ? undefined : hardState, entries }),
  );
}

export const DEFECTS: readonly KnownDefect[] = [
  {
    name: 'replies leave before the fsync',
    defect: { core: RepliesBeforeFsync },
    seeds: 10,
  },
  { name: 'the vote is not persisted', defect: { log: forgetVote }, seeds: 20 },
  {
    name: 'the term is not persisted beside entries',
    defect: { log: forgetTerm },
    seeds: 60,
  },
  {
    name: 'the leader counts its unflushed log (scenario 3)',
    defect: { core: UnflushedLeaderRaft },
    seeds: 10,
  },
  {
    name: 'old-term entries commit by counting (scenario 1)',
    defect: { core: CountingRaft },
    seeds: 60,
    wishes: { churn: true },
  },
  {
    name: 'a matching suffix is truncated (scenario 16)',
    defect: { core: TruncatingRaft },
    seeds: 40,
  },
  {
    name: 'reads are served without a quorum (scenario 35)',
    defect: { core: UnconfirmedReadsRaft },
    seeds: 60,
  },
  {
    name: 'reads precede the no-op (scenario 36)',
    defect: { core: EarlyReadsRaft },
    seeds: 80,
  },
  { name: 'votes ignore the log (scenario 4)', defect: { core: CarelessVoterRaft }, seeds: 20 },
  {
    name: 'the commit index is not clamped (scenario 24)',
    defect: { core: UnclampedCommitRaft },
    seeds: 40,
  },
  {
    name: 'half of an even cluster is a majority (scenario 22)',
    defect: { core: HalfRaft },
    seeds: 20,
    wishes: { size: 4 },
  },
];
