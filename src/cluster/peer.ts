import type { Logger, Random } from '../lib/environment.ts';
import type { MemberId } from '../types/entry.ts';
import { ClusterError } from './cluster_error.ts';
import { IncomingRequests, type RequestHandler } from './incoming_requests.ts';
import { Inlet } from './inlet.ts';
import type { InletDependencies, InletOptions } from './inlet_stream.ts';
import { OutgoingRequests } from './outgoing_requests.ts';
import type { Outlet } from './outlet.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import type { Channel } from './wire.ts';

export interface PeerEvents {
  message(payload: Uint8Array): void;
  /** Asked for with each request; undefined while nobody handles them. */
  requestHandler(): RequestHandler | undefined;
  connection(isConnected: boolean): void;
  /** The peer does not talk to this member. */
  refused(refusal: Refusal): void;
}

/** Everything between this member and one other: what it sends us (inlets), what we send it (outlets). */
export class Peer {
  readonly id: MemberId;
  readonly #logger: Logger;
  readonly #events: PeerEvents;
  readonly #inlets: Record<Channel, Inlet>;
  readonly #outlets = new Map<Channel, Outlet>();
  readonly #outgoing: OutgoingRequests;
  readonly #incoming: IncomingRequests;
  #isConnected = false;

  constructor(
    options: Omit<InletOptions, 'channel'>,
    dependencies: InletDependencies & { random: Random; logger: Logger },
    events: PeerEvents,
  ) {
    this.id = options.peer;
    this.#logger = dependencies.logger;
    this.#events = events;
    this.#outgoing = new OutgoingRequests(options.limits, dependencies);
    this.#incoming = new IncomingRequests(options.peer, options.limits);
    const inlet = (channel: Channel): Inlet =>
      new Inlet({ ...options, channel }, dependencies, {
        opened: () => this.#refresh(`${channel} inlet open`),
        message: (payload) => events.message(payload),
        request: (stream, requestId, payload) => {
          void this.#incoming.serve({ stream, requestId, payload }, events.requestHandler());
        },
        closed: (reason) => this.#inletClosed(channel, reason),
        refused: (refusal) => events.refused(refusal),
      });
    this.#inlets = { control: inlet('control'), bulk: inlet('bulk') };
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  start(): void {
    this.#inlets.control.start();
    this.#inlets.bulk.start();
  }

  /** Ends both directions; the peer is told why. */
  stop(reason: ClusterError): void {
    this.#inlets.control.stop();
    this.#inlets.bulk.stop();
    this.#closeOutlets(reason);
  }

  /** The peer is reached elsewhere now. */
  moveTo(address: { readonly host: string; readonly port: number }): void {
    this.#inlets.control.moveTo(address);
    this.#inlets.bulk.moveTo(address);
  }

  send(channel: Channel, payload: Uint8Array): boolean {
    return this.#outlets.get(channel)?.send(payload) ?? false;
  }

  request(payload: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#outgoing.start(payload, this.#outlets.get('bulk'), signal);
  }

  /** The peer dialled: its new stream takes the place of an older one, which it has given up. */
  adopt(outlet: Outlet): void {
    const { channel } = outlet;
    this.#outlets
      .get(channel)
      ?.close(new ClusterError('DISCONNECTED', 'the peer has dialled anew'));
    this.#outlets.set(channel, outlet);
    outlet.start({
      begun: (requestId) => this.#outgoing.begun(requestId),
      response: (requestId, result) => this.#outgoing.settle(requestId, result),
      closed: (reason) => this.#outletClosed(outlet, reason),
    });
    this.#inlets.control.retryNow();
    this.#inlets.bulk.retryNow();
    this.#refresh(`${channel} outlet open`);
  }

  #inletClosed(channel: Channel, reason: ClusterError): void {
    if (refusalOf(reason) === undefined) this.#tellMalformed(channel, reason);
    this.#refresh(`${channel} inlet: ${reason.message}`);
    if (reason.code !== 'SILENT') return;
    // Nothing will come to the end of these by itself before TCP gives up, minutes later.
    this.#inlets.bulk.reset(reason);
    this.#closeOutlets(reason);
  }

  #outletClosed(outlet: Outlet, reason: ClusterError): void {
    this.#tellMalformed(outlet.channel, reason);
    this.#outgoing.disconnected(outlet);
    if (this.#outlets.get(outlet.channel) !== outlet) return;
    this.#outlets.delete(outlet.channel);
    this.#refresh(`${outlet.channel} outlet: ${reason.message}`);
  }

  /** A member that sends what no member sends has a defect, or is none. */
  #tellMalformed(channel: Channel, { code, message }: ClusterError): void {
    if (code !== 'MALFORMED') return;
    const fields = { peer: this.id, channel, code, reason: message };
    this.#logger.warn(fields, 'cluster.peer_refused');
  }

  #closeOutlets(reason: ClusterError): void {
    for (const outlet of [...this.#outlets.values()]) outlet.close(reason);
  }

  #refresh(why: string): void {
    const isConnected = this.#inlets.control.isOpen && this.#outlets.has('control');
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    const event = isConnected ? 'cluster.connected' : 'cluster.disconnected';
    this.#logger.info({ peer: this.id, why }, event);
    this.#events.connection(isConnected);
  }
}
