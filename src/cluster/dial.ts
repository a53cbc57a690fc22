import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js';
import type { MemberId } from '../types/entry.ts';
import { ClusterError } from './cluster_error.ts';
import { memberOfCertificate } from './hello.ts';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly clusterId: string;
  /** Whose certificate must answer. Names and addresses in it do not matter: the id is what is trusted. */
  readonly peer: MemberId;
}

/**
 * Credentials of one gRPC channel that is used for one connection. They hold its sockets, because gRPC itself never
 * gives up a connection attempt that gets no answer: without `abandon`, each attempt to reach a stopped process or a
 * cut-off machine would leave a socket behind.
 */
export class Dial extends ChannelCredentials {
  readonly #options: DialOptions;
  readonly #context: SecureContext;
  readonly #sockets = new Set<Socket>();
  #isAbandoned = false;
  #problem: ClusterError | undefined;

  constructor(options: DialOptions, context: SecureContext) {
    super();
    this.#options = options;
    this.#context = context;
  }

  /** Why the certificate of whoever answered was refused. */
  get problem(): ClusterError | undefined {
    return this.#problem;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): experimental.SecureConnector {
    return {
      waitForReady: () => this.#reach(),
      connect: (socket) => this.#secure(socket),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  /** Closes whatever is open or being opened, at once and without a word. */
  abandon(): void {
    this.#isAbandoned = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Knocks with a socket of our own, since the one that gRPC is about to open cannot be given up while it waits. */
  #reach(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = connectTcp({ host, port }, () => {
        socket.destroy();
        resolve();
      });
      this.#hold(socket);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('given up')));
    });
  }

  #secure(socket: Socket): Promise<experimental.SecureConnectResult> {
    this.#hold(socket);
    return new Promise((resolve, reject) => {
      const secured = connectTls(
        {
          socket,
          secureContext: this.#context,
          ALPNProtocols: ['h2'],
          servername: `member-${this.#options.peer}`,
          checkServerIdentity: (_name, certificate) => {
            this.#problem = this.#identityProblem(certificate);
            return this.#problem;
          },
        },
        () => resolve({ socket: secured, secure: true }),
      );
      this.#hold(secured);
      secured.once('error', reject);
      secured.once('close', () => reject(new Error('closed during the TLS handshake')));
    });
  }

  #identityProblem(
    certificate: Parameters<typeof memberOfCertificate>[0],
  ): ClusterError | undefined {
    const { clusterId, peer } = this.#options;
    const found = memberOfCertificate(certificate, clusterId);
    if (found === peer) return undefined;
    if (found instanceof ClusterError) return found;
    return new ClusterError(
      'WRONG_IDENTITY',
      `member ${found} answers where member ${peer} should; check the addresses of the members`,
      { fields: { peer, found } },
    );
  }

  #hold(socket: Socket): void {
    // Errors end in 'close'; this listener keeps those after the handshake from being unhandled.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#sockets.add(socket);
    if (this.#isAbandoned) socket.destroy();
  }
}
