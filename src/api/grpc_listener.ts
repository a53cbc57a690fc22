import { isIP } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProtoPath } from 'grpc-health-check';
import type { Clock, Logger } from '../lib/environment.ts';
import { CodedError, errorText } from '../lib/error.ts';
import { FollowedTlsFiles, type TlsFiles } from '../lib/tls_files.ts';
import type { Readiness } from '../types/views.ts';
import type { NodeBackend } from './backend.ts';
import type { OpenCalls } from './calls.ts';
import { LOADER_OPTIONS } from './proto.ts';

/** Plaintext is for processes of the same machine only. */
export type ServerSecurity =
  | { readonly kind: 'plaintext' }
  | ({ readonly kind: 'mutual-tls' } & TlsFiles);

/** A listener cannot start as it is set up. */
export class ListenerError extends CodedError<
  'PLAINTEXT_REFUSED' | 'CERTIFICATES_UNUSABLE' | 'CANNOT_LISTEN'
> {}

export interface ListenerOptions {
  /** Name or address without brackets; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly security: ServerSecurity;
  /** Of one request. */
  readonly messageBytesMax: number;
}

/** Its readiness is what the health service says. */
type ReadinessSource = Pick<NodeBackend, 'watchReadiness'>;

interface ListenerService {
  /** As in the package definition, for example `blockraft.v1.Node`. */
  readonly name: string;
  readonly packageDefinition: PackageDefinition;
  readonly implementation: UntypedServiceImplementation;
}

const HEALTH_SERVICE = 'grpc.health.v1.Health';
const STREAMS_PER_CONNECTION_MAX = 256;
/** Connections whose peer vanished are noticed by these, and their subscriptions ended. */
const KEEPALIVE_INTERVAL_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** How long open calls may take when the listener stops, and after how much of it they get no more time to wait. */
const DRAIN_MS_MAX = 5_000;
const DRAIN_WAIT_MS_MAX = 1_000;
/** For the last answers to leave before connections that clients hold open are cut. */
const FLUSH_MS = 50;

/** One gRPC port with one service of ours, health and reflection. */
export class GrpcListener {
  readonly #options: ListenerOptions;
  readonly #service: ListenerService;
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #backend: ReadinessSource;
  readonly #calls: OpenCalls;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #certificates: FollowedTlsFiles | undefined;
  #unwatch = (): void => {};

  constructor(
    options: ListenerOptions & { interceptors?: ServerInterceptor[] },
    dependencies: {
      service: ListenerService;
      backend: ReadinessSource;
      calls: OpenCalls;
      clock: Clock;
      logger: Logger;
    },
  ) {
    this.#options = options;
    this.#service = dependencies.service;
    this.#backend = dependencies.backend;
    this.#calls = dependencies.calls;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#server = new Server({
      'grpc.max_receive_message_length': options.messageBytesMax,
      'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      interceptors: options.interceptors ?? [],
    });
    this.#health = new HealthImplementation();
    this.#setReadiness({ ready: false, reason: 'starting' });
    this.#addServices();
  }

  /** Listens; resolves with the port. Rejects with a ListenerError, and then nothing is left open. */
  async start(): Promise<number> {
    const { host, port } = this.#options.listen;
    const credentials = await this.#serverCredentials();
    const address = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, boundPort) => {
        if (error === null) resolve(boundPort);
        else
          reject(
            new ListenerError(
              'CANNOT_LISTEN',
              `cannot listen on ${address}: ${errorText(error)}; free the port or configure another`,
              { fields: { host, port }, cause: error },
            ),
          );
      });
    }).catch((thrown) => {
      this.#certificates?.stop();
      this.#server.forceShutdown();
      throw thrown;
    });
    this.#logger.info({ service: this.#service.name, host, port: bound }, 'api.listening');
    this.#unwatch = this.#backend.watchReadiness((readiness) => this.#setReadiness(readiness));
    return bound;
  }

  /** Refuses new calls, lets open ones finish within a limit, ends streams and closes the port. */
  async stop(): Promise<void> {
    this.#unwatch();
    this.#certificates?.stop();
    this.#setReadiness({ ready: false, reason: 'stopping' });
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    let cancelTimer = (): void => {};
    const limit = new Promise<void>((resolve) => {
      cancelTimer = this.#clock.schedule(DRAIN_MS_MAX, resolve);
    });
    const cancelHurry = this.#clock.schedule(DRAIN_WAIT_MS_MAX, () => this.#calls.hurry());
    const drained = this.#calls.drain().then(() => this.#pause(FLUSH_MS));
    await Promise.race([closed, drained, limit]);
    cancelTimer();
    cancelHurry();
    // Streams of the health service never end by themselves.
    this.#server.forceShutdown();
    // A connection that never finished its handshake must not hold up the member.
    await Promise.race([closed, this.#pause(FLUSH_MS)]);
  }

  #setReadiness({ ready }: Readiness): void {
    const servingStatus = ready ? 'SERVING' : 'NOT_SERVING';
    this.#health.setStatus('', servingStatus);
    this.#health.setStatus(this.#service.name, servingStatus);
  }

  #addServices(): void {
    const { name, packageDefinition, implementation } = this.#service;
    const definition = packageDefinition[name] as ServiceDefinition;
    this.#server.addService(definition, implementation);
    this.#health.addToServer(this.#server);
    const described = { ...loadSync(healthProtoPath, LOADER_OPTIONS), ...packageDefinition };
    new ReflectionService(described, { services: [name, HEALTH_SERVICE] }).addToServer(
      this.#server,
    );
  }

  async #serverCredentials(): Promise<ServerCredentials> {
    const { security, listen } = this.#options;
    if (security.kind === 'plaintext') {
      if (isLoopback(listen.host)) return ServerCredentials.createInsecure();
      throw new ListenerError(
        'PLAINTEXT_REFUSED',
        `plaintext is refused on ${listen.host}: others could reach it; use mutual TLS or a loopback address`,
        { fields: { host: listen.host } },
      );
    }
    try {
      this.#certificates = await FollowedTlsFiles.open(
        { files: security, eventPrefix: 'api' },
        { clock: this.#clock, logger: this.#logger },
      );
      return new FollowingCredentials(this.#certificates);
    } catch (thrown) {
      throw new ListenerError(
        'CERTIFICATES_UNUSABLE',
        `cannot use the certificates of ${this.#service.name}: ${errorText(thrown)}`,
        { fields: { certificateFile: security.certificateFile }, cause: thrown },
      );
    }
  }

  #pause(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.schedule(durationMs, resolve);
    });
  }
}

/** Mutual TLS that follows its files: open connections go on, new ones get what the files hold now. */
class FollowingCredentials extends ServerCredentials {
  constructor(certificates: FollowedTlsFiles) {
    super({ requestCert: true, rejectUnauthorized: true }, certificates.parts);
    certificates.onChange((parts) => this.updateSecureContextOptions(parts));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
