import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { Clock, Logger } from '../lib/environment.ts';
import type { TlsFiles } from '../lib/tls_files.ts';
import { identityOfSubjectAltName } from '../types/certificate_identity.ts';
import { adminService } from './admin_service.ts';
import { ApiError, errorStatus } from './api_error.ts';
import type { AdminBackend } from './backend.ts';
import { OpenCalls } from './calls.ts';
import { GrpcListener } from './grpc_listener.ts';
import { loadAdminProto } from './proto.ts';

const MESSAGE_BYTES_MAX = 64 * 1024;
const STREAMS_MAX = 64;

export interface AdminServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsFiles;
  /** Operators of another cluster are refused. */
  readonly clusterId: string;
}

/** The face for operators: service Admin, health and reflection, for operator certificates alone. */
export class AdminServer {
  readonly #listener: GrpcListener;

  constructor(
    options: AdminServerOptions,
    dependencies: { backend: AdminBackend; logger: Logger; clock: Clock },
  ) {
    const { backend, logger, clock } = dependencies;
    const calls = new OpenCalls({ streamsMax: STREAMS_MAX }, { logger });
    this.#listener = new GrpcListener(
      {
        listen: options.listen,
        security: { kind: 'mutual-tls', ...options.tls },
        messageBytesMax: MESSAGE_BYTES_MAX,
        interceptors: [operatorsOnly(options.clusterId)],
      },
      {
        service: {
          name: 'blockraft.v1.Admin',
          packageDefinition: loadAdminProto(),
          implementation: adminService(backend, calls),
        },
        backend,
        calls,
        clock,
        logger,
      },
    );
  }

  /** Listens; resolves with the port. Rejects with a ListenerError. */
  start(): Promise<number> {
    return this.#listener.start();
  }

  /** Finishes open calls within a limit and closes the port. */
  stop(): Promise<void> {
    return this.#listener.stop();
  }
}

/** Ends every call whose certificate is not an operator's of this cluster before any of it is read. */
function operatorsOnly(clusterId: string): ServerInterceptor {
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const certificate = call.getAuthContext().sslPeerCertificate;
        const identity = identityOfSubjectAltName(certificate?.subjectaltname);
        if (identity?.role === 'operator' && identity.clusterId === clusterId) {
          next();
          return;
        }
        const holder = identity === undefined ? 'a certificate of no known role' : identity.role;
        call.sendStatus(
          errorStatus(
            new ApiError(
              'PERMISSION_DENIED',
              `operators of cluster ${clusterId} only, and this is ${holder}; use operator.pem`,
              { fields: { clusterId } },
            ),
          ),
        );
      },
    });
}
