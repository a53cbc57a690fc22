import { assert } from '../lib/assert.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import type { FollowedTlsFiles, TlsFiles } from '../lib/tls_files.ts';
import type { MemberId } from '../types/entry.ts';
import type { Hash } from '../types/primitives.ts';
import { followCertificates } from './certificates.ts';
import { ClusterError } from './cluster_error.ts';
import type { Introduction } from './hello.ts';
import type { RequestHandler } from './incoming_requests.ts';
import { checkLimits, DEFAULT_TRANSPORT_LIMITS, type TransportLimits } from './limits.ts';
import { MemberListener } from './listener.ts';
import { Peer } from './peer.ts';
import { type Channel, loadReceiveMethod } from './wire.ts';

interface MemberAddress {
  readonly id: MemberId;
  readonly host: string;
  readonly port: number;
}

export interface MemberTransportOptions {
  readonly self: MemberId;
  readonly clusterId: string;
  readonly genesisHash: Hash;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The other members. */
  readonly peers: readonly MemberAddress[];
  readonly tls: TlsFiles;
  /** Beside DEFAULT_TRANSPORT_LIMITS. */
  readonly limits?: Partial<TransportLimits>;
}

export type MessageHandler = (from: MemberId, payload: Uint8Array) => void;
export type ConnectionHandler = (peer: MemberId, isConnected: boolean) => void;

/**
 * Messages between the members of one cluster: unreliable and never blocking, in order while a connection holds.
 * Each member dials every other once for each channel and *receives* over what it dialled; it sends over what
 * the others dialled. So it is the receiver that keeps the connection alive and notices its loss, and both sides
 * notice a broken one at once.
 */
export class MemberTransport {
  readonly #options: MemberTransportOptions;
  readonly #limits: TransportLimits;
  readonly #own: Introduction;
  readonly #dependencies: {
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
  };
  readonly #peers = new Map<MemberId, Peer>();
  #certificates: FollowedTlsFiles | undefined;
  #listener: MemberListener | undefined;
  #listenPort: number | undefined;
  #messageHandler: MessageHandler | undefined;
  #connectionHandler: ConnectionHandler | undefined;
  #requestHandler: RequestHandler | undefined;

  constructor(
    options: MemberTransportOptions,
    dependencies: { clock: Clock; random: Random; logger: Logger },
  ) {
    const { self, peers, clusterId, genesisHash } = options;
    assert(
      peers.every(({ id }) => id !== self) &&
        new Set(peers.map(({ id }) => id)).size === peers.length,
      'the peers are the other members, each once',
    );
    this.#options = options;
    this.#dependencies = dependencies;
    this.#limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits };
    checkLimits(this.#limits);
    const incarnation = Math.floor(dependencies.random() * Number.MAX_SAFE_INTEGER);
    this.#own = { memberId: self, clusterId, genesisHash, incarnation };
  }

  /** The port that is listened on, once started. */
  get listenPort(): number | undefined {
    return this.#listenPort;
  }

  /**
   * Takes messages of all peers. The payload may be a view of a larger buffer: copy what is kept for long. Set
   * before `start`; what comes without a handler is dropped.
   */
  onMessage(handler: MessageHandler): void {
    this.#messageHandler = handler;
  }

  /**
   * Told of each change. Connected means that control messages go both ways. Disconnected means evidence, not
   * suspicion: the peer closed a connection, its process or socket is gone, or it answered none of the last
   * `pingsMissedMax` pings, one each `pingIntervalMs`, while this process was running. It may be back at once.
   */
  onConnection(handler: ConnectionHandler): void {
    this.#connectionHandler = handler;
  }

  /** Answers `request` of the peers. What it does must be safe when the response is lost. */
  onRequest(handler: RequestHandler): void {
    this.#requestHandler = handler;
  }

  /** Listens and begins to dial. Rejects with CERTIFICATES_UNUSABLE or CANNOT_LISTEN, and then nothing is left open. */
  async start(): Promise<void> {
    assert(this.#certificates === undefined, 'a transport starts once');
    const { self, clusterId, tls, listen } = this.#options;
    const method = loadReceiveMethod();
    const certificates = await followCertificates(
      { files: tls, owner: { clusterId, memberId: self } },
      this.#dependencies,
    );
    this.#certificates = certificates;
    for (const { id, host, port } of this.#options.peers) {
      const peer = new Peer(
        { peer: id, host, port, own: this.#own, limits: this.#limits },
        { ...this.#dependencies, certificates, method },
        {
          message: (payload) => this.#messageHandler?.(id, payload),
          requestHandler: () => this.#requestHandler,
          connection: (isConnected) => this.#connectionHandler?.(id, isConnected),
        },
      );
      this.#peers.set(id, peer);
    }
    this.#listener = new MemberListener(
      { ...listen, own: this.#own, peers: new Set(this.#peers.keys()), limits: this.#limits },
      {
        certificates,
        method,
        ...this.#dependencies,
        accepted: (outlet) => this.#peers.get(outlet.peer)?.adopt(outlet),
      },
    );
    try {
      this.#listenPort = await this.#listener.start();
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    for (const peer of this.#peers.values()) peer.start();
  }

  /** Ends every connection and frees the port. Requests in flight end with NOT_SENT or UNKNOWN. */
  async stop(): Promise<void> {
    this.#certificates?.stop();
    for (const peer of this.#peers.values()) peer.stop();
    await this.#listener?.stop();
  }

  /** Whether control messages go both ways; see `onConnection`. */
  isConnected(peer: MemberId): boolean {
    return this.#peers.get(peer)?.isConnected ?? false;
  }

  /**
   * Queues a message and returns at once. False when the peer is not connected or its queue for this channel is
   * full. True promises nothing: the connection may break before the message arrives. The payload must not be
   * changed afterwards.
   */
  send(to: MemberId, channel: Channel, payload: Uint8Array): boolean {
    assert(payload.length <= this.#limits.messageBytesMax, 'a message is within messageBytesMax');
    return this.#peers.get(to)?.send(channel, payload) ?? false;
  }

  /**
   * Asks a peer and resolves with its response. Rejects with NOT_SENT when the request surely had no effect, and
   * with UNKNOWN when it may have had: the connection ended, time was up, or the peer failed while handling it.
   */
  request(to: MemberId, payload: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const peer = this.#peers.get(to);
    if (peer !== undefined) return peer.request(payload, signal);
    return Promise.reject(
      new ClusterError('NOT_SENT', `member ${to} is not a peer of member ${this.#options.self}`),
    );
  }
}
