import type { Clock } from '../lib/environment.ts';
import { ClusterError } from './cluster_error.ts';
import { PAYLOAD_OVERHEAD_BYTES, type TransportLimits } from './limits.ts';
import type { Outlet } from './outlet.ts';
import type { RequestResult } from './wire.ts';

interface Pending {
  readonly outlet: Outlet;
  readonly costBytes: number;
  /** The peer may know of it. */
  isBegun: boolean;
  end(result: Uint8Array | ClusterError): void;
}

/** Requests to one peer that have no response yet. Each ends once: with a response, or with NOT_SENT or UNKNOWN. */
export class OutgoingRequests {
  readonly #limits: TransportLimits;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  #bytes = 0;
  #lastId = 0;

  constructor(limits: TransportLimits, dependencies: { clock: Clock }) {
    this.#limits = limits;
    this.#clock = dependencies.clock;
  }

  start(
    payload: Uint8Array,
    outlet: Outlet | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const refusal = this.#refusal(payload, outlet, signal);
    if (outlet === undefined || refusal !== undefined)
      return Promise.reject(new ClusterError('NOT_SENT', refusal ?? NOT_CONNECTED));
    this.#lastId += 1;
    const requestId = this.#lastId;
    const costBytes = payload.length + PAYLOAD_OVERHEAD_BYTES;
    return new Promise((resolve, reject) => {
      const abort = (): void => this.#giveUp(requestId, 'the caller gave up');
      const cancelTimer = this.#clock.schedule(this.#limits.requestTimeoutMsMax, () =>
        this.#giveUp(requestId, `no response within ${this.#limits.requestTimeoutMsMax} ms`),
      );
      signal?.addEventListener('abort', abort);
      this.#bytes += costBytes;
      this.#pending.set(requestId, {
        outlet,
        costBytes,
        isBegun: false,
        end: (result) => {
          cancelTimer();
          signal?.removeEventListener('abort', abort);
          if (result instanceof ClusterError) reject(result);
          else resolve(result);
        },
      });
      if (!outlet.request(requestId, payload)) this.#giveUp(requestId, QUEUE_FULL);
    });
  }

  begun(requestId: number): void {
    const pending = this.#pending.get(requestId);
    if (pending !== undefined) pending.isBegun = true;
  }

  /** Responses to requests that were given up are dropped. */
  settle(requestId: number, result: RequestResult): void {
    if (result.result === 'payload') this.#end(requestId, result.payload);
    else
      this.#end(
        requestId,
        new ClusterError(
          result.failure.notHandled ? 'NOT_SENT' : 'UNKNOWN',
          `the peer answered: ${result.failure.message}`,
        ),
      );
  }

  /** The connection ended: what it carried ends too. */
  disconnected(outlet: Outlet): void {
    for (const [requestId, pending] of this.#pending) {
      if (pending.outlet !== outlet) continue;
      this.#end(requestId, interrupted(pending, 'the connection ended'));
    }
  }

  #giveUp(requestId: number, why: string): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    if (!pending.isBegun) pending.outlet.withdraw(requestId);
    this.#end(requestId, interrupted(pending, why));
  }

  #end(requestId: number, result: Uint8Array | ClusterError): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    this.#pending.delete(requestId);
    this.#bytes -= pending.costBytes;
    pending.end(result);
  }

  #refusal(
    payload: Uint8Array,
    outlet: Outlet | undefined,
    signal: AbortSignal | undefined,
  ): string | undefined {
    const { requestsInFlightMax, requestBytesInFlightMax, messageBytesMax } = this.#limits;
    if (signal?.aborted) return 'the caller gave up';
    if (outlet === undefined) return NOT_CONNECTED;
    if (payload.length > messageBytesMax)
      return `a request of ${payload.length} bytes exceeds messageBytesMax (${messageBytesMax})`;
    if (this.#pending.size >= requestsInFlightMax) return QUEUE_FULL;
    if (this.#bytes + payload.length > requestBytesInFlightMax) return QUEUE_FULL;
    return undefined;
  }
}

const NOT_CONNECTED = 'the peer is not connected';
const QUEUE_FULL = 'too many requests to the peer are waiting; try again later';

function interrupted({ isBegun }: Pending, why: string): ClusterError {
  return isBegun
    ? new ClusterError('UNKNOWN', `${why}; the request may or may not have had its effect`)
    : new ClusterError('NOT_SENT', `${why} before the request was sent`);
}
