import { handlePreVote, handlePreVoteReply, handleVote, handleVoteReply } from './election.ts';
import {
  handleAppend,
  handleHeartbeat,
  handleInstallSnapshot,
  handleTimeoutNow,
} from './follower.ts';
import type { Message } from './messages.ts';
import { handleReadIndex, handleReadIndexReply, replyRead } from './reads.ts';
import { handleAppendReply, handleHeartbeatReply } from './replication.ts';
import { becomeFollower } from './roles.ts';
import type { RaftState } from './state.ts';

/** Takes one message of a peer: first the rules about terms (figure 3.1, "all servers"), then its handler. */
export function stepMessage(state: RaftState, message: Message): void {
  if (message.to !== state.id || message.from === state.id) return;
  if (isHeldUpByLease(state, message) || isOfLearner(state, message)) return;
  if (message.term > state.term) {
    // A PreVote asks about a term that may never be: it changes nothing here.
    if (message.type !== 'preVote') becomeFollower(state, message.term, undefined);
  } else if (message.term < state.term && !isValidInLaterTerm(message)) {
    answerStale(state, message);
    return;
  }
  const handle = HANDLERS[message.type] as (state: RaftState, message: Message) => void;
  handle(state, message);
}

/**
 * While a leader is heard, nobody is helped to depose it (4.2.3, 6.2): neither a member that cannot hear
 * it nor one that was cut off for a while. An election that the leader asked for is let through.
 */
function isHeldUpByLease(state: RaftState, message: Message): boolean {
  if (message.type === 'preVote') return message.term >= state.term && state.supportsLeader;
  if (message.type !== 'vote' || message.transfer || message.term < state.term) return false;
  return (message.term > state.term || state.lease !== undefined) && state.supportsLeader;
}

/**
 * A learner gets no vote, and its term deposes nobody. One whose log goes on where ours ends may hold the entry that
 * made it a voter, and perhaps nobody can be elected without it: it is treated like anybody else.
 */
function isOfLearner({ configuration, log }: RaftState, message: Message): boolean {
  if (message.type !== 'preVote' && message.type !== 'vote') return false;
  const { from, lastTerm, lastIndex } = message;
  if (!configuration.learners.some(({ id }) => id === from)) return false;
  return !log.isUpToDate(lastTerm, lastIndex) || log.matches(lastIndex, lastTerm);
}

/** Granted PreVotes come from members that may not have reached our term; read answers do not age. */
function isValidInLaterTerm(message: Message): boolean {
  if (message.type === 'preVoteReply') return message.granted;
  return message.type === 'readIndexReply';
}

/** Tells who lives in the past about the present term, so that it neither leads nor campaigns on. */
function answerStale(state: RaftState, message: Message): void {
  const { id: from, term } = state;
  const to = message.from;
  switch (message.type) {
    case 'preVote':
      state.send({
        type: 'preVoteReply',
        from,
        to,
        term,
        askedTerm: message.term,
        granted: false,
      });
      return;
    case 'vote':
      state.send({ type: 'voteReply', from, to, term, granted: false });
      return;
    case 'append':
    case 'heartbeat':
    case 'installSnapshot':
      state.send({
        type: 'heartbeatReply',
        from,
        to,
        term,
        readRound: 0,
        eligible: state.eligible,
        leaseMs: 0,
      });
      return;
    case 'readIndex':
      replyRead(state, message, undefined);
      return;
    default:
  }
}

type Handlers = {
  readonly [Type in Message['type']]: (
    state: RaftState,
    message: Extract<Message, { type: Type }>,
  ) => void;
};

const HANDLERS: Handlers = {
  preVote: handlePreVote,
  preVoteReply: handlePreVoteReply,
  vote: handleVote,
  voteReply: handleVoteReply,
  append: handleAppend,
  appendReply: handleAppendReply,
  heartbeat: handleHeartbeat,
  heartbeatReply: handleHeartbeatReply,
  readIndex: handleReadIndex,
  readIndexReply: handleReadIndexReply,
  timeoutNow: handleTimeoutNow,
  installSnapshot: handleInstallSnapshot,
};
