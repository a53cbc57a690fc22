import type { TraceEvent } from '../../src/driver/trace.ts';
import { commitTo, notePosition, written } from './spec_actions.ts';
import { sameConfiguration } from './spec_configuration.ts';
import { SpecLog } from './spec_log.ts';
import {
  type Cluster,
  configurationOf,
  type Disk,
  Forbidden,
  type IndexedConfiguration,
  must,
  nothingRecent,
  type PendingWrite,
  type Server,
} from './spec_state.ts';

export type StartEvent = Extract<TraceEvent, { event: 'start' }>;

/**
 * Restart: everything is forgotten but what is on disk, and that is what was durable and a part, from the
 * beginning on, of the writes that were under way.
 */
export function restart(cluster: Cluster, event: StartEvent): Server {
  const before = cluster.servers.get(event.member);
  const server = fromDisk(event);
  server.configurations = configurationsAtStart(event, before);
  const { state } = event;
  const shown = state.configuration;
  must(shown !== undefined, 'a start says which configuration is in force');
  const { index, configuration } = configurationOf(server);
  must(
    shown.index === index && sameConfiguration(shown, configuration),
    `it starts with the configuration at index ${shown.index}, and the last one in its log is at ${index}`,
  );
  must(state.role === 'follower', `it starts as ${state.role}`);
  if (before !== undefined) carryOver(server, before, event);
  must(
    state.commit >= server.log.baseIndex && state.commit <= server.log.lastIndex,
    `it starts with the commit index ${state.commit}, which its log does not hold`,
  );
  noteHistory(cluster, server, state.commit);
  return server;
}

function fromDisk({ member, state, baseIndex, baseTerm, entries }: StartEvent): Server {
  const log = SpecLog.from({ index: baseIndex, term: baseTerm }, entries);
  must(
    state.lastIndex === log.lastIndex && state.firstIndex === baseIndex + 1,
    'its state and its log disagree',
  );
  must(state.term >= log.lastTerm, `its log holds term ${log.lastTerm}, above its own`);
  return {
    id: member,
    term: state.term,
    vote: state.vote,
    role: 'follower',
    log,
    commit: baseIndex,
    configurations: [],
    shownConfiguration: state.configuration?.index ?? 0,
    ticks: 0,
    votesGranted: new Set(),
    preVotesGranted: new Set(),
    match: new Map(),
    heardAt: new Map(),
    disk: {
      term: state.term,
      vote: state.vote,
      // Of its own, so that appending to either copies nothing.
      log: SpecLog.from({ index: baseIndex, term: baseTerm }, entries),
    },
    pending: [],
    waiting: [],
    lastReady: 0,
    handedOut: state.commit,
    installing: undefined,
    votes: new Map(state.vote === undefined ? [] : [[state.term, state.vote]]),
    acknowledged: { term: 0, index: 0 },
    verified: new Map(),
    recent: nothingRecent(),
  };
}

/** Those in the log, behind the one that was in force where it begins. */
function configurationsAtStart(
  { state, baseIndex, entries }: StartEvent,
  before: Server | undefined,
): IndexedConfiguration[] {
  const inLog = entries.flatMap(({ index, configuration }) =>
    configuration === undefined ? [] : [{ index, configuration }],
  );
  const older = (before?.configurations ?? []).filter(({ index }) => index <= baseIndex);
  const shown = state.configuration;
  if (inLog.length > 0 || shown === undefined) return [...older.slice(-1), ...inLog];
  return [{ index: shown.index, configuration: shown }];
}

/** What binds a server beyond its restart, and whether it comes back with what it may have. */
function carryOver(server: Server, before: Server, { state }: StartEvent): void {
  const { installing } = before;
  const installed =
    installing !== undefined &&
    server.log.baseIndex === installing.index &&
    server.log.baseTerm === installing.term &&
    server.log.lastIndex === installing.index;
  requireSurvived(server, before, installed);
  const appliedMax = installed ? installing.index : before.handedOut;
  must(
    state.commit <= appliedMax,
    `it starts with ${state.commit} applied, and was given entries up to ${appliedMax} only`,
  );
  server.acknowledged = before.acknowledged;
  for (const [term, vote] of before.votes) if (term < server.term) server.votes.set(term, vote);
}

function requireSurvived(server: Server, before: Server, installed: boolean): void {
  for (const disk of possibleDisks(before)) {
    if (installed ? isAfterInstall(server, disk) : isSame(server, disk, before)) return;
  }
  const { term, vote, log } = before.disk;
  throw new Forbidden(
    `it starts with term ${server.term}, vote ${server.vote ?? 'none'} and a log from ${server.log.baseIndex + 1} to ` +
      `${server.log.lastIndex} of term ${server.log.lastTerm}; durable were term ${term}, vote ${vote ?? 'none'} and a log to ` +
      `${log.lastIndex} of term ${log.lastTerm}, and no part of the ${before.pending.length} writes under way leads there`,
  );
}

function isSame(server: Server, disk: Disk, before: Server): boolean {
  const { term, vote, log } = server;
  return disk.term === term && disk.vote === vote && isSameLog(log, disk.log, before);
}

/** Term and vote outlive an install; a term that only the snapshot knows is taken over without a vote. */
function isAfterInstall({ term, vote, log }: Server, disk: Disk): boolean {
  if (log.baseTerm > disk.term) return term === log.baseTerm && vote === undefined;
  return disk.term === term && disk.vote === vote;
}

/** The disk after any beginning of the writes that were under way: the term goes before the entries. */
function* possibleDisks(before: Server): Generator<Disk> {
  let disk = before.disk;
  yield disk;
  for (const write of before.pending) {
    yield* partsOf(disk, write);
    disk = write.disk;
    yield disk;
  }
}

function* partsOf(disk: Disk, { hardState, entries }: PendingWrite): Generator<Disk> {
  let part = written(disk, hardState, []);
  yield part;
  const first = entries[0];
  if (first === undefined) return;
  part = { ...part, log: part.log.truncatedTo(first.index - 1) };
  yield part;
  for (const entry of entries) {
    part = written(part, undefined, [entry]);
    yield part;
  }
}

/** Compaction may have gone further, or less far, than the last event showed. */
function isSameLog(found: SpecLog, disk: SpecLog, before: Server): boolean {
  if (found.lastIndex !== disk.lastIndex || found.baseIndex > before.handedOut) return false;
  if ((disk.termAt(found.baseIndex) ?? found.baseTerm) !== found.baseTerm) return false;
  for (let index = found.baseIndex + 1; index <= found.lastIndex; index += 1) {
    const known = disk.at(index);
    const own = found.at(index);
    if (known === undefined) continue;
    if (known.term !== own?.term || known.written?.hash !== own.written?.hash) return false;
  }
  return true;
}

/** What the first trace line of a server shows counts as history. */
function noteHistory(cluster: Cluster, server: Server, commit: number): void {
  const { baseIndex, baseTerm, lastIndex } = server.log;
  for (let index = baseIndex + 1; index <= lastIndex; index += 1)
    notePosition(cluster, server, index);
  const known = cluster.committed.get(baseIndex);
  must(
    known === undefined || known.term === baseTerm,
    `state-machine safety: its log begins after index ${baseIndex} of term ${baseTerm}, and that of term ${known?.term} was committed`,
  );
  if (baseIndex > 0 && known === undefined)
    cluster.committed.set(baseIndex, { term: baseTerm, inTerm: server.term });
  commitTo(cluster, server, commit);
}
