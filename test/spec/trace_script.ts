import type {
  TraceConfiguration,
  TraceEntry,
  TraceEvent,
  TraceInput,
  TraceMessage,
  TraceState,
} from '../../src/driver/trace.ts';
import type { TraceFile } from './check_trace.ts';
import { configurationsIn } from './spec_actions.ts';
import { SpecLog } from './spec_log.ts';

type Patch = Partial<Omit<TraceState, 'configuration'>>;
type ReadyEvent = Extract<TraceEvent, { event: 'ready' }>;
type ReadyParts = Partial<
  Pick<ReadyEvent, 'hardState' | 'entries' | 'messages' | 'messagesAfterPersist' | 'committed'>
>;

/** Writes traces by hand: each call is one event of one member, with what it changes. */
export class TraceScript {
  readonly #members = new Map<number, Script>();
  readonly #voters: readonly number[];

  /** All voters start empty, but for those whose first start is given. */
  constructor(voters: readonly number[] = [1, 2, 3], starts: Record<number, StartParts> = {}) {
    this.#voters = voters;
    for (const id of voters) this.start(id, starts[id]);
  }

  /** A start, the first one or again; the whole log is given. */
  start(id: number, parts: StartParts = {}): this {
    const { term = 0, vote, commit, entries = [], base = { index: 0, term: 0 } } = parts;
    const log = SpecLog.from(base, entries);
    const first = parts.configuration ?? configurationOf(this.#voters);
    const inForce = configurationsIn(log, 0).at(-1) ?? { index: base.index, configuration: first };
    const script = this.#members.get(id) ?? { lines: [], state: noState(), readies: 0 };
    this.#members.set(id, script);
    script.readies = 0;
    script.state = {
      ...noState(),
      term,
      vote,
      commit: commit ?? base.index,
      firstIndex: base.index + 1,
      lastIndex: log.lastIndex,
    };
    return this.#write(id, {
      event: 'start',
      baseIndex: base.index,
      baseTerm: base.term,
      entries,
      configuration: { index: inForce.index, ...inForce.configuration },
    });
  }

  input(id: number, input: TraceInput, patch: Patch, change?: TraceEntry): this {
    return this.#write(id, { event: 'input', input, ...configurationIn(change) }, patch);
  }

  receive(message: TraceMessage, patch: Patch = {}): this {
    const change =
      message.type === 'append'
        ? message.entries.findLast(({ configuration }) => configuration !== undefined)
        : undefined;
    return this.#write(
      message.to,
      { event: 'receive', message, ...configurationIn(change) },
      patch,
    );
  }

  ready(id: number, parts: ReadyParts, patch: Patch = {}): this {
    const script = this.#script(id);
    script.readies += 1;
    const nothing = { entries: [], messages: [], messagesAfterPersist: [] };
    return this.#write(id, { event: 'ready', number: script.readies, ...nothing, ...parts }, patch);
  }

  /** The writes up to a Ready, the last one if none is named, are durable. */
  persisted(id: number, patch: Patch = {}, number = this.#script(id).readies): this {
    return this.#write(id, { event: 'persisted', number }, patch);
  }

  /** A Ready whose write is durable at once. */
  done(id: number, parts: ReadyParts, patch: Patch = {}): this {
    return this.ready(id, parts).persisted(id, patch);
  }

  offerSnapshot(
    id: number,
    offer: { index: number; term: number; answer: 'install' | 'notNeeded' },
    patch: Patch = {},
  ): this {
    return this.#write(id, { event: 'offerSnapshot', ...offer }, patch);
  }

  files(): TraceFile[] {
    return [...this.#members].map(([id, { lines }]) => ({
      name: `member-${id}.ndjson`,
      text: `${lines.join('\n')}\n`,
    }));
  }

  #write(
    id: number,
    { configuration, ...event }: Record<string, unknown>,
    patch: Patch = {},
  ): this {
    const script = this.#script(id);
    script.state = { ...script.state, ...patch };
    const state = { ...script.state, configuration };
    script.lines.push(JSON.stringify({ member: id, ...event, state }));
    return this;
  }

  #script(id: number): Script {
    const script = this.#members.get(id);
    if (script === undefined) throw new Error(`member ${id} has not started`);
    return script;
  }
}

interface StartParts {
  readonly term?: number;
  readonly vote?: number | undefined;
  readonly commit?: number;
  readonly entries?: readonly TraceEntry[];
  readonly base?: { index: number; term: number };
  readonly configuration?: TraceConfiguration;
}

interface Script {
  readonly lines: string[];
  state: TraceState;
  readies: number;
}

function noState(): TraceState {
  return { term: 0, role: 'follower', commit: 0, firstIndex: 1, lastIndex: 0, ticks: 0 };
}

function configurationIn(entry: TraceEntry | undefined): { configuration?: object } {
  if (entry?.configuration === undefined) return {};
  return { configuration: { index: entry.index, ...entry.configuration } };
}

export function configurationOf(
  voters: readonly number[],
  outgoing: readonly number[] = [],
  learners: readonly number[] = [],
): TraceConfiguration {
  return { voters, outgoing, learners };
}

export function command(index: number, term: number, hash = index): TraceEntry {
  return { index, term, type: 'command', hash };
}

export function noop(index: number, term: number): TraceEntry {
  return { index, term, type: 'noop', hash: 0 };
}

export function change(index: number, term: number, configuration: TraceConfiguration): TraceEntry {
  return { index, term, type: 'configuration', hash: 1_000 + index, configuration };
}

/** Messages from one member to another in a term. */
export function between(from: number, to: number, term: number) {
  const header = { from, to, term };
  return {
    preVote: (lastIndex = 0, lastTerm = 0): TraceMessage => ({
      ...header,
      type: 'preVote',
      lastIndex,
      lastTerm,
    }),
    preVoteReply: (granted = true, askedTerm = term): TraceMessage => ({
      ...header,
      type: 'preVoteReply',
      askedTerm,
      granted,
    }),
    vote: (lastIndex = 0, lastTerm = 0, transfer = false): TraceMessage => ({
      ...header,
      type: 'vote',
      lastIndex,
      lastTerm,
      transfer,
    }),
    voteReply: (granted = true): TraceMessage => ({ ...header, type: 'voteReply', granted }),
    append: (
      [prevIndex, prevTerm]: readonly [number, number],
      entries: readonly TraceEntry[],
      commit = 0,
    ): TraceMessage => ({ ...header, type: 'append', prevIndex, prevTerm, commit, entries }),
    appendReply: (match: number): TraceMessage => ({
      ...header,
      type: 'appendReply',
      match,
      conflict: undefined,
    }),
    heartbeat: (commit = 0): TraceMessage => ({
      ...header,
      type: 'heartbeat',
      commit,
      readRound: 0,
    }),
    timeoutNow: (lastIndex: number): TraceMessage => ({ ...header, type: 'timeoutNow', lastIndex }),
    installSnapshot: (index: number): TraceMessage => ({
      ...header,
      type: 'installSnapshot',
      index,
    }),
  };
}

/** Member 1 becomes leader of term 1 with the vote of member 2; its no-op is not written yet. */
export function electFirst(script: TraceScript): TraceScript {
  return campaignOfFirst(script)
    .receive(between(2, 1, 1).voteReply(), { role: 'leader', leader: 1, lastIndex: 1 })
    .ready(1, { entries: [noop(1, 1)], messages: appendsOfFirst([0, 0], [noop(1, 1)]) });
}

/** The same up to the vote of member 2, which has left. */
export function campaignOfFirst(script: TraceScript): TraceScript {
  return script
    .input(1, 'tick', { role: 'preCandidate', ticks: 10 })
    .ready(1, { messages: [between(1, 2, 0).preVote(), between(1, 3, 0).preVote()] })
    .receive(between(1, 2, 0).preVote())
    .ready(2, { messages: [between(2, 1, 0).preVoteReply()] })
    .receive(between(2, 1, 0).preVoteReply(), { role: 'candidate', term: 1, vote: 1 })
    .done(1, {
      hardState: { term: 1, vote: 1 },
      messagesAfterPersist: [between(1, 2, 1).vote(), between(1, 3, 1).vote()],
    })
    .receive(between(1, 2, 1).vote(), { term: 1, vote: 1 })
    .done(2, {
      hardState: { term: 1, vote: 1 },
      messagesAfterPersist: [between(2, 1, 1).voteReply()],
    });
}

export function appendsOfFirst(
  previous: readonly [number, number],
  entries: readonly TraceEntry[],
  commit = 0,
): TraceMessage[] {
  return [2, 3].map((to) => between(1, to, 1).append(previous, entries, commit));
}

/** After `electFirst`: the no-op is durable at members 1 and 2 and committed by member 1. */
export function commitNoop(script: TraceScript): TraceScript {
  return script
    .persisted(1)
    .receive(between(1, 2, 1).append([0, 0], [noop(1, 1)]), { leader: 1, lastIndex: 1 })
    .done(2, {
      entries: [noop(1, 1)],
      messagesAfterPersist: [between(2, 1, 1).appendReply(1)],
    })
    .receive(between(2, 1, 1).appendReply(1), { commit: 1 })
    .ready(1, {
      messages: appendsOfFirst([1, 1], [], 1),
      committed: { from: 1, toInclusive: 1 },
    });
}
