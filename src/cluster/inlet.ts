import type { Logger, Random } from '../lib/environment.ts';
import { ClusterError } from './cluster_error.ts';
import {
  type InletDependencies,
  type InletOptions,
  InletStream,
  type InletStreamEvents,
} from './inlet_stream.ts';
import { type Refusal, refusalOf } from './refusal.ts';

interface InletAddress {
  readonly host: string;
  readonly port: number;
}

export interface InletEvents {
  opened(): void;
  message(payload: Uint8Array): void;
  /** Answer over the stream that it came by. */
  request(stream: InletStream, requestId: number, payload: Uint8Array): void;
  /** An open stream ended. */
  closed(reason: ClusterError): void;
  /** The peer does not talk to this member; told at each attempt. */
  refused(refusal: Refusal): void;
}

/** Keeps one connection to one peer for one channel: dials, and dials again with growing, jittered delays. */
export class Inlet {
  #options: InletOptions;
  readonly #dependencies: InletDependencies & { readonly random: Random; readonly logger: Logger };
  readonly #events: InletEvents;
  #stream: InletStream | undefined;
  #cancelRetry: (() => void) | undefined;
  #failures = 0;
  #openedAtMs = 0;
  /** What was last reported, so that a peer that stays away is not reported each second. */
  #reportedProblem = '';
  #isStopped = true;

  constructor(
    options: InletOptions,
    dependencies: InletDependencies & { random: Random; logger: Logger },
    events: InletEvents,
  ) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#stream?.isOpen ?? false;
  }

  start(): void {
    this.#isStopped = false;
    this.#dial();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry?.();
    this.reset(new ClusterError('DISCONNECTED', 'this member stops'));
  }

  /** Gives up the present connection, on evidence from elsewhere that it is dead. */
  reset(reason: ClusterError): void {
    this.#stream?.close(reason);
  }

  /** Dials another address from now on; what came from the old one ends. */
  moveTo({ host, port }: InletAddress): void {
    if (host === this.#options.host && port === this.#options.port) return;
    this.#options = { ...this.#options, host, port };
    this.reset(new ClusterError('DISCONNECTED', 'the peer has another address now'));
    this.retryNow();
  }

  /** Dials at once if it waits: the peer has just shown that it is there. */
  retryNow(): void {
    if (this.#cancelRetry === undefined || this.#isStopped) return;
    this.#cancelRetry();
    this.#dial();
  }

  #dial(): void {
    this.#cancelRetry = undefined;
    const stream: InletStream = new InletStream(this.#options, this.#dependencies, {
      opened: () => this.#opened(),
      message: (payload) => this.#events.message(payload),
      request: (requestId, payload) => this.#events.request(stream, requestId, payload),
      closed: (reason) => this.#closed(reason),
    } satisfies InletStreamEvents);
    this.#stream = stream;
  }

  #opened(): void {
    this.#openedAtMs = this.#dependencies.clock.monotonicMs();
    this.#reportedProblem = '';
    this.#events.opened();
  }

  #closed(reason: ClusterError): void {
    const { clock, random } = this.#dependencies;
    const { backoffMsFirst, backoffMsMax } = this.#options.limits;
    const wasOpen = this.#openedAtMs > 0;
    const hasHeld = wasOpen && clock.monotonicMs() - this.#openedAtMs >= backoffMsMax;
    this.#failures = hasHeld ? 0 : this.#failures + 1;
    this.#openedAtMs = 0;
    this.#stream = undefined;
    if (!this.#isStopped) {
      const exponent = Math.max(0, Math.min(this.#failures - 1, 30));
      const delayMs = Math.min(backoffMsMax, backoffMsFirst * 2 ** exponent);
      this.#cancelRetry = clock.schedule(delayMs * (0.5 + random() / 2), () => this.#dial());
      if (!wasOpen) this.#report(reason);
    }
    if (wasOpen) this.#events.closed(reason);
    const refusal = refusalOf(reason);
    if (refusal !== undefined && !this.#isStopped) this.#events.refused(refusal);
  }

  #report(reason: ClusterError): void {
    const { peer, channel, host, port } = this.#options;
    const fields = { peer, channel, host, port, code: reason.code, reason: reason.message };
    const { logger } = this.#dependencies;
    if (this.#reportedProblem === reason.code) logger.debug(fields, 'cluster.connect_failed');
    else logger.warn(fields, 'cluster.connect_failed');
    this.#reportedProblem = reason.code;
  }
}
