import { createServer, type Socket, type Server as TcpServer } from 'node:net';
import { type ConnectionInjector, Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock, Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import type { FollowedTlsFiles } from '../lib/tls_files.ts';
import type { MemberId } from '../types/entry.ts';
import { ClusterError } from './cluster_error.ts';
import { helloOf, helloProblem, type Introduction, memberOfCertificate } from './hello.ts';
import { FRAME_BYTES_READ_MAX, type TransportLimits } from './limits.ts';
import { Outlet, type ServerCall } from './outlet.ts';
import { cutSoon, refuse } from './refusal.ts';
import {
  CHANNEL_NUMBERS,
  CHANNELS,
  type Channel,
  type Malformed,
  type ReceiveMethod,
  type SinkFrame,
} from './wire.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly own: Introduction;
  readonly limits: TransportLimits;
}

/** One connection of ours carries one stream; a few more do no harm. */
const STREAMS_PER_CONNECTION_MAX = 4;
const HANDSHAKE_MS_MAX = 5_000;
/** Beyond this many the same ones are told again. */
const PROBLEMS_REMEMBERED_MAX = 256;
const CONNECTION_IDLE_MS_MAX = 10_000;

/** Mutual TLS that follows the member's certificates: open connections go on, new ones get the new. */
class MemberServerCredentials extends ServerCredentials {
  constructor(certificates: FollowedTlsFiles) {
    super(
      { requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS_MAX },
      certificates.parts,
    );
    certificates.onChange((parts) => this.updateSecureContextOptions(parts));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Who may connect at this moment. */
export interface Admittance {
  /** Why this member of the cluster may not, undefined when it may. */
  problemOf(peer: MemberId): ClusterError | undefined;
  /** Takes a stream that passed all checks. */
  accepted(outlet: Outlet): void;
}

/** Where the other members connect. Owns the port and every socket, and hands out streams that passed all checks. */
export class MemberListener {
  readonly #options: ListenerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #admittance: Admittance;
  readonly #server: Server;
  readonly #tcpServer: TcpServer;
  readonly #injector: ConnectionInjector;
  /** By remote address and port, as gRPC names the peer of a call. */
  readonly #sockets = new Map<string, Socket>();
  /** Problems that were logged as warnings. */
  readonly #reported = new Set<string>();

  constructor(
    options: ListenerOptions,
    dependencies: {
      certificates: FollowedTlsFiles;
      method: ReceiveMethod;
      clock: Clock;
      logger: Logger;
      admittance: Admittance;
    },
  ) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#admittance = dependencies.admittance;
    this.#server = new Server({
      'grpc.max_receive_message_length': FRAME_BYTES_READ_MAX,
      'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
      'grpc.max_connection_idle_ms': CONNECTION_IDLE_MS_MAX,
      'grpc.enable_channelz': 0,
    });
    this.#server.addService(
      { Receive: dependencies.method },
      { Receive: (call: ServerCall) => this.#accept(call) },
    );
    this.#injector = this.#server.createConnectionInjector(
      new MemberServerCredentials(dependencies.certificates),
    );
    this.#tcpServer = createServer({ noDelay: true }, (socket) => this.#connected(socket));
    this.#tcpServer.maxConnections = options.limits.connectionsMax;
  }

  /** Resolves with the port. Rejects with CANNOT_LISTEN. */
  start(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#tcpServer.once('error', (error: NodeJS.ErrnoException) => {
        const advice =
          error.code === 'EADDRINUSE'
            ? 'stop the process that has it, or configure another peer port'
            : 'check the listen address of this member';
        reject(
          new ClusterError(
            'CANNOT_LISTEN',
            `cannot listen for members on ${host}:${port}: ${errorText(error)}; ${advice}`,
            { fields: { host, port }, cause: error },
          ),
        );
      });
      this.#tcpServer.listen({ host, port }, () => {
        const address = this.#tcpServer.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Frees the port and cuts every connection. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#tcpServer.close(() => resolve()));
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#injector.destroy();
    this.#server.forceShutdown();
    await closed;
  }

  #connected(socket: Socket): void {
    const name = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#sockets.set(name, socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      if (this.#sockets.get(name) === socket) this.#sockets.delete(name);
    });
    this.#injector.injectConnection(socket);
  }

  #accept(call: ServerCall): void {
    const socket = this.#sockets.get(call.getPeer());
    if (socket === undefined) {
      refuse(call, new ClusterError('DISCONNECTED', 'the connection is gone'));
      return;
    }
    const peer = this.#memberOf(call);
    if (peer instanceof ClusterError) {
      this.#refuse(call, socket, peer);
      return;
    }
    const cancelTimer = this.#clock.schedule(this.#options.limits.connectTimeoutMsMax, () =>
      this.#refuse(call, socket, new ClusterError('MALFORMED', 'no Hello came in time')),
    );
    call.once('cancelled', cancelTimer);
    call.once('data', (frame: SinkFrame | Malformed) => {
      cancelTimer();
      call.pause();
      const channel = this.#channelOf(frame, peer);
      if (channel instanceof ClusterError) this.#refuse(call, socket, channel);
      else this.#open(call, socket, { peer, channel });
    });
  }

  #memberOf(call: ServerCall): MemberId | ClusterError {
    const { clusterId } = this.#options.own;
    const memberId = memberOfCertificate(call.getAuthContext().sslPeerCertificate, clusterId);
    if (memberId instanceof ClusterError) return memberId;
    return this.#admittance.problemOf(memberId) ?? memberId;
  }

  #channelOf(frame: SinkFrame | Malformed, peer: MemberId): Channel | ClusterError {
    if (frame.body !== 'hello')
      return new ClusterError('MALFORMED', 'the first frame must be a Hello');
    const channel = CHANNELS.find((name) => CHANNEL_NUMBERS[name] === frame.hello.channel);
    if (channel === undefined)
      return new ClusterError('MALFORMED', `channel ${frame.hello.channel} is unknown`);
    const { own } = this.#options;
    // Asked again: the cluster may have changed since the connection was made.
    const problem = this.#admittance.problemOf(peer);
    return problem ?? helloProblem(frame.hello, { memberId: peer, own, channel }) ?? channel;
  }

  #open(
    call: ServerCall,
    socket: Socket,
    { peer, channel }: { peer: MemberId; channel: Channel },
  ): void {
    const { own, limits } = this.#options;
    this.#reported.clear();
    const outlet = new Outlet(
      { peer, channel, hello: helloOf(own, channel), limits },
      { call, socket, clock: this.#clock },
    );
    this.#admittance.accepted(outlet);
    call.resume();
  }

  #refuse(call: ServerCall, socket: Socket, reason: ClusterError): void {
    this.#report(call, socket, reason);
    refuse(call, reason);
    cutSoon(socket, this.#clock);
  }

  /** Who is refused comes again each second; operators are told once, until a stream is opened. */
  #report(call: ServerCall, socket: Socket, reason: ClusterError): void {
    const { code, message, fields } = reason;
    const line = { ...fields, from: call.getPeer(), code, reason: message };
    const problem = `${code} ${fields.peer ?? socket.remoteAddress}`;
    if (this.#reported.has(problem)) {
      this.#logger.debug(line, 'cluster.peer_refused');
      return;
    }
    if (this.#reported.size >= PROBLEMS_REMEMBERED_MAX) this.#reported.clear();
    this.#reported.add(problem);
    this.#logger.warn(line, 'cluster.peer_refused');
  }
}
