import { Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import { NodeError } from '../types/node_error.ts';
import type { Height } from '../types/primitives.ts';
import { ApiError } from './api_error.ts';
import type { NodeBackend } from './backend.ts';
import type { OpenCalls } from './calls.ts';
import { type LogFilter, logMatches } from './log_filter.ts';
import {
  addressField,
  countField,
  detailField,
  hashField,
  safeIntegerField,
} from './request_fields.ts';
import { blockWire, matchingLogsWire, type Wire } from './responses.ts';
import type { SubscribeBlocksRequest, SubscribeLogsRequest } from './wire.ts';

const FILTER_ADDRESSES_MAX = 64;
const FILTER_ALTERNATIVES_MAX = 64;
const FILTER_TOPICS_MAX = 4;

export interface SubscriptionLimits {
  /** Subscriptions of all clients together. */
  readonly subscriptionsMax: number;
  /** How long a subscriber may leave one message untaken, in milliseconds. */
  readonly subscriberStallMsMax: number;
}

/**
 * Follows the chain for subscribers. A block is read when the subscriber has taken the one before, so that each
 * subscription holds one message whatever the client does.
 */
export class Subscriptions {
  readonly #limits: SubscriptionLimits;
  readonly #backend: NodeBackend;
  readonly #calls: OpenCalls;
  readonly #clock: Clock;
  #count = 0;

  constructor(
    limits: SubscriptionLimits,
    dependencies: { backend: NodeBackend; calls: OpenCalls; clock: Clock },
  ) {
    this.#limits = limits;
    this.#backend = dependencies.backend;
    this.#calls = dependencies.calls;
    this.#clock = dependencies.clock;
  }

  async blocks(
    call: ServerWritableStream<SubscribeBlocksRequest, Wire>,
    signal: AbortSignal,
  ): Promise<void> {
    const detail = detailField(call.request.detail);
    await this.#follow(call, signal, async (height, reading) => {
      const selector = { by: 'height', height } as const;
      const read = { consistency: 'local', signal: reading } as const;
      const { value } = await this.#backend.block(selector, detail, read);
      return { block: blockWire(value) };
    });
  }

  async logs(
    call: ServerWritableStream<SubscribeLogsRequest, Wire>,
    signal: AbortSignal,
  ): Promise<void> {
    const filter = logFilter(call.request);
    await this.#follow(call, signal, async (height, reading) => {
      const block = await this.#backend.blockLogs(height, reading);
      return matchingLogsWire(height, block, (log) => logMatches(filter, log));
    });
  }

  /** Never resolves: a subscription ends by its client, by a stall or with the member. */
  async #follow<Request extends { readonly fromHeight: number }>(
    call: ServerWritableStream<Request, Wire>,
    clientSignal: AbortSignal,
    messageAt: (height: Height, signal: AbortSignal) => Promise<Wire | undefined>,
  ): Promise<never> {
    const from = safeIntegerField(call.request.fromHeight, 'from_height');
    this.#enter(clientSignal);
    const signal = AbortSignal.any([clientSignal, this.#calls.stopping]);
    let height = from === 0 ? this.#backend.status().height + 1 : from;
    // Headers at once: the client learns that it is subscribed before the first block comes.
    call.sendMetadata(new Metadata());
    try {
      for (;;) {
        await this.#backend.applied(height, signal);
        const message = await messageAt(height, signal);
        if (message !== undefined) await this.#write(call, { message, height, signal });
        height += 1;
      }
    } catch (thrown) {
      if (!this.#calls.stopping.aborted) throw thrown;
      throw new NodeError(
        'STOPPING',
        `this member is stopping; subscribe at another member from height ${height}`,
        { fields: { nextHeight: height } },
      );
    }
  }

  /** Takes a place until the client's stream is closed. */
  #enter(clientSignal: AbortSignal): void {
    const { subscriptionsMax } = this.#limits;
    if (this.#count >= subscriptionsMax)
      throw new ApiError(
        'TOO_MANY_SUBSCRIPTIONS',
        `this member has ${subscriptionsMax} subscribers, its limit; ask another member`,
        { fields: { subscriptionsMax } },
      );
    this.#count += 1;
    clientSignal.addEventListener('abort', () => {
      this.#count -= 1;
    });
  }

  /** Resolves when the transport took the message, which it does when the client reads. */
  #write<Request>(
    call: ServerWritableStream<Request, Wire>,
    options: { message: Wire; height: Height; signal: AbortSignal },
  ): Promise<void> {
    const { message, height, signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancelTimer = this.#clock.schedule(this.#limits.subscriberStallMsMax, () => {
      reject(
        new ApiError(
          'SUBSCRIBER_TOO_SLOW',
          `the subscriber did not keep up; subscribe again from height ${height + 1}`,
          { fields: { nextHeight: height + 1 } },
        ),
      );
    });
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    call.write(message, () => resolve());
    return promise.finally(() => {
      cancelTimer();
      signal.removeEventListener('abort', abort);
    });
  }
}

function logFilter(request: SubscribeLogsRequest): LogFilter {
  countField(request.addresses.length, FILTER_ADDRESSES_MAX, 'addresses');
  countField(request.topics.length, FILTER_TOPICS_MAX, 'topics');
  return {
    addresses: request.addresses.map((address) => addressField(address, 'addresses')),
    topics: request.topics.map(({ anyOf }) => {
      countField(anyOf.length, FILTER_ALTERNATIVES_MAX, 'topics.any_of');
      return anyOf.map((topic) => hashField(topic, 'topics.any_of'));
    }),
  };
}
