import type { ServerDuplexStream } from '@grpc/grpc-js';
import { assert } from '../lib/assert.ts';
import { NodeError } from '../types/node_error.ts';
import type { SubmitResult } from '../types/submission.ts';
import { wireRefusal } from './api_error.ts';
import type { NodeBackend } from './backend.ts';
import type { OpenCalls } from './calls.ts';
import { invalid, type WaitLevel, waitField } from './request_fields.ts';
import { submissionWire, submitResultWire, type Wire } from './responses.ts';
import type { SubmitTransactionRequest, SubmitTransactionsRequest } from './wire.ts';

type SubmissionBackend = Pick<NodeBackend, 'submit' | 'committed'>;
type SubmitCall = ServerDuplexStream<SubmitTransactionsRequest, Wire>;

export interface SubmissionLimits {
  /** Transactions in one batch of SubmitTransactions. */
  readonly batchTransactionsMax: number;
  /** Batches of one stream whose answers its client has not taken; beyond it the server stops reading. */
  readonly unansweredBatchesMax: number;
}

/** SubmitTransaction: a refusal becomes the status of the call. */
export async function submitTransaction(
  backend: SubmissionBackend,
  request: SubmitTransactionRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const wait = waitField(request.wait);
  const [result] = await submitBatch(backend, [request.transaction], { wait, signal });
  assert(result !== undefined, 'a submitted transaction has a result');
  if (result.kind === 'refused') {
    const { code, message, fields } = result.refusal;
    throw new NodeError(code, message, { fields: { ...fields } });
  }
  return { submission: submissionWire(result) };
}

/** One stream of SubmitTransactions: answers each batch when it is done and reads no further ahead than allowed. */
export class SubmissionStream {
  readonly #limits: SubmissionLimits;
  readonly #backend: SubmissionBackend;
  readonly #calls: OpenCalls;
  readonly #call: SubmitCall;
  readonly #signal: AbortSignal;
  /** Aborted as well when the member stops and nothing may be waited for any longer. */
  readonly #patience: AbortSignal;
  /** Batches read whose answer is not yet taken by the transport. */
  #unanswered = 0;
  #readingEnded = false;
  #finish: (() => void) | undefined;

  constructor(
    limits: SubmissionLimits,
    dependencies: {
      backend: SubmissionBackend;
      calls: OpenCalls;
      call: SubmitCall;
      signal: AbortSignal;
    },
  ) {
    this.#limits = limits;
    this.#backend = dependencies.backend;
    this.#calls = dependencies.calls;
    this.#call = dependencies.call;
    this.#signal = dependencies.signal;
    this.#patience = AbortSignal.any([dependencies.signal, dependencies.calls.hurrying]);
  }

  /** Resolves when the client has sent and received all; rejects when the member stops, after the last answer. */
  async run(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#finish = resolve;
    const stop = (): void => {
      this.#call.pause();
      this.#endReading();
    };
    this.#calls.stopping.addEventListener('abort', stop, { once: true });
    this.#signal.addEventListener('abort', () => resolve(), { once: true });
    this.#call.on('data', (request: SubmitTransactionsRequest) => this.#accept(request));
    this.#call.on('end', () => this.#endReading());
    await promise;
    this.#calls.stopping.removeEventListener('abort', stop);
    if (this.#calls.stopping.aborted)
      throw new NodeError(
        'STOPPING',
        'this member is stopping; submit what is unanswered to another member, it is harmless',
      );
  }

  #accept(request: SubmitTransactionsRequest): void {
    this.#unanswered += 1;
    if (this.#unanswered >= this.#limits.unansweredBatchesMax) this.#call.pause();
    this.#answer(request).then((response) => {
      if (this.#signal.aborted) return;
      // The slot is free once the transport took the answer: a client that does not read is not read from.
      this.#call.write(response, () => this.#answered());
    });
  }

  async #answer(request: SubmitTransactionsRequest): Promise<Wire> {
    try {
      const { id, transactions } = request;
      const { batchTransactionsMax } = this.#limits;
      if (transactions.length === 0 || transactions.length > batchTransactionsMax)
        throw invalid(
          'transactions',
          `1 to ${batchTransactionsMax} in a batch, not ${transactions.length}`,
        );
      const wait = waitField(request.wait);
      const signal = this.#patience;
      const results = await submitBatch(this.#backend, transactions, { wait, signal });
      return { id, results: results.map(submitResultWire) };
    } catch (thrown) {
      const failure = this.#signal.aborted
        ? new NodeError('OUTCOME_UNKNOWN', 'the client left')
        : this.#calls.failureOf('SubmitTransactions', thrown);
      return { id: request.id, refusal: wireRefusal(failure) };
    }
  }

  #answered(): void {
    this.#unanswered -= 1;
    if (this.#readingEnded) this.#finishWhenAnswered();
    else if (this.#unanswered < this.#limits.unansweredBatchesMax) this.#call.resume();
  }

  #endReading(): void {
    this.#readingEnded = true;
    this.#finishWhenAnswered();
  }

  #finishWhenAnswered(): void {
    if (this.#unanswered === 0) this.#finish?.();
  }
}

async function submitBatch(
  backend: SubmissionBackend,
  raws: readonly Uint8Array[],
  options: { wait: WaitLevel; signal: AbortSignal },
): Promise<SubmitResult[]> {
  const results = await backend.submit(raws, options.signal);
  assert(results.length === raws.length, 'every submitted transaction has one result');
  if (options.wait === 'admitted') return results;
  return Promise.all(results.map((result) => settled(backend, result, options.signal)));
}

/** The result with its final state, or as it is when this member cannot tell: admitted stays admitted. */
async function settled(
  backend: SubmissionBackend,
  result: SubmitResult,
  signal: AbortSignal,
): Promise<SubmitResult> {
  if (result.kind === 'refused' || result.state.state !== 'pending') return result;
  try {
    return { ...result, state: await backend.committed(result.hash, signal) };
  } catch (thrown) {
    if (thrown instanceof NodeError) return result;
    throw thrown;
  }
}
