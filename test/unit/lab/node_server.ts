import { fileURLToPath } from 'node:url';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { encodeStatusDetails } from '../../../src/lib/status_details.ts';

const PROTO_FOLDER = fileURLToPath(new URL('../../../proto', import.meta.url));

/** A real gRPC server of service Node whose methods a test writes. */
export interface ScriptedNode {
  readonly address: string;
  stop(): void;
}

/** Starts on a free port; methods that are not given answer UNIMPLEMENTED. */
export async function startNode(
  methods: Record<string, UntypedHandleCall>,
  port = 0,
): Promise<ScriptedNode> {
  const definition = loadSync('blockraft/v1/node.proto', {
    includeDirs: [PROTO_FOLDER],
    longs: String,
    enums: String,
    defaults: true,
  })['blockraft.v1.Node'] as ServiceDefinition;
  const server = new Server();
  server.addService(definition, methods);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, value) =>
      error === null ? resolve(value) : reject(error),
    );
  });
  return { address: `127.0.0.1:${bound}`, stop: () => server.forceShutdown() };
}

/** An error as the product's servers end calls with. */
export function statusWith(code: number, reason: string, message: string): object {
  const metadata = new Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(encodeStatusDetails({ code, message, reason, domain: 'blockraft', metadata: {} })),
  );
  return { code, details: message, metadata };
}
