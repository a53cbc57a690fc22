import { FRAME_MESSAGES_MAX, FRAME_PAYLOAD_BYTES_MAX, PAYLOAD_OVERHEAD_BYTES } from './limits.ts';
import type { Chunk, Failure } from './wire.ts';

/** What fits in one frame. */
export type Piece =
  | { readonly kind: 'messages'; readonly payloads: readonly Uint8Array[] }
  /** A whole request or response. */
  | ({ readonly kind: 'whole' } & Waiting)
  | ({ readonly kind: 'chunk' } & Chunk);

export interface NextPiece {
  readonly piece: Piece;
  /** To give back with `written`, once the stream has taken the piece. */
  readonly costBytes: number;
}

export interface Waiting {
  readonly payload: Uint8Array;
  /** 0 for a message. */
  readonly requestId: number;
  /** Of a response that has no payload. */
  readonly failure?: Failure;
}

/**
 * Payloads on their way into one stream, first in, first out: long ones are cut, short messages share a frame.
 * Bounded by the bytes that were accepted and not yet written; what does not fit is refused.
 */
export class SendQueue {
  readonly #bytesMax: number;
  #waiting: Waiting[] = [];
  /** Index of the first that waits; those before it are gone. */
  #first = 0;
  /** Bytes of the first payload that were handed out as chunks. */
  #offset = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False when the queue has no room. */
  offer(waiting: Waiting): boolean {
    const costBytes = costOf(waiting.payload);
    if (this.#bytes + costBytes > this.#bytesMax) return false;
    this.#bytes += costBytes;
    this.#waiting.push(waiting);
    return true;
  }

  next(): NextPiece | undefined {
    const head = this.#waiting[this.#first];
    if (head === undefined) return undefined;
    if (head.payload.length > FRAME_PAYLOAD_BYTES_MAX) return this.#nextChunk(head);
    if (head.requestId === 0) return this.#nextMessages();
    this.#advance();
    return { piece: { kind: 'whole', ...head }, costBytes: costOf(head.payload) };
  }

  written(costBytes: number): void {
    this.#bytes -= costBytes;
  }

  /** Takes back a request of which nothing was handed out; false when it is too late. */
  withdraw(requestId: number): boolean {
    const index = this.#waiting.findIndex(
      (waiting, position) => position >= this.#first && waiting.requestId === requestId,
    );
    const found = this.#waiting[index];
    if (found === undefined || (index === this.#first && this.#offset > 0)) return false;
    this.#waiting.splice(index, 1);
    this.#bytes -= costOf(found.payload);
    return true;
  }

  #nextChunk({ payload, requestId }: Waiting): NextPiece {
    const start = this.#offset;
    const end = Math.min(start + FRAME_PAYLOAD_BYTES_MAX, payload.length);
    const data = payload.subarray(start, end);
    const totalBytes = start === 0 ? payload.length : 0;
    const isLast = end === payload.length;
    if (isLast) this.#advance();
    else this.#offset = end;
    return {
      piece: { kind: 'chunk', requestId, totalBytes, data },
      costBytes: isLast ? data.length + PAYLOAD_OVERHEAD_BYTES : data.length,
    };
  }

  #nextMessages(): NextPiece {
    const payloads: Uint8Array[] = [];
    let payloadBytes = 0;
    while (payloads.length < FRAME_MESSAGES_MAX) {
      const next = this.#waiting[this.#first];
      if (next === undefined || next.requestId !== 0) break;
      if (payloadBytes + next.payload.length > FRAME_PAYLOAD_BYTES_MAX) break;
      payloads.push(next.payload);
      payloadBytes += next.payload.length;
      this.#advance();
    }
    return {
      piece: { kind: 'messages', payloads },
      costBytes: payloadBytes + payloads.length * PAYLOAD_OVERHEAD_BYTES,
    };
  }

  #advance(): void {
    this.#first += 1;
    this.#offset = 0;
    if (this.#first < 1024 && this.#first < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}

function costOf(payload: Uint8Array): number {
  return payload.length + PAYLOAD_OVERHEAD_BYTES;
}
