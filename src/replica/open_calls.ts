import { NodeError } from '../types/node_error.ts';

/** What a call does to the cluster: one that changes something may have done so when nobody can tell any more. */
export type CallKind = 'read' | 'change';

/** Calls that wait for the answer of a member which may be stopped before it gives one. */
export class OpenCalls {
  readonly #interrupts = new Set<() => void>();

  /** The answer; rejects when it is interrupted before: a read with NOT_READY, a change with OUTCOME_UNKNOWN. */
  async wait<Answer>(answer: Promise<Answer>, kind: CallKind): Promise<Answer> {
    const { promise, reject } = Promise.withResolvers<never>();
    const interrupt = (): void => reject(interruption(kind));
    this.#interrupts.add(interrupt);
    try {
      return await Promise.race([answer, promise]);
    } finally {
      this.#interrupts.delete(interrupt);
    }
  }

  /** Ends all that wait now. */
  interrupt(): void {
    for (const interrupt of this.#interrupts) interrupt();
  }
}

/** The answer to what comes while there is no member: surely nothing was done. */
export function notReady(): NodeError {
  return new NodeError('NOT_READY', 'this member installs a snapshot; ask another one');
}

function interruption(kind: CallKind): NodeError {
  if (kind === 'read') return notReady();
  return new NodeError(
    'OUTCOME_UNKNOWN',
    'this member began to install a snapshot before it had the answer',
  );
}
