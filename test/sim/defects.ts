import type { Random } from '../../src/lib/environment.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { LogReader, RaftOptions } from '../../src/raft/options.ts';
import { quorumValue } from '../../src/raft/quorum.ts';
import { Raft } from '../../src/raft/raft.ts';
import type { Ready } from '../../src/raft/ready.ts';
import { SimMember } from './member.ts';
import type { MemberConstructor } from './simulation.ts';

/*
 * Members with one deliberate defect each, most of them bugs that shipped somewhere. They show that
 * the simulator would find them: a checker that never fails proves nothing.
 */

/** Replies leave before what they promise is durable. */
class RepliesBeforeFsync extends SimMember {
  protected override handle(ready: Ready): void {
    super.handle({
      ...ready,
      messages: [...ready.messages, ...ready.messagesAfterPersist],
      messagesAfterPersist: [],
    });
  }
}

/** Only the term reaches the disk. */
class ForgetsVote extends SimMember {
  protected override write(
    ready: Pick<Ready, 'hardState' | 'entries'>,
    onDurable: () => void,
  ): void {
    const hardState = ready.hardState && { ...ready.hardState, vote: undefined };
    super.write({ hardState, entries: ready.entries }, onDurable);
  }
}

/** Entries are written, the new term beside them is not. */
class ForgetsTerm extends SimMember {
  protected override write(
    ready: Pick<Ready, 'hardState' | 'entries'>,
    onDurable: () => void,
  ): void {
    const { hardState, entries } = ready;
    super.write({ hardState: entries.length > 0 ? undefined : hardState, entries }, onDurable);
  }
}

/** The leader counts its own log before its own flush. */
class UnflushedLeaderRaft extends Raft {
  override step(message: Message): void {
    super.step(message);
    const { state } = this;
    if (!state.isLeader) return;
    const matches = [...state.progress.values()].map((progress) => progress.match);
    const index = quorumValue([state.log.lastIndex, ...matches]);
    if (state.log.term(index) === state.term) state.commitTo(index);
  }
}

/** Figure 8: whatever a majority holds is committed. */
class CountingRaft extends Raft {
  override step(message: Message): void {
    super.step(message);
    const { state } = this;
    if (!state.isLeader) return;
    const matches = [...state.progress.values()].map((progress) => progress.match);
    state.commitTo(quorumValue([state.log.stableIndex, ...matches]));
  }
}

/** A follower takes every Append for the end of the log. */
class TruncatingRaft extends Raft {
  override step(message: Message): void {
    const { state } = this;
    if (message.type === 'append' && message.term === state.term && !state.isLeader) {
      const { prevIndex, prevTerm, entries } = message;
      if (prevIndex >= state.commit && state.log.matches(prevIndex, prevTerm))
        state.log.append(entries);
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

function memberAround(Core: typeof Raft): MemberConstructor {
  return class extends SimMember {
    protected override makeRaft(
      options: RaftOptions,
      dependencies: { log: LogReader; random: Random },
    ): Raft {
      return new Core(options, dependencies);
    }
  };
}

export interface Defect {
  readonly name: string;
  readonly member: MemberConstructor;
  /** Seeds within which the simulator must catch it. */
  readonly seeds: number;
  /** It needs the churn of leaders to show. */
  readonly churn?: boolean;
}

export const DEFECTS: readonly Defect[] = [
  { name: 'replies leave before the fsync', member: RepliesBeforeFsync, seeds: 100 },
  { name: 'the vote is not persisted', member: ForgetsVote, seeds: 600 },
  { name: 'the term is not persisted beside entries', member: ForgetsTerm, seeds: 100 },
  {
    name: 'the leader counts its unflushed log (scenario 3)',
    member: memberAround(UnflushedLeaderRaft),
    seeds: 600,
  },
  {
    name: 'old-term entries commit by counting (scenario 1)',
    member: memberAround(CountingRaft),
    seeds: 1_000,
    churn: true,
  },
  {
    name: 'a matching suffix is truncated (scenario 16)',
    member: memberAround(TruncatingRaft),
    seeds: 100,
  },
  {
    name: 'reads are served without a quorum (scenario 35)',
    member: memberAround(UnconfirmedReadsRaft),
    seeds: 100,
  },
  {
    name: 'reads precede the no-op (scenario 36)',
    member: memberAround(EarlyReadsRaft),
    seeds: 100,
  },
  {
    name: 'votes ignore the log (scenario 4)',
    member: memberAround(CarelessVoterRaft),
    seeds: 100,
  },
  {
    name: 'the commit index is not clamped (scenario 24)',
    member: memberAround(UnclampedCommitRaft),
    seeds: 100,
  },
];
