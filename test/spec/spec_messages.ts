import type { TraceMessage } from '../../src/driver/trace.ts';
import type { MessageOf } from './spec_actions.ts';
import { votesIn } from './spec_configuration.ts';
import type { SpecLog } from './spec_log.ts';
import { configurationOf, must, type Server } from './spec_state.ts';

// What may be sent: RequestVote, AppendEntries and the replies of the handlers in the TLA+
// specification, and the messages of the extensions.

/** A message that a Ready holds: whether it tells the truth. */
export function requireTrue(server: Server, message: TraceMessage): void {
  must(message.from === server.id, `it speaks for member ${message.from}`);
  must(message.term <= server.term, `it speaks of term ${message.term} and is in ${server.term}`);
  switch (message.type) {
    case 'preVote':
    case 'vote':
      requireCampaign(server, message);
      return;
    case 'preVoteReply':
      must(
        !message.granted || server.recent.preVotes.has(`${message.to}:${message.askedTerm}`),
        `it grants a PreVote to member ${message.to} for which its log or term allows none`,
      );
      return;
    case 'voteReply':
      must(
        !message.granted || server.votes.get(message.term) === message.to,
        `it tells member ${message.to} of a vote in term ${message.term} that it did not cast`,
      );
      return;
    case 'append':
      requireAppend(server, message);
      return;
    case 'heartbeat':
      requireHeartbeat(server, message);
      return;
    case 'appendReply':
      requireMatch(server, message);
      return;
    case 'timeoutNow':
      requireTimeoutNow(server, message);
      return;
    case 'installSnapshot':
      leadership(server, message);
      must(
        message.index <= server.commit,
        `it asks for a snapshot at ${message.index}, and knows of commits up to ${server.commit} only`,
      );
      return;
    case 'readIndexReply':
      must(
        (message.index ?? 0) <= server.commit,
        `it answers a read with index ${message.index}, and knows of commits up to ${server.commit} only`,
      );
      return;
    default:
  }
}

/**
 * The moment at which a message leaves: what it promises must have survived a crash by now.
 * @param log that of the Ready which the message came with
 */
export function requireDurable(server: Server, message: TraceMessage, log: SpecLog): void {
  const { disk } = server;
  const { type, term } = message;
  must(disk.term >= term, `a ${type} shows term ${term}, and the term on disk is ${disk.term}`);
  if (disk.term > term) return;
  if (type === 'vote' || (type === 'voteReply' && message.granted)) {
    const candidate = type === 'vote' ? server.id : message.to;
    must(
      disk.vote === candidate,
      `a ${type} leaves before the vote for member ${candidate} in term ${term} is durable`,
    );
  }
  if (type === 'appendReply' && message.conflict === undefined) {
    const durable = Math.max(log.agreesWith(disk.log), disk.log.baseIndex);
    must(
      durable >= message.match,
      `it acknowledges index ${message.match}, and its log is durable up to ${durable}`,
    );
  }
}

/** What a message that left will have told: it binds this server even after a restart. */
export function remember(server: Server, message: TraceMessage): void {
  if (message.type !== 'appendReply' || message.conflict !== undefined) return;
  const { term, match } = message;
  const { acknowledged } = server;
  if (term < acknowledged.term) return;
  const before = term === acknowledged.term ? acknowledged.index : 0;
  server.acknowledged = { term, index: Math.max(before, match) };
}

function requireCampaign(server: Server, message: MessageOf<'preVote' | 'vote'>): void {
  const { term, lastIndex, lastTerm } = message;
  const { log, role } = server;
  const campaigns = role === (message.type === 'vote' ? 'candidate' : 'preCandidate');
  const isNow =
    campaigns && term === server.term && lastIndex === log.lastIndex && lastTerm === log.lastTerm;
  must(
    isNow || server.recent.campaigns.has(campaignKey(message.type, message)),
    () =>
      `its ${message.type} of term ${term} claims a log that ends at ${lastIndex} of term ${lastTerm}; ` +
      `it is a ${role} in term ${server.term}, its log ends at ${log.lastIndex} of term ${log.lastTerm}`,
  );
}

export function campaignKey(
  type: 'preVote' | 'vote',
  { term, lastIndex, lastTerm }: { term: number; lastIndex: number; lastTerm: number },
): string {
  return `${type}:${term}:${lastIndex}:${lastTerm}`;
}

/** The log and knowledge with which it leads the term of a message, or led it a moment ago. */
function leadership(
  server: Server,
  { type, term }: TraceMessage,
): { log: SpecLog; match: ReadonlyMap<number, number> } {
  if (server.role === 'leader' && server.term === term) return server;
  const recent = server.recent.led.findLast((led) => led.term === term);
  must(recent !== undefined, `it sends a ${type} of term ${term}, which it does not lead`);
  return recent;
}

function requireAppend(server: Server, message: MessageOf<'append'>): void {
  const { log } = leadership(server, message);
  const { prevIndex, prevTerm, entries, commit } = message;
  must(
    prevIndex <= log.lastIndex && log.termAt(prevIndex) === prevTerm,
    `its append follows index ${prevIndex} of term ${prevTerm}, which its log does not hold`,
  );
  for (const [offset, { index, term, hash }] of entries.entries()) {
    must(index === prevIndex + 1 + offset, `its append has a gap at index ${index}`);
    const own = log.at(index);
    must(
      own?.term === term && (own.written === undefined || own.written.hash === hash),
      `its append holds another entry at index ${index} than its log`,
    );
  }
  must(
    commit <= server.commit,
    `its append tells of commits up to ${commit}, and it knows of them up to ${server.commit} only`,
  );
}

function requireHeartbeat(server: Server, message: MessageOf<'heartbeat'>): void {
  const { match } = leadership(server, message);
  const known = Math.min(server.commit, match.get(message.to) ?? 0);
  must(
    message.commit <= known,
    `its heartbeat to member ${message.to} tells of commits up to ${message.commit}, and it may tell of ${known} only`,
  );
}

function requireMatch(server: Server, message: MessageOf<'appendReply'>): void {
  if (message.conflict !== undefined) return;
  const verified = server.verified.get(message.term) ?? 0;
  must(
    message.match <= verified,
    `it acknowledges index ${message.match} in term ${message.term}, and has compared its log with the leader's up to ${verified} only`,
  );
}

function requireTimeoutNow(server: Server, message: MessageOf<'timeoutNow'>): void {
  const { log, match } = leadership(server, message);
  const reached = match.get(message.to) ?? 0;
  must(
    reached >= message.lastIndex && message.lastIndex <= log.lastIndex,
    `it asks member ${message.to} to take over at index ${message.lastIndex}, which that holds up to ${reached} only`,
  );
  must(
    votesIn(configurationOf(server).configuration, message.to),
    `it asks member ${message.to} to take over, which has no vote`,
  );
}
