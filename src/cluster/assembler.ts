import { ClusterError } from './cluster_error.ts';
import { FRAME_PAYLOAD_BYTES_MAX } from './limits.ts';
import type { Chunk } from './wire.ts';

/** Puts the chunks of one stream together again: one payload at a time, in memory bounded by its longest. */
export class Assembler {
  readonly #messageBytesMax: number;
  #requestId = 0;
  #payload: Uint8Array | undefined;
  #filled = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** The whole payload with its last chunk. Throws MALFORMED for chunks that no member sends. */
  accept(chunk: Chunk): { requestId: number; payload: Uint8Array } | undefined {
    if (chunk.totalBytes !== 0) this.#begin(chunk);
    const payload = this.#payload;
    if (payload === undefined || chunk.requestId !== this.#requestId)
      throw new ClusterError('MALFORMED', 'a chunk continues nothing');
    const end = this.#filled + chunk.data.length;
    if (chunk.data.length === 0 || end > payload.length)
      throw new ClusterError('MALFORMED', 'a chunk is empty or longer than what is missing');
    payload.set(chunk.data, this.#filled);
    this.#filled = end;
    if (end < payload.length) return undefined;
    this.#payload = undefined;
    return { requestId: chunk.requestId, payload };
  }

  #begin({ totalBytes, requestId }: Chunk): void {
    if (this.#payload !== undefined)
      throw new ClusterError('MALFORMED', 'a payload begins before another is whole');
    if (totalBytes > this.#messageBytesMax)
      throw new ClusterError(
        'MALFORMED',
        `a payload of ${totalBytes} bytes exceeds messageBytesMax (${this.#messageBytesMax})`,
        { fields: { totalBytes, messageBytesMax: this.#messageBytesMax } },
      );
    if (totalBytes <= FRAME_PAYLOAD_BYTES_MAX)
      throw new ClusterError('MALFORMED', 'a payload that fits a frame came in chunks');
    this.#payload = new Uint8Array(totalBytes);
    this.#requestId = requestId;
    this.#filled = 0;
  }
}
