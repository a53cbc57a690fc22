import type { handleUnaryCall, ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import type { Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { NodeError } from '../types/node_error.ts';
import { ApiError, type ErrorStatus, errorStatus, type Failure, failureOf } from './api_error.ts';
import type { Wire } from './responses.ts';

/** A call whose answer is a stream. */
export type StreamCall<Request> =
  | ServerWritableStream<Request, Wire>
  | ServerDuplexStream<Request, Wire>;

/**
 * Every call that this listener has open: counts them against their limit, gives each a signal that is aborted when
 * the client goes away or its deadline passes, and turns what they throw into a status.
 */
export class OpenCalls {
  readonly #streamsMax: number;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  readonly #hurrying = new AbortController();
  /** Of the single calls that are open. */
  readonly #controllers = new Set<AbortController>();
  #count = 0;
  #whenEmpty: (() => void) | undefined;

  constructor(options: { streamsMax: number }, dependencies: { logger: Logger }) {
    this.#streamsMax = options.streamsMax;
    this.#logger = dependencies.logger;
  }

  /** Aborted by `drain`: streams end themselves, single calls are finished. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Aborted by `hurry`, with STOPPING: whoever waits for something to happen answers with what is known. */
  get hurrying(): AbortSignal {
    return this.#hurrying.signal;
  }

  /** Ends waits that may be long, such as that for a block: their calls are answered as things stand. */
  hurry(): void {
    const reason = stopping();
    this.#hurrying.abort(reason);
    for (const controller of this.#controllers) controller.abort(reason);
  }

  /** Takes no more calls and resolves when none is open. */
  drain(): Promise<void> {
    this.#stopping.abort();
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  /** Makes a grpc-js handler of a function from request to response. */
  unary<Request>(
    method: string,
    handle: (request: Request, signal: AbortSignal) => Promise<Wire>,
  ): handleUnaryCall<Request, Wire> {
    return (call, callback) => {
      const refusal = this.#refusal();
      if (refusal !== undefined) {
        callback(errorStatus(refusal));
        return;
      }
      this.#count += 1;
      let open = true;
      const controller = new AbortController();
      this.#controllers.add(controller);
      const close = (): boolean => {
        const first = open;
        this.#controllers.delete(controller);
        if (open) this.#closed();
        open = false;
        return first;
      };
      call.once('cancelled', () => {
        if (close()) controller.abort();
      });
      handle(call.request, controller.signal).then(
        (response) => {
          if (close()) callback(null, response);
        },
        (thrown) => {
          if (close()) callback(this.statusOf(method, thrown));
        },
      );
    };
  }

  /**
   * Runs a streaming call: `run` writes the answers, and the call ends well when it resolves. The signal is aborted
   * when the client goes away; the call counts until its stream is closed, since until then it may hold memory.
   */
  stream<Request, Call extends StreamCall<Request>>(
    method: string,
    run: (call: Call, signal: AbortSignal) => Promise<void>,
  ): (call: Call) => void {
    return (call) => {
      const refusal = this.#refusal();
      if (refusal !== undefined) {
        call.emit('error', errorStatus(refusal));
        return;
      }
      this.#count += 1;
      const controller = new AbortController();
      call.once('cancelled', () => {
        this.#closed();
        controller.abort();
      });
      run(call, controller.signal).then(
        () => call.end(),
        (thrown) => {
          if (!controller.signal.aborted) call.emit('error', this.statusOf(method, thrown));
        },
      );
    };
  }

  /** The status for what a handler threw; our own defects go to the log. */
  statusOf(method: string, thrown: unknown): ErrorStatus {
    return errorStatus(this.failureOf(method, thrown));
  }

  failureOf(method: string, thrown: unknown): Failure {
    const failure = failureOf(thrown);
    if (failure.code === 'INTERNAL')
      this.#logger.error({ method, error: errorText(thrown), cause: thrown }, 'api.call_failed');
    return failure;
  }

  #refusal(): Failure | undefined {
    if (this.#stopping.signal.aborted) return stopping();
    if (this.#count < this.#streamsMax) return undefined;
    return new ApiError(
      'TOO_MANY_CALLS',
      `this member has ${this.#streamsMax} calls open, its limit; finish some or ask another member`,
      { fields: { streamsMax: this.#streamsMax } },
    );
  }

  #closed(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#whenEmpty?.();
  }
}

function stopping(): NodeError {
  return new NodeError('STOPPING', 'this member is stopping; ask another member');
}
