import { check } from '../linearizability/check.ts';
import type { Operation } from '../linearizability/history.ts';
import {
  type RegisterInput,
  type RegisterOutput,
  registers,
} from '../linearizability/register_model.ts';
import type { Command } from './command.ts';
import type { Served } from './process.ts';
import { violated } from './violation.ts';

export type ClientOperation = Operation<RegisterInput, RegisterOutput>;

/** A request that a client has made and whose end is open. */
export interface Request {
  readonly client: number;
  /** Number that the client gave it. */
  readonly number: number;
  readonly input: RegisterInput;
  readonly invokedAt: number;
  /** Highest index that any client had been told of when this one asked. */
  readonly floor: number;
}

/**
 * What the clients asked and what they were told. Each answer shows the state after one index: it
 * is checked at once against all indexes told before the question, and the whole history at the end
 * without looking at indexes.
 */
export class ClientHistory {
  acknowledged = 0;
  servedReads = 0;
  #observedIndex = 0;
  readonly #operations: ClientOperation[] = [];
  readonly #unknown: Request[] = [];
  /** By client and number of the request: when some member first applied it, and what came of it. */
  readonly #effects = new Map<string, { at: number; output: boolean | null }>();

  begin(request: Omit<Request, 'floor'>): Request {
    return { ...request, floor: this.#observedIndex };
  }

  /** The request was answered. */
  end(request: Request, served: Served, at: number): void {
    const { client, input, invokedAt, floor } = request;
    const { index, output } = served;
    const isRead = input.kind === 'read';
    if (isRead && index < floor)
      violated('reads are linearizable', `client ${client} read ${index} after ${floor} was told`);
    if (!isRead && index <= floor)
      violated('writes are linearizable', `index ${index} had been told before the write began`);
    if (isRead) this.servedReads += 1;
    else this.acknowledged += 1;
    this.#observedIndex = Math.max(this.#observedIndex, index);
    const result = { at, output: output ?? null };
    this.#operations.push({ client, input, invokedAt, result });
  }

  /** The client gave up a write without knowing whether it takes effect. */
  lose(request: Request): void {
    this.#unknown.push(request);
  }

  /** A member applied a command; the first that does so tells what a client may never hear. */
  took(command: Command, output: boolean | null | undefined, at: number): void {
    if (output === undefined) return;
    const key = `${command.client}:${command.request}`;
    if (!this.#effects.has(key)) this.#effects.set(key, { at, output });
  }

  /**
   * Only the log knows what became of requests that were given up. Without that the search for an
   * order would have to try all their subsets; with it the history is checked more strictly.
   */
  requireLinearizable(): void {
    for (const { client, number, input, invokedAt } of this.#unknown) {
      const result = this.#effects.get(`${client}:${number}`);
      if (result !== undefined) this.#operations.push({ client, input, invokedAt, result });
    }
    const verdict = check(registers, this.#operations);
    if (verdict.outcome !== 'linearizable')
      violated('histories are linearizable', `${verdict.outcome}: ${verdict.text}`);
  }
}
