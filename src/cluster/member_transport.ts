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
import type { Refusal } from './refusal.ts';
import { type Channel, loadReceiveMethod, type ReceiveMethod } from './wire.ts';

/** A member with its peer port. */
export interface PeerAddress {
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
  /** The other members at first; `setPeers` changes them. */
  readonly peers: readonly PeerAddress[];
  readonly tls: TlsFiles;
  /** Beside DEFAULT_TRANSPORT_LIMITS. */
  readonly limits?: Partial<TransportLimits>;
}

export type MessageHandler = (from: MemberId, payload: Uint8Array) => void;
export type ConnectionHandler = (peer: MemberId, isConnected: boolean) => void;
export type RefusalHandler = (peer: MemberId, refusal: Refusal) => void;

interface TransportDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /**
   * Index of the newest configuration that is committed here and came after this member was in one; 0 when there is
   * none. It goes to whoever is refused for not being a peer, so that a member that missed its removal learns of it.
   */
  readonly configurationIndex?: (refused: MemberId) => number;
}

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
  readonly #dependencies: TransportDependencies;
  #addresses: readonly PeerAddress[];
  readonly #peers = new Map<MemberId, Peer>();
  #certificates: FollowedTlsFiles | undefined;
  #listener: MemberListener | undefined;
  #listenPort: number | undefined;
  #messageHandler: MessageHandler | undefined;
  #connectionHandler: ConnectionHandler | undefined;
  #requestHandler: RequestHandler | undefined;
  #refusalHandler: RefusalHandler | undefined;
  #method: ReceiveMethod | undefined;
  #isStopped = false;

  constructor(options: MemberTransportOptions, dependencies: TransportDependencies) {
    const { self, peers, clusterId, genesisHash } = options;
    this.#options = options;
    this.#checkPeers(peers);
    this.#addresses = peers;
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
   * suspicion: the peer closed a connection, its process or socket is gone, or nothing came from it in
   * `pingsMissedMax` intervals of `pingIntervalMs`, though it was asked at the end of the first and of each that
   * followed, while this process was running. It may be back at once.
   */
  onConnection(handler: ConnectionHandler): void {
    this.#connectionHandler = handler;
  }

  /** Answers `request` of the peers. What it does must be safe when the response is lost. */
  onRequest(handler: RequestHandler): void {
    this.#requestHandler = handler;
  }

  /**
   * Told whenever a peer refuses to talk to this member. UNKNOWN_MEMBER with a `configurationIndex` above 0 means that
   * this member was removed: the peer proved who it is.
   */
  onRefused(handler: RefusalHandler): void {
    this.#refusalHandler = handler;
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
    this.#method = method;
    this.#listener = new MemberListener(
      { ...listen, own: this.#own, limits: this.#limits },
      {
        certificates,
        method,
        ...this.#dependencies,
        admittance: {
          problemOf: (peer) => (this.#peers.has(peer) ? undefined : this.#unknownMember(peer)),
          accepted: (outlet) => this.#peers.get(outlet.peer)?.adopt(outlet),
        },
      },
    );
    for (const address of this.#addresses)
      this.#peers.set(address.id, this.#makePeer(address, { certificates, method }));
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
    this.#isStopped = true;
    this.#certificates?.stop();
    const reason = new ClusterError('DISCONNECTED', 'this member stops');
    for (const peer of this.#peers.values()) peer.stop(reason);
    await this.#listener?.stop();
  }

  /**
   * Who the other members are from now on; at any time. New ones are dialled and let in, those at another address are
   * dialled there, and those that are gone are cut off and refused, with UNKNOWN_MEMBER.
   */
  setPeers(peers: readonly PeerAddress[]): void {
    this.#checkPeers(peers);
    this.#addresses = peers;
    const certificates = this.#certificates;
    const method = this.#method;
    if (certificates === undefined || method === undefined || this.#isStopped) return;
    const ids = new Set(peers.map(({ id }) => id));
    for (const [id, peer] of this.#peers) {
      if (ids.has(id)) continue;
      this.#peers.delete(id);
      peer.stop(this.#unknownMember(id));
    }
    for (const address of peers) {
      const known = this.#peers.get(address.id);
      if (known !== undefined) {
        known.moveTo(address);
        continue;
      }
      const peer = this.#makePeer(address, { certificates, method });
      this.#peers.set(address.id, peer);
      // Before the port is open `start` does this, for all.
      if (this.#listenPort !== undefined) peer.start();
    }
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

  #makePeer(
    { id, host, port }: PeerAddress,
    parts: { certificates: FollowedTlsFiles; method: ReceiveMethod },
  ): Peer {
    return new Peer(
      { peer: id, host, port, own: this.#own, limits: this.#limits },
      { ...this.#dependencies, ...parts },
      {
        message: (payload) => this.#messageHandler?.(id, payload),
        requestHandler: () => this.#requestHandler,
        connection: (isConnected) => this.#connectionHandler?.(id, isConnected),
        refused: (refusal) => this.#refusalHandler?.(id, refusal),
      },
    );
  }

  #unknownMember(peer: MemberId): ClusterError {
    const configurationIndex = this.#dependencies.configurationIndex?.(peer) ?? 0;
    return new ClusterError(
      'UNKNOWN_MEMBER',
      `member ${peer} is not in the configuration of member ${this.#options.self} (that of log index ${configurationIndex})`,
      { fields: { peer, configurationIndex } },
    );
  }

  #checkPeers(peers: readonly PeerAddress[]): void {
    assert(
      peers.every(({ id }) => id !== this.#options.self) &&
        new Set(peers.map(({ id }) => id)).size === peers.length,
      'the peers are the other members, each once',
    );
  }
}
