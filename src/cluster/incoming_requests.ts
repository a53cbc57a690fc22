import { errorText } from '../lib/error.ts';
import type { MemberId } from '../types/entry.ts';
import type { InletStream } from './inlet_stream.ts';
import { PAYLOAD_OVERHEAD_BYTES, type TransportLimits } from './limits.ts';

/** Answers one request; a rejection tells the peer that the outcome is unknown. */
export type RequestHandler = (from: MemberId, payload: Uint8Array) => Promise<Uint8Array>;

/** Requests of one peer that are being handled: bounded here too, whatever the peer thinks of its own limits. */
export class IncomingRequests {
  readonly #from: MemberId;
  readonly #limits: TransportLimits;
  #count = 0;
  #bytes = 0;

  constructor(from: MemberId, limits: TransportLimits) {
    this.#from = from;
    this.#limits = limits;
  }

  /** Answers over the stream that the request came by, if that is still open then. */
  async serve(
    { stream, requestId, payload }: { stream: InletStream; requestId: number; payload: Uint8Array },
    handler: RequestHandler | undefined,
  ): Promise<void> {
    const { requestsInFlightMax, requestBytesInFlightMax, messageBytesMax } = this.#limits;
    const costBytes = payload.length + PAYLOAD_OVERHEAD_BYTES;
    const isFull =
      this.#count >= requestsInFlightMax || this.#bytes + payload.length > requestBytesInFlightMax;
    if (handler === undefined || isFull) {
      const message = isFull ? 'too many requests are being handled' : 'requests are not handled';
      stream.respond(requestId, { result: 'failure', failure: { notHandled: true, message } });
      return;
    }
    this.#count += 1;
    this.#bytes += costBytes;
    let message: string;
    try {
      const response = await handler(this.#from, payload);
      if (response.length <= messageBytesMax) {
        stream.respond(requestId, { result: 'payload', payload: response });
        return;
      }
      message = `the response of ${response.length} bytes exceeds messageBytesMax`;
    } catch (thrown) {
      message = errorText(thrown);
    } finally {
      this.#count -= 1;
      this.#bytes -= costBytes;
    }
    stream.respond(requestId, { result: 'failure', failure: { notHandled: false, message } });
  }
}
