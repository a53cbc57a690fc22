import { crc32 } from 'node:zlib';
import type { Message } from '../raft/messages.ts';
import type { LogReader } from '../raft/options.ts';
import type { Raft } from '../raft/raft.ts';
import type {
  IndexedConfiguration,
  IndexRange,
  RaftStatus,
  Ready,
  Role,
  SnapshotPosition,
} from '../raft/ready.ts';
import { decodeConfiguration } from '../types/configuration.ts';
import type { Entry, EntryType, HardState, MemberId } from '../types/entry.ts';

/**
 * Takes the protocol events of one member as whole lines of NDJSON, each a `TraceEvent`. When `write` returns they
 * must survive the end of the process: what a member has sent is in its trace.
 */
export interface TraceSink {
  write(lines: string): void;
}

/**
 * What a member did, so that a checker can replay it against a specification (test/spec). Every event
 * carries the state after it.
 */
export type TraceEvent = TraceHeader & TraceBody;

type TraceBody =
  | {
      readonly event: 'start';
      readonly baseIndex: number;
      readonly baseTerm: number;
      /** The whole log from baseIndex + 1 on. */
      readonly entries: readonly TraceEntry[];
    }
  | { readonly event: 'receive'; readonly message: TraceMessage }
  /** Written only when the state has changed. */
  | { readonly event: 'input'; readonly input: TraceInput }
  | {
      readonly event: 'offerSnapshot';
      readonly index: number;
      readonly term: number;
      readonly answer: 'install' | 'notNeeded';
    }
  | {
      readonly event: 'ready';
      /** From 1, anew after each start. */
      readonly number: number;
      readonly hardState?: HardState | undefined;
      readonly entries: readonly TraceEntry[];
      readonly messages: readonly TraceMessage[];
      readonly messagesAfterPersist: readonly TraceMessage[];
      readonly committed?: IndexRange | undefined;
    }
  /** All writes up to this Ready's are durable; its `messagesAfterPersist` leave now. */
  | { readonly event: 'persisted'; readonly number: number };

interface TraceHeader {
  readonly member: MemberId;
  readonly state: TraceState;
}

export interface TraceState {
  readonly term: number;
  readonly vote?: MemberId | undefined;
  readonly role: Role;
  readonly leader?: MemberId | undefined;
  readonly commit: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Ticks since the start. */
  readonly ticks: number;
  /** The one in force, when it is not that of the previous line. */
  readonly configuration?: (TraceConfiguration & { readonly index: number }) | undefined;
}

/** What the protocol needs of a configuration. */
export interface TraceConfiguration {
  readonly voters: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
}

export interface TraceEntry {
  readonly index: number;
  readonly term: number;
  readonly type: EntryType;
  /** CRC-32 of the data: equal entries have equal ones. */
  readonly hash: number;
  readonly configuration?: TraceConfiguration | undefined;
}

export type TraceMessage =
  | Exclude<Message, { type: 'append' }>
  | (Omit<Extract<Message, { type: 'append' }>, 'entries'> & {
      readonly entries: readonly TraceEntry[];
    });

/** What else the driver tells the core. */
export type TraceInput =
  | 'tick'
  | 'propose'
  | 'changeConfiguration'
  | 'transferLeadership'
  | 'offerSnapshot'
  | 'setEligible'
  | 'peerConnected'
  | 'peerDisconnected'
  | 'readIndex';

/** Entry bytes read at once when a member starts. */
const LOAD_BYTES = 1024 * 1024;

/** Writes down what one driver does, from its start on. */
export class Tracer {
  readonly #sink: TraceSink;
  readonly #raft: Raft;
  #lines = '';
  #ticks = 0;
  #readies = 0;
  readonly #numbers = new WeakMap<Ready, number>();
  readonly #entries = new WeakMap<Entry, TraceEntry>();
  #configuration: IndexedConfiguration | undefined;
  #lastState = '';

  constructor(sink: TraceSink, { raft, log }: { raft: Raft; log: LogReader }) {
    this.#sink = sink;
    this.#raft = raft;
    this.#start(log);
  }

  /** After the core has taken an input; one without an effect that can be seen is left out. */
  input(input: TraceInput | Message): void {
    if (input === 'tick') this.#ticks += 1;
    if (typeof input !== 'string') {
      this.#event({ event: 'receive', message: this.#message(input) });
    } else if (visible(this.#raft.status()) !== this.#lastState) {
      this.#event({ event: 'input', input });
    }
  }

  offeredSnapshot({ index, term }: SnapshotPosition, answer: 'install' | 'notNeeded'): void {
    this.#event({ event: 'offerSnapshot', index, term, answer });
    this.#flush();
  }

  /** Before anything of the Ready is carried out. */
  ready(ready: Ready): void {
    this.#readies += 1;
    this.#numbers.set(ready, this.#readies);
    const { hardState, committed } = ready;
    this.#event({
      event: 'ready',
      number: this.#readies,
      hardState,
      entries: ready.entries.map((entry) => this.#entry(entry)),
      messages: ready.messages.map((message) => this.#message(message)),
      messagesAfterPersist: ready.messagesAfterPersist.map((message) => this.#message(message)),
      committed,
    });
    this.#flush();
  }

  /** After the core was told that the write of a Ready is durable, before what waited for it leaves. */
  persisted(ready: Ready): void {
    this.#event({ event: 'persisted', number: this.#numbers.get(ready) ?? 0 });
    if (ready.messagesAfterPersist.length > 0) this.#flush();
  }

  #start(log: LogReader): void {
    const entries: TraceEntry[] = [];
    for (let next = log.firstIndex; next <= log.lastIndex; next = log.firstIndex + entries.length)
      entries.push(...log.entries(next, log.lastIndex, LOAD_BYTES).map(traceEntry));
    const baseIndex = log.firstIndex - 1;
    const baseTerm = baseIndex === 0 ? 0 : log.term(baseIndex);
    this.#event({ event: 'start', baseIndex, baseTerm, entries });
    this.#flush();
  }

  #event(body: TraceBody): void {
    const status = this.#raft.status();
    const { id, term, vote, role, leader, commit, firstIndex, lastIndex } = status;
    const { index, configuration } = status.configuration;
    const isNew =
      this.#configuration?.index !== index || this.#configuration.configuration !== configuration;
    this.#configuration = status.configuration;
    this.#lastState = visible(status);
    const state: TraceState = {
      term,
      vote,
      role,
      leader,
      commit,
      firstIndex,
      lastIndex,
      ticks: this.#ticks,
      configuration: isNew ? { index, ...traceConfiguration(configuration) } : undefined,
    };
    this.#lines += `${JSON.stringify({ member: id, ...body, state })}\n`;
  }

  #flush(): void {
    const lines = this.#lines;
    this.#lines = '';
    this.#sink.write(lines);
  }

  #message(message: Message): TraceMessage {
    if (message.type !== 'append') return message;
    return { ...message, entries: message.entries.map((entry) => this.#entry(entry)) };
  }

  #entry(entry: Entry): TraceEntry {
    const known = this.#entries.get(entry);
    if (known !== undefined) return known;
    const made = traceEntry(entry);
    this.#entries.set(entry, made);
    return made;
  }
}

function traceEntry({ index, term, type, data }: Entry): TraceEntry {
  const hash = crc32(data);
  if (type !== 'configuration') return { index, term, type, hash };
  return { index, term, type, hash, configuration: traceConfiguration(decodeConfiguration(data)) };
}

function traceConfiguration({
  voters,
  outgoing,
  learners,
}: IndexedConfiguration['configuration']): TraceConfiguration {
  return { voters, outgoing, learners: learners.map(({ id }) => id) };
}

/** The part of the state that an input must have changed to be worth a line. */
function visible(status: RaftStatus): string {
  const { term, vote, role, leader, commit, firstIndex, lastIndex, configuration } = status;
  return [term, vote, role, leader, commit, firstIndex, lastIndex, configuration.index].join();
}
