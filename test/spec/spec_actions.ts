import type { TraceConfiguration, TraceEntry, TraceMessage } from '../../src/driver/trace.ts';
import { describeConfiguration, forbiddenStep, isQuorum, votesIn } from './spec_configuration.ts';
import { type SpecEntry, type SpecLog, specEntry } from './spec_log.ts';
import {
  type Cluster,
  configurationOf,
  type Disk,
  type IndexedConfiguration,
  must,
  type Server,
} from './spec_state.ts';

// The actions of Ongaro's TLA+ specification of Raft, with what the dissertation adds to them:
// PreVote (9.6), membership (4.3), compaction (5.1) and leadership transfer (3.10). Each has a guard, which
// throws Forbidden, and an effect.

export type MessageOf<Type extends TraceMessage['type']> = Extract<TraceMessage, { type: Type }>;

/** UpdateTerm: a higher term makes a follower of everybody (figure 3.1, "all servers"). */
export function updateTerm(server: Server, term: number): void {
  must(term > server.term, `the term went back from ${server.term} to ${term}`);
  stopLeading(server);
  server.term = term;
  server.vote = undefined;
  server.role = 'follower';
  server.votesGranted.clear();
  server.preVotesGranted.clear();
}

/** StepDown, and CheckQuorum (6.2): a server may follow at any time. */
export function stepDown(server: Server): void {
  stopLeading(server);
  server.role = 'follower';
}

/** PreVote (9.6): asks without a change of term. */
export function startPreVote(server: Server): void {
  requireVote(server);
  stopLeading(server);
  server.role = 'preCandidate';
  server.preVotesGranted = new Set([server.id]);
}

/** Timeout: a new term, with a vote for oneself. `asked` says that the leader asked for it (3.10). */
export function timeout(server: Server, asked: boolean): void {
  const { configuration } = configurationOf(server);
  must(server.role !== 'leader', 'a leader campaigns');
  requireVote(server);
  const asksAlone = isQuorum(configuration, (member) => member === server.id);
  const isEncouraged =
    server.role === 'preCandidate' &&
    isQuorum(configuration, (member) => server.preVotesGranted.has(member));
  must(
    asked || asksAlone || isEncouraged,
    () =>
      `it campaigns with the PreVotes of ${list(server.preVotesGranted)} only, in ${describeOwn(server)}`,
  );
  server.term += 1;
  server.role = 'candidate';
  server.votesGranted.clear();
  server.preVotesGranted.clear();
  castVote(server, server.id);
}

/**
 * In the last committed configuration or one after it: a server whose removal is not committed may be the
 * only one that can commit it (4.2.2).
 */
function requireVote({ id, configurations, commit }: Server): void {
  const committed = configurations.findLastIndex(({ index }) => index <= commit);
  const held = configurations.slice(Math.max(0, committed));
  must(
    held.some(({ configuration }) => votesIn(configuration, id)),
    () =>
      `it campaigns without a vote in ${held.map((each) => describeConfiguration(each.configuration)).join(' or ')}`,
  );
}

/** HandleRequestVoteRequest with a granted vote (figure 3.1). */
export function grantVote(server: Server, request: MessageOf<'vote'>): void {
  const { from, term, lastIndex, lastTerm } = request;
  must(term === server.term, `it votes in term ${server.term} for a candidate of term ${term}`);
  must(
    server.log.isNotAheadOf(lastTerm, lastIndex),
    () =>
      `it votes for a log that ends at ${lastIndex} of term ${lastTerm}, and its own ends at ` +
      `${server.log.lastIndex} of term ${server.log.lastTerm}`,
  );
  castVote(server, from);
}

function castVote(server: Server, candidate: number): void {
  const { term } = server;
  const before = server.votes.get(term);
  must(
    before === undefined || before === candidate,
    `it votes for ${candidate} in term ${term}, in which it voted for ${before}`,
  );
  server.votes.set(term, candidate);
  server.vote = candidate;
}

/** BecomeLeader: a quorum of votes; its own counts once it is durable. */
export function becomeLeader(cluster: Cluster, server: Server): void {
  const { id, term } = server;
  must(server.role === 'candidate', `it leads term ${term} without having campaigned`);
  const ownVoteIsDurable = server.disk.term === term && server.disk.vote === id;
  const votes = new Set(server.votesGranted);
  if (ownVoteIsDurable) votes.add(id);
  must(
    isQuorum(configurationOf(server).configuration, (member) => votes.has(member)),
    () => `it leads term ${term} with the votes of ${list(votes)} only, in ${describeOwn(server)}`,
  );
  const other = cluster.leaders.get(term);
  must(
    other === undefined || other === id,
    `election safety: member ${other} leads term ${term} already`,
  );
  cluster.leaders.set(term, id);
  requireLeaderCompleteness(cluster, server);
  server.role = 'leader';
  server.match.clear();
  server.heardAt.clear();
}

/** ClientRequest, and the configurations that a leader appends (4.1, 4.3). */
export function clientRequests(
  server: Server,
  lastIndex: number,
  configuration: IndexedConfiguration | undefined,
): void {
  const { term } = server;
  for (let index = server.log.lastIndex + 1; index <= lastIndex; index += 1) {
    const isChange = configuration?.index === index;
    if (isChange) {
      requireChangeAllowed(server, configuration.configuration);
      beginQuorumCheckAnew(server, configuration.configuration);
    }
    const entry: SpecEntry = {
      term,
      written: undefined,
      configuration: isChange ? configuration.configuration : undefined,
    };
    server.log = server.log.append(entry);
    if (isChange) server.configurations.push(configuration);
  }
}

/**
 * The quorum check counts in another configuration now: those that were silent may have become its quorum, and
 * new voters were not asked yet. It misses nobody before the next check.
 */
function beginQuorumCheckAnew(server: Server, { voters, outgoing }: TraceConfiguration): void {
  for (const voter of [...voters, ...outgoing]) server.heardAt.set(voter, server.ticks);
}

function requireChangeAllowed(server: Server, after: TraceConfiguration): void {
  const { index, configuration: before } = configurationOf(server);
  const change = () => `${describeConfiguration(before)} to ${describeConfiguration(after)}`;
  must(
    index <= server.commit,
    () => `it changes ${change()} while the one at index ${index} is not committed`,
  );
  must(
    server.log.termAt(server.commit) === server.term,
    () => `it changes ${change()} before it committed an entry of term ${server.term}`,
  );
  const problem = forbiddenStep(before, after);
  must(problem === undefined, () => `${problem}: ${change()}`);
}

/** AdvanceCommitIndex (3.6.2): a quorum has it on disk, and it is of the current term (figure 8). */
export function advanceCommitIndex(server: Server, index: number): void {
  const { id, term, log } = server;
  must(index <= log.lastIndex, `it commits index ${index}, behind the end of its log`);
  must(
    log.termAt(index) === term,
    () => `it commits index ${index} of term ${log.termAt(index)} by counting, in term ${term}`,
  );
  must(isHeldByQuorum(server, index), () => {
    const known = [[id, onOwnDisk(server)], ...server.match];
    const list = known.map(([member, to]) => `${member} to ${to}`).join(', ');
    return `it commits index ${index} which no quorum holds: ${list}, in ${describeOwn(server)}`;
  });
}

/** As far as the leader knows, in the configuration that is in force at this moment. */
export function isHeldByQuorum(server: Server, index: number): boolean {
  const onDisk = onOwnDisk(server);
  return isQuorum(
    configurationOf(server).configuration,
    (member) => (member === server.id ? onDisk : (server.match.get(member) ?? 0)) >= index,
  );
}

function onOwnDisk(server: Server): number {
  return server.log.agreesWith(server.disk.log);
}

/**
 * HandleAppendEntriesRequest: the log that it leads to; undefined when the logs do not agree where it
 * begins. Entries that are there already stay, and so does what lies behind them (3.5).
 */
export function appended(server: Server, message: MessageOf<'append'>): SpecLog | undefined {
  const { prevIndex, prevTerm, entries } = message;
  let { log } = server;
  if (prevIndex > log.lastIndex) return undefined;
  const known = log.termAt(prevIndex);
  if (known !== undefined && known !== prevTerm && prevIndex >= log.baseIndex) return undefined;
  for (const entry of entries) {
    if (entry.index <= log.baseIndex) continue;
    if (entry.index <= log.lastIndex) {
      if (log.termAt(entry.index) === entry.term) continue;
      must(
        entry.index > server.commit,
        `an entry of term ${entry.term} would replace the committed one at index ${entry.index}`,
      );
      log = log.truncatedTo(entry.index - 1);
    }
    log = log.append(specEntry(entry));
  }
  return log;
}

/** Puts another log in place, and with it the configurations that it holds. */
export function replaceLog(server: Server, log: SpecLog): void {
  const same = server.log.agreesWith(log);
  server.configurations = server.configurations.filter(({ index }) => index <= same);
  server.configurations.push(...configurationsIn(log, same));
  server.log = log;
}

export function configurationsIn(log: SpecLog, after: number): IndexedConfiguration[] {
  const found: IndexedConfiguration[] = [];
  for (let index = Math.max(after, log.baseIndex) + 1; index <= log.lastIndex; index += 1) {
    const configuration = log.at(index)?.configuration;
    if (configuration !== undefined) found.push({ index, configuration });
  }
  return found;
}

/** Every change of a commit index, however it came about (state-machine safety, 3.6.3). */
export function commitTo(cluster: Cluster, server: Server, index: number): void {
  must(index >= server.commit, `the commit index went back from ${server.commit} to ${index}`);
  must(index <= server.log.lastIndex, `it commits index ${index}, behind the end of its log`);
  for (let each = server.commit + 1; each <= index; each += 1) {
    const term = server.log.termAt(each);
    if (term === undefined) continue;
    const known = cluster.committed.get(each);
    must(
      known === undefined || known.term === term,
      `state-machine safety: it commits index ${each} of term ${term}, and another member committed that of term ${known?.term}`,
    );
    const inTerm = Math.min(known?.inTerm ?? server.term, server.term);
    cluster.committed.set(each, { term, inTerm });
  }
  server.commit = index;
  requireKnownToLaterLeaders(cluster, server, index);
}

/** Compaction (5.1): only what the state machine was given leaves the log. */
export function compact(server: Server, baseIndex: number): void {
  must(
    baseIndex >= server.log.baseIndex,
    `the log begins at ${baseIndex + 1} again, after it had begun at ${server.log.baseIndex + 1}`,
  );
  must(
    baseIndex <= server.handedOut,
    `it compacts up to ${baseIndex}, and was told to apply no further than ${server.handedOut}`,
  );
  server.log = server.log.compactedTo(baseIndex);
}

/** What storage holds once a write is done. */
export function written(
  disk: Disk,
  hardState: { term: number; vote?: number | undefined } | undefined,
  entries: readonly TraceEntry[],
): Disk {
  let { log } = disk;
  const first = entries[0];
  if (first !== undefined) {
    must(
      first.index > log.baseIndex && first.index <= log.lastIndex + 1,
      `the write begins at index ${first.index}, and the log on disk ends at ${log.lastIndex}`,
    );
    log = log.truncatedTo(first.index - 1);
    for (const entry of entries) log = log.append(specEntry(entry));
  }
  const { term, vote } = hardState ?? disk;
  return { term, vote, log };
}

/** Log Matching by induction: index and term fix the command and the term before it. */
export function notePosition(cluster: Cluster, server: Server, index: number): void {
  const entry = server.log.at(index);
  if (entry?.written === undefined) return;
  const { hash, type } = entry.written;
  const previousTerm = server.log.termAt(index - 1);
  const key = `${index}:${entry.term}`;
  const known = cluster.positions.get(key);
  if (known === undefined) {
    cluster.positions.set(key, { hash, type, previousTerm });
    return;
  }
  const samePrevious =
    (known.previousTerm ?? previousTerm) === (previousTerm ?? known.previousTerm);
  must(
    known.hash === hash && known.type === type && samePrevious,
    `log matching: index ${index} of term ${entry.term} exists in two versions`,
  );
}

/** A leader's log and knowledge stay known until what it sent has left with the next Ready. */
function stopLeading(server: Server): void {
  if (server.role !== 'leader') return;
  const { term, log } = server;
  server.recent.led.push({ term, log, match: new Map(server.match) });
}

/** Leader Completeness (3.6.3): by Log Matching the last entry that must be there stands for all. */
function requireLeaderCompleteness(cluster: Cluster, server: Server): void {
  let last = 0;
  for (const [index, { inTerm }] of cluster.committed)
    if (inTerm < server.term && index > last) last = index;
  const committed = cluster.committed.get(last);
  if (committed === undefined || last <= server.log.baseIndex) return;
  must(
    server.log.termAt(last) === committed.term,
    `leader completeness: index ${last} of term ${committed.term} was committed, and it leads term ${server.term} without it`,
  );
}

/** The same, for a commit that the merged trace shows after the election. */
function requireKnownToLaterLeaders(cluster: Cluster, server: Server, index: number): void {
  const term = server.log.termAt(index);
  for (const other of cluster.servers.values()) {
    if (other.role !== 'leader' || other.term <= server.term || index <= other.log.baseIndex)
      continue;
    must(
      other.log.termAt(index) === term,
      `leader completeness: it commits index ${index} of term ${term} in term ${server.term}, and member ${other.id} leads term ${other.term} without it`,
    );
  }
}

function describeOwn(server: Server): string {
  return describeConfiguration(configurationOf(server).configuration);
}

function list(members: Iterable<number>): string {
  const ids = [...members];
  return ids.length === 0 ? 'nobody' : ids.join(', ');
}
