import type { Configuration } from '../../src/types/configuration.ts';
import { decodeConfiguration } from '../../src/types/configuration.ts';
import type { Entry } from '../../src/types/entry.ts';
import { type Command, decodeCommand, registerOf } from './command.ts';
import { identityOf } from './log_mirror.ts';

/** The last request of one client and what came of it. */
interface Session {
  readonly request: number;
  readonly output: boolean | null;
  /** Index at which it took effect. */
  readonly index: number;
}

/** Everything that the state machine holds after `applied`; it is replaced, never changed. */
export interface StoreState {
  readonly applied: number;
  readonly appliedTerm: number;
  readonly registers: readonly (number | null)[];
  readonly sessions: ReadonlyMap<number, Session>;
  readonly configuration: { readonly index: number; readonly configuration: Configuration };
  /** Of all entries in order: equal states come of equal histories. */
  readonly digest: number;
}

/** What applying a command answered. */
export interface Outcome {
  readonly command: Command;
  readonly index: number;
  /** Undefined when a later request of the client had been applied already. */
  readonly output: boolean | null | undefined;
}

/**
 * The state machine of one member on its disk: registers, written atomically with the applied index.
 * A crash takes it back to any state since the last flush, never in between.
 */
export class KeyValueStore {
  /** Since the last flush, oldest first. */
  #states: StoreState[];

  constructor(state: StoreState) {
    this.#states = [state];
  }

  get state(): StoreState {
    return this.#states.at(-1)!;
  }

  /** What a crash cannot take back. */
  get flushed(): StoreState {
    return this.#states[0]!;
  }

  /** Applies entries as one batch; tells of each what it answered, and the digest behind it. */
  apply(
    entries: readonly Entry[],
    told: (entry: Entry, outcome: Outcome | undefined, digest: number) => void,
  ): void {
    const registers = [...this.state.registers];
    const sessions = new Map(this.state.sessions);
    let { applied, appliedTerm, configuration, digest } = this.state;
    for (const entry of entries) {
      const { index, term, type, data } = entry;
      if (index !== applied + 1) throw new Error(`index ${index} does not follow ${applied}`);
      applied = index;
      appliedTerm = term;
      digest = Math.imul(Math.imul(digest ^ identityOf(entry), 0x0100_0193) ^ term, 0x85eb_ca6b);
      if (type === 'configuration')
        configuration = { index, configuration: decodeConfiguration(data) };
      const outcome =
        type === 'command' ? applyCommand({ registers, sessions }, index, data) : undefined;
      told(entry, outcome, digest);
    }
    this.#states.push({ applied, appliedTerm, registers, sessions, configuration, digest });
  }

  flush(): void {
    this.#states = [this.state];
  }

  /** Keeps so much of what was not flushed: 0 nothing, 1 all. */
  crash(share: number): void {
    this.#states = [this.#states[Math.round(share * (this.#states.length - 1))]!];
  }
}

function applyCommand(
  state: { registers: (number | null)[]; sessions: Map<number, Session> },
  index: number,
  data: Uint8Array,
): Outcome {
  const command = decodeCommand(data);
  const { client, request, input } = command;
  const last = state.sessions.get(client);
  if (last !== undefined && request <= last.request)
    return request === last.request
      ? { command, index: last.index, output: last.output }
      : { command, index: last.index, output: undefined };
  const register = registerOf(input.key);
  const matches = input.kind === 'write' || (state.registers[register] ?? null) === input.expected;
  if (matches) state.registers[register] = input.value;
  const output = input.kind === 'cas' ? matches : null;
  state.sessions.set(client, { request, output, index });
  return { command, index, output };
}

/** What a member begins with. */
export function emptyState(configuration: Configuration, registers: number): StoreState {
  return {
    applied: 0,
    appliedTerm: 0,
    registers: Array.from({ length: registers }, () => null),
    sessions: new Map(),
    configuration: { index: 0, configuration },
    digest: 0,
  };
}
