import type { TraceEvent } from '../../src/driver/trace.ts';
import { messageKey, replay } from './spec_replay.ts';
import { type Cluster, Forbidden } from './spec_state.ts';

/** The trace of one member: what `blockraft member --trace FILE` writes. */
export interface TraceFile {
  readonly name: string;
  readonly text: string;
}

export interface TraceVerdict {
  readonly events: number;
  /** By kind, so that a test can see that what it cares about happened. */
  readonly counts: ReadonlyMap<string, number>;
  /** The first event that the specification forbids, in words; undefined when it allows all. */
  readonly violation: string | undefined;
}

/**
 * Replays the traces of all members of one cluster against the specification. They are merged by cause:
 * a message is received after it was sent; it may be lost, repeated, delayed and overtaken.
 *
 * @param electionTicks when given, a leader without a quorum must step down within two election timeouts
 */
export function checkTraces(
  files: readonly TraceFile[],
  { electionTicks }: { readonly electionTicks?: number } = {},
): TraceVerdict {
  const cluster: Cluster = {
    servers: new Map(),
    leaders: new Map(),
    positions: new Map(),
    committed: new Map(),
    sent: new Set(),
    silentTicksMax: electionTicks === undefined ? undefined : 2 * electionTicks,
  };
  const readers = files.map((file) => new TraceReader(file));
  const counts = new Map<string, number>();
  let events = 0;
  const verdict = (violation: string | undefined) => ({ events, counts, violation });
  for (;;) {
    let advanced = false;
    for (const reader of readers) {
      for (let event = reader.peek(); event !== undefined; event = reader.peek()) {
        if (!isEnabled(cluster, event)) break;
        const violation = forbidden(cluster, event);
        if (violation !== undefined) return verdict(reader.describe(violation));
        reader.next();
        advanced = true;
        events += 1;
        const kind = kindOf(event);
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
      }
    }
    if (advanced) continue;
    const stuck = readers.find((reader) => reader.peek() !== undefined);
    const event = stuck?.peek();
    if (stuck === undefined || event === undefined) return verdict(undefined);
    return verdict(stuck.describe(whyNeverEnabled(event)));
  }
}

/** For tests: throws the words of the first violation. */
export function requireTracesAllowed(
  files: readonly TraceFile[],
  options: { readonly electionTicks?: number } = {},
): TraceVerdict {
  const verdict = checkTraces(files, options);
  if (verdict.violation !== undefined) throw new Error(verdict.violation);
  return verdict;
}

/** Whether what an event rests on has happened at the other members. */
function isEnabled(cluster: Cluster, event: TraceEvent): boolean {
  if (event.event === 'receive') return cluster.sent.has(messageKey(event.message));
  if (event.event === 'offerSnapshot') return cluster.committed.has(event.index);
  return true;
}

function whyNeverEnabled(event: TraceEvent): string {
  if (event.event === 'receive') {
    const { type, from, term } = event.message;
    return `it receives a ${type} of term ${term} that member ${from} never sent so`;
  }
  return 'it takes a snapshot at an index that nobody committed';
}

function forbidden(cluster: Cluster, event: TraceEvent): string | undefined {
  try {
    replay(cluster, event);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Forbidden) return thrown.message;
    throw thrown;
  }
}

function kindOf(event: TraceEvent): string {
  if (event.event === 'receive') return `receive ${event.message.type}`;
  return event.event === 'input' ? event.input : event.event;
}

/** The events of one file in order; a line that the end of a process cut off is left out. */
class TraceReader {
  readonly #name: string;
  readonly #lines: readonly string[];
  #position = 0;
  #event: TraceEvent | undefined;

  constructor({ name, text }: TraceFile) {
    this.#name = name;
    this.#lines = text.split('\n');
  }

  peek(): TraceEvent | undefined {
    for (; this.#event === undefined; this.#position += 1) {
      const line = this.#lines[this.#position];
      if (line === undefined) return undefined;
      this.#event = parse(line);
      if (this.#event !== undefined) break;
      if (line !== '') this.#requireCutOff(line);
    }
    return this.#event;
  }

  next(): void {
    this.#event = undefined;
    this.#position += 1;
  }

  /** `member-2.ndjson:17: member 2, receive vote: …` */
  describe(words: string): string {
    const { member } = this.#event as TraceEvent;
    const kind = kindOf(this.#event as TraceEvent);
    return `${this.#name}:${this.#position + 1}: member ${member}, ${kind}: ${words}`;
  }

  #requireCutOff(line: string): void {
    const next = this.#lines.slice(this.#position + 1).find((each) => each !== '');
    if (next === undefined || parse(next)?.event === 'start') return;
    throw new Error(`${this.#name}:${this.#position + 1} is no event of a trace: ${line}`);
  }
}

function parse(line: string): TraceEvent | undefined {
  if (!line.endsWith('}')) return undefined;
  try {
    return JSON.parse(line) as TraceEvent;
  } catch {
    return undefined;
  }
}
