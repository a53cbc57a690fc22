import { assert } from '../lib/assert.ts';

/** What the transport may use for each peer, and how patient it is. */
export interface TransportLimits {
  /** One message, request or response. */
  readonly messageBytesMax: number;
  /** Accepted by `send` and not yet written, for each peer. */
  readonly controlQueueBytesMax: number;
  readonly bulkQueueBytesMax: number;
  /** Requests without response, for each peer and direction. */
  readonly requestsInFlightMax: number;
  readonly requestBytesInFlightMax: number;
  /** After this long without response the outcome of a request is unknown. */
  readonly requestTimeoutMsMax: number;
  /** From the first packet to the peer's Hello. */
  readonly connectTimeoutMsMax: number;
  /** Delay before the first attempt to connect again; it doubles with each failure up to the other, with jitter. */
  readonly backoffMsFirst: number;
  readonly backoffMsMax: number;
  /** A peer that leaves this many intervals in a row without any sign of life is taken for dead. */
  readonly pingIntervalMs: number;
  readonly pingsMissedMax: number;
  /** Open sockets of the listener, whoever made them. */
  readonly connectionsMax: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_TRANSPORT_LIMITS: TransportLimits = {
  messageBytesMax: 64 * MEBIBYTE,
  controlQueueBytesMax: 16 * MEBIBYTE,
  bulkQueueBytesMax: 128 * MEBIBYTE,
  requestsInFlightMax: 1024,
  requestBytesInFlightMax: 64 * MEBIBYTE,
  requestTimeoutMsMax: 10_000,
  connectTimeoutMsMax: 2_000,
  backoffMsFirst: 20,
  backoffMsMax: 1_000,
  pingIntervalMs: 100,
  pingsMissedMax: 5,
  connectionsMax: 128,
};

/** Payload of one frame: longer ones are cut. */
export const FRAME_PAYLOAD_BYTES_MAX = 256 * 1024;
/** Messages that share a frame. */
export const FRAME_MESSAGES_MAX = 1024;
/** A full frame and the tags around its payloads; a longer one is malformed. */
export const FRAME_BYTES_MAX = FRAME_PAYLOAD_BYTES_MAX + 16 * FRAME_MESSAGES_MAX;
/** What gRPC reads at all. Above it the stream ends without a word in our log, so it is more than any mistake makes. */
export const FRAME_BYTES_READ_MAX = 4 * FRAME_BYTES_MAX;
/** What a queued payload costs beside its bytes, so that empty ones are bounded too. */
export const PAYLOAD_OVERHEAD_BYTES = 64;
/** A refused or ended stream gets this long to take its status before its socket is cut. */
export const LINGER_MS = 500;

export function checkLimits(limits: TransportLimits): void {
  const { messageBytesMax, bulkQueueBytesMax, backoffMsFirst, backoffMsMax } = limits;
  assert(messageBytesMax < 2 ** 32, 'messageBytesMax fits the total of a chunk');
  assert(
    bulkQueueBytesMax >= messageBytesMax + PAYLOAD_OVERHEAD_BYTES,
    'bulkQueueBytesMax has room for one message of messageBytesMax',
  );
  assert(backoffMsFirst > 0 && backoffMsFirst <= backoffMsMax, 'backoffMsFirst <= backoffMsMax');
  assert(limits.pingsMissedMax >= 2, 'one late ping is no evidence');
}
