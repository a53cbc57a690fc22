import type { Clock } from '../lib/environment.ts';
import type { MemberId } from '../types/entry.ts';
import { refusal, refused, type SubmitResult } from '../types/submission.ts';
import { decodeSubmitResults, encodeSubmission } from './forwarding.ts';

export interface SubmitRouterDependencies {
  /** The leader as far as this member knows. */
  readonly leader: () => MemberId | undefined;
  readonly self: MemberId;
  /** Submits here, on the leader. */
  readonly submitHere: (raws: readonly Uint8Array[]) => Promise<SubmitResult[]>;
  /** Asks another member; rejects with NOT_SENT when it certainly did not get the request. */
  readonly ask: (member: MemberId, payload: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;
  readonly isNotSent: (thrown: unknown) => boolean;
  readonly clock: Clock;
}

/** Pause before the next attempt when there is no leader, or it is changing. */
const RETRY_MS = 15;
/** How long a submission looks for a leader when its client set no deadline. */
const PATIENCE_MS = 10_000;

/**
 * Brings submissions to the leader, wherever they came in. What a change of leaders left open is
 * submitted again: a transaction that was admitted after all is answered as known.
 */
export class SubmitRouter {
  readonly #dependencies: SubmitRouterDependencies;

  constructor(dependencies: SubmitRouterDependencies) {
    this.#dependencies = dependencies;
  }

  async submit(raws: readonly Uint8Array[], signal: AbortSignal): Promise<SubmitResult[]> {
    const results = new Array<SubmitResult>(raws.length);
    let open = raws.map((raw, position) => ({ raw, position }));
    const uncertain = new Set<number>();
    const deadlineMs = this.#dependencies.clock.monotonicMs() + PATIENCE_MS;
    for (;;) {
      const attempt = await this.#attempt(
        open.map(({ raw }) => raw),
        signal,
      );
      const unanswered: typeof open = [];
      for (const [index, item] of open.entries()) {
        const result = attempt[index] ?? unknown();
        results[item.position] = result;
        if (!isOpen(result)) continue;
        unanswered.push(item);
        if (result.refusal.code === 'OUTCOME_UNKNOWN') uncertain.add(item.position);
      }
      open = unanswered;
      if (open.length === 0) return results;
      if (signal.aborted || this.#dependencies.clock.monotonicMs() >= deadlineMs) {
        // One attempt of unknown outcome leaves the whole in doubt, whatever a later one said.
        for (const position of uncertain)
          if (isOpen(results[position])) results[position] = unknown();
        return results;
      }
      await this.#pause();
    }
  }

  async #attempt(raws: readonly Uint8Array[], signal: AbortSignal): Promise<SubmitResult[]> {
    const { leader, self, submitHere, ask, isNotSent } = this.#dependencies;
    const target = leader();
    if (target === undefined) return raws.map(() => refused(noLeader()));
    if (target === self) return submitHere(raws);
    try {
      return decodeSubmitResults(await ask(target, encodeSubmission(raws), signal));
    } catch (thrown) {
      return raws.map(() => (isNotSent(thrown) ? refused(noLeader()) : unknown()));
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#dependencies.clock.schedule(RETRY_MS, resolve);
    });
  }
}

function isOpen(
  result: SubmitResult | undefined,
): result is Extract<SubmitResult, { kind: 'refused' }> {
  if (result?.kind !== 'refused') return false;
  return result.refusal.code === 'NOT_ADMITTED' || result.refusal.code === 'OUTCOME_UNKNOWN';
}

function noLeader() {
  return refusal('NOT_ADMITTED', 'no leader could be reached');
}

function unknown(): SubmitResult {
  return refused(
    refusal('OUTCOME_UNKNOWN', 'the leader changed, or could not be reached, before it answered'),
  );
}
