import type { TraceEvent, TraceMessage, TraceState } from '../../src/driver/trace.ts';
import {
  advanceCommitIndex,
  appended,
  becomeLeader,
  clientRequests,
  commitTo,
  compact,
  grantVote,
  isHeldByQuorum,
  notePosition,
  replaceLog,
  startPreVote,
  stepDown,
  timeout,
  updateTerm,
  written,
} from './spec_actions.ts';
import { isQuorum, sameConfiguration } from './spec_configuration.ts';
import type { SpecLog } from './spec_log.ts';
import { campaignKey, remember, requireDurable, requireTrue } from './spec_messages.ts';
import { restart } from './spec_restart.ts';
import {
  type Cluster,
  configurationOf,
  Forbidden,
  type IndexedConfiguration,
  must,
  nothingRecent,
  type Server,
} from './spec_state.ts';

/**
 * Replays one event of a trace: finds the actions of the specification that lead to the state which
 * the event shows. Throws Forbidden when there are none.
 */
export function replay(cluster: Cluster, event: TraceEvent): void {
  if (event.event === 'start') {
    cluster.servers.set(event.member, restart(cluster, event));
    return;
  }
  const server = cluster.servers.get(event.member);
  must(server !== undefined, 'it does something before it has started');
  const { state } = event;
  server.ticks = state.ticks;
  switch (event.event) {
    case 'receive':
      explain(cluster, server, state, event.message);
      break;
    case 'input':
      explain(cluster, server, state, undefined);
      break;
    case 'offerSnapshot':
      offerSnapshot(cluster, server, event);
      explain(cluster, server, state, undefined);
      break;
    case 'persisted':
      persisted(cluster, server, event);
      break;
    case 'ready':
      explain(cluster, server, state, undefined);
      handOver(cluster, server, event);
      break;
  }
  requireQuorumHeard(cluster, server);
}

export function messageKey(message: TraceMessage): string {
  return JSON.stringify(message, (_, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
      : value,
  );
}

/** From the server's state to the one shown, with the message that it received, if any. */
function explain(
  cluster: Cluster,
  server: Server,
  shown: TraceState,
  received: TraceMessage | undefined,
): void {
  const message = received?.to === server.id ? received : undefined;
  noteCampaign(server);
  if (shown.firstIndex - 1 !== server.log.baseIndex) compact(server, shown.firstIndex - 1);
  const wasAsked =
    message?.type === 'timeoutNow' &&
    message.term === server.term &&
    cluster.leaders.get(message.term) === message.from;
  if (message !== undefined && message.term > server.term && shown.term >= message.term)
    updateTerm(server, message.term);
  if (message !== undefined) takeAnswer(server, message);
  explainTerm(server, shown, wasAsked);
  if (shown.vote !== server.vote) {
    must(
      message?.type === 'vote' && shown.vote === message.from,
      `its vote in term ${server.term} became ${shown.vote ?? 'none'} without a request`,
    );
    grantVote(server, message);
  }
  explainRole(cluster, server, shown);
  explainLog(server, shown, message);
  explainCommit(cluster, server, { shown, message });
  if (server.role === 'leader') clientRequests(server, shown.lastIndex, indexed(shown));
  must(
    server.log.lastIndex === shown.lastIndex,
    () =>
      `its log ends at ${shown.lastIndex}, and nothing leads there from ${server.log.lastIndex}`,
  );
  requireConfiguration(server, shown);
  // A configuration with a smaller quorum commits what was held back before it.
  if (server.role === 'leader' && shown.commit > server.commit) {
    advanceCommitIndex(server, shown.commit);
    commitTo(cluster, server, shown.commit);
  }
}

function indexed({ configuration }: TraceState): IndexedConfiguration | undefined {
  return configuration && { index: configuration.index, configuration };
}

/** Replies and requests that change only what a server knows of others. */
function takeAnswer(server: Server, message: TraceMessage): void {
  if (message.term === server.term) server.heardAt.set(message.from, server.ticks);
  switch (message.type) {
    case 'preVoteReply':
      if (message.granted && message.askedTerm === server.term && server.role === 'preCandidate')
        server.preVotesGranted.add(message.from);
      return;
    case 'voteReply':
      if (message.granted && message.term === server.term && server.role === 'candidate')
        server.votesGranted.add(message.from);
      return;
    case 'preVote':
      if (
        message.term >= server.term &&
        server.log.isNotAheadOf(message.lastTerm, message.lastIndex)
      )
        server.recent.preVotes.add(`${message.from}:${message.term}`);
      return;
    case 'appendReply':
      if (server.role !== 'leader' || message.term !== server.term) return;
      if (message.conflict !== undefined || message.match > server.log.lastIndex) return;
      server.match.set(message.from, Math.max(server.match.get(message.from) ?? 0, message.match));
      return;
    default:
  }
}

function explainTerm(server: Server, shown: TraceState, wasAsked: boolean): void {
  must(shown.term >= server.term, `the term went back from ${server.term} to ${shown.term}`);
  if (shown.term === server.term) return;
  must(
    shown.term === server.term + 1 && shown.vote === server.id,
    `its term became ${shown.term} without a message of that term or a campaign`,
  );
  timeout(server, wasAsked);
}

function explainRole(cluster: Cluster, server: Server, shown: TraceState): void {
  if (shown.role !== server.role) {
    if (shown.role === 'leader') becomeLeader(cluster, server);
    else if (shown.role === 'preCandidate') startPreVote(server);
    else if (shown.role === 'follower') stepDown(server);
    else throw new Forbidden(`it is a candidate in term ${server.term} without a campaign`);
  }
  noteCampaign(server);
}

/** It may ask with what is true now, until the next Ready; asking again changes nothing that can be seen. */
function noteCampaign(server: Server): void {
  const { term, log } = server;
  const { lastIndex, lastTerm } = log;
  const campaign = { term, lastIndex, lastTerm };
  if (server.role === 'preCandidate') server.recent.campaigns.add(campaignKey('preVote', campaign));
  if (server.role === 'candidate') server.recent.campaigns.add(campaignKey('vote', campaign));
}

function explainLog(server: Server, shown: TraceState, message: TraceMessage | undefined): void {
  must(
    shown.lastIndex >= server.commit,
    `it truncates its log to ${shown.lastIndex}, and index ${server.commit} is committed`,
  );
  if (server.role === 'leader') {
    must(
      shown.lastIndex >= server.log.lastIndex,
      `a leader truncates its log from ${server.log.lastIndex} to ${shown.lastIndex}`,
    );
    return;
  }
  if (message?.term !== server.term) return;
  if (message.type === 'installSnapshot') verify(server, server.commit);
  if (message.type !== 'append') return;
  verify(server, server.commit);
  const log = appended(server, message);
  if (log === undefined || log.lastIndex !== shown.lastIndex) return;
  replaceLog(server, log);
  verify(server, message.prevIndex + message.entries.length);
}

function verify(server: Server, index: number): void {
  const before = server.verified.get(server.term) ?? 0;
  server.verified.set(server.term, Math.max(before, index));
}

function requireConfiguration(server: Server, shown: TraceState): void {
  const { index, configuration } = configurationOf(server);
  if (shown.configuration === undefined) {
    must(
      index === server.shownConfiguration,
      `the configuration at index ${index} of its log is not in force`,
    );
    return;
  }
  must(
    shown.configuration.index === index && sameConfiguration(shown.configuration, configuration),
    `the configuration at index ${shown.configuration.index} is in force, and the last one in its log is at ${index}`,
  );
  server.shownConfiguration = index;
}

function explainCommit(
  cluster: Cluster,
  server: Server,
  { shown, message }: { shown: TraceState; message: TraceMessage | undefined },
): void {
  const { commit } = shown;
  if (commit === server.commit) return;
  if (commit > server.commit && server.role === 'leader') {
    if (!isHeldByQuorum(server, commit)) return;
    advanceCommitIndex(server, commit);
  } else if (commit > server.commit) {
    must(
      commit <= commitTold(server, message),
      () => `it commits index ${commit}, and was told of ${commitTold(server, message)} only`,
    );
  }
  commitTo(cluster, server, commit);
}

/** How far a follower may commit: what the leader committed, as far as the logs are known to agree. */
function commitTold(server: Server, message: TraceMessage | undefined): number {
  if (message === undefined || message.term !== server.term) return server.commit;
  const { acknowledged, term } = server;
  if (message.type === 'append') {
    const verified = Math.min(
      server.verified.get(term) ?? 0,
      message.prevIndex + message.entries.length,
    );
    return Math.min(message.commit, verified);
  }
  if (message.type !== 'heartbeat') return server.commit;
  const verified = Math.max(
    acknowledged.term === term ? acknowledged.index : 0,
    server.verified.get(term) ?? 0,
  );
  return Math.min(message.commit, verified);
}

function offerSnapshot(
  cluster: Cluster,
  server: Server,
  { index, term, answer }: Extract<TraceEvent, { event: 'offerSnapshot' }>,
): void {
  must(
    cluster.committed.get(index)?.term === term,
    `it takes a snapshot at index ${index} of term ${term}, which is not what was committed there`,
  );
  const holds = index <= server.commit || server.log.termAt(index) === term;
  if (answer === 'install') {
    must(!holds, `it installs a snapshot at index ${index}, which its log holds`);
    server.installing = { index, term };
    return;
  }
  must(holds, `it declines a snapshot at index ${index}, which its log does not hold`);
  if (index > server.commit) commitTo(cluster, server, index);
}

/** A Ready: everything that must be durable goes to storage, messages leave or wait. */
function handOver(
  cluster: Cluster,
  server: Server,
  ready: Extract<TraceEvent, { event: 'ready' }>,
): void {
  const { number, hardState, entries, messages, messagesAfterPersist, committed } = ready;
  must(number === server.lastReady + 1, `Ready ${number} follows Ready ${server.lastReady}`);
  server.lastReady = number;
  for (const entry of entries) {
    const own = server.log.at(entry.index);
    must(
      own?.term === entry.term && (own.written === undefined || own.written.hash === entry.hash),
      `it writes another entry at index ${entry.index} than its log holds`,
    );
    own.written = entry;
    notePosition(cluster, server, entry.index);
  }
  const last = server.pending.at(-1)?.disk ?? server.disk;
  const disk = written(last, hardState, entries);
  must(
    disk.term === server.term && disk.vote === server.vote,
    `it does not write its term ${server.term} and vote ${server.vote ?? 'for nobody'}`,
  );
  must(
    disk.log.lastIndex === server.log.lastIndex &&
      server.log.agreesWith(disk.log) === server.log.lastIndex,
    `its writes lead to another log than its own, which ends at ${server.log.lastIndex}`,
  );
  if (hardState !== undefined || entries.length > 0)
    server.pending.push({ number, hardState: withVote(hardState), entries, disk });
  for (const message of [...messages, ...messagesAfterPersist]) requireTrue(server, message);
  for (const message of messages) send(cluster, server, { message, log: server.log });
  if (messagesAfterPersist.length > 0)
    server.waiting.push({ number, messages: messagesAfterPersist, log: server.log });
  if (committed !== undefined) handOut(server, committed);
  server.recent = nothingRecent();
  for (const term of server.verified.keys()) if (term < server.term) server.verified.delete(term);
}

function withVote(hardState: { term: number; vote?: number | undefined } | undefined) {
  return hardState && { term: hardState.term, vote: hardState.vote };
}

function persisted(
  cluster: Cluster,
  server: Server,
  { number, state }: Extract<TraceEvent, { event: 'persisted' }>,
): void {
  while ((server.pending[0]?.number ?? Number.POSITIVE_INFINITY) <= number)
    server.disk = server.pending.shift()?.disk ?? server.disk;
  explain(cluster, server, state, undefined);
  while ((server.waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= number)
    release(cluster, server);
}

function release(cluster: Cluster, server: Server): void {
  const waiting = server.waiting.shift();
  if (waiting === undefined) return;
  for (const message of waiting.messages) send(cluster, server, { message, log: waiting.log });
}

/** A message leaves; `log` is that of the Ready which it came with. */
function send(
  cluster: Cluster,
  server: Server,
  { message, log }: { message: TraceMessage; log: SpecLog },
): void {
  requireDurable(server, message, log);
  remember(server, message);
  cluster.sent.add(messageKey(message));
}

/** Entries go to the state machine in order, once they are committed and durable here (10.2.1). */
function handOut(
  server: Server,
  { from, toInclusive }: { from: number; toInclusive: number },
): void {
  must(from === server.handedOut + 1, `it applies from ${from} on after ${server.handedOut}`);
  must(
    toInclusive <= server.commit,
    `it applies index ${toInclusive}, and knows of commits up to ${server.commit} only`,
  );
  must(
    server.log.agreesWith(server.disk.log) >= toInclusive,
    `it applies index ${toInclusive}, which is not durable here`,
  );
  server.handedOut = toInclusive;
}

/** CheckQuorum (6.2): whoever has not heard a quorum for two election timeouts leads no more. */
function requireQuorumHeard(cluster: Cluster, server: Server): void {
  const { silentTicksMax } = cluster;
  if (server.role !== 'leader' || silentTicksMax === undefined) return;
  const { configuration } = configurationOf(server);
  for (const member of [...configuration.voters, ...configuration.outgoing])
    if (!server.heardAt.has(member)) server.heardAt.set(member, server.ticks);
  const isHeard = (member: number) =>
    member === server.id || server.ticks - (server.heardAt.get(member) ?? 0) <= silentTicksMax;
  must(
    isQuorum(configuration, isHeard),
    `it still leads term ${server.term}, and has heard no quorum for more than ${silentTicksMax} ticks`,
  );
}
