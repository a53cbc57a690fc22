import {
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { onTestFinished } from 'vitest';
import { type ApiLimits, ApiServer } from '../../../src/api/api_server.ts';
import { LOADER_OPTIONS, loadAdminProto, loadNodeProto } from '../../../src/api/proto.ts';
import { type Clock, type Logger, systemClock } from '../../../src/lib/environment.ts';
import { decodeStatusDetails, type StatusDetails } from '../../../src/lib/status_details.ts';
import { MemoryBackend } from './memory_backend.ts';

// Messages are what the loader makes of them: their fields are what these tests are about.
// biome-ignore lint/suspicious/noExplicitAny: dynamic messages have no type.
export type Message = any;

/** Log events in order, for tests that look at them. */
export class RecordingLogger implements Logger {
  readonly events: string[] = [];
  debug = (_fields: object, event: string): number => this.events.push(event);
  info = (_fields: object, event: string): number => this.events.push(event);
  warn = (_fields: object, event: string): number => this.events.push(event);
  error = (_fields: object, event: string): number => this.events.push(event);
}

/** A running plaintext server on a free loopback port, stopped when the test is over. */
export async function startApi(
  options: { limits?: Partial<ApiLimits>; clock?: Clock } = {},
): Promise<{
  backend: MemoryBackend;
  logger: RecordingLogger;
  server: ApiServer;
  port: number;
  client: NodeClient;
}> {
  const backend = new MemoryBackend();
  const logger = new RecordingLogger();
  const server = new ApiServer(
    {
      listen: { host: '127.0.0.1', port: 0 },
      security: { kind: 'plaintext' },
      limits: options.limits ?? {},
    },
    { backend, logger, clock: options.clock ?? systemClock },
  );
  const port = await server.start();
  onTestFinished(() => server.stop());
  const client = connect('blockraft.v1.Node', port);
  return { backend, logger, server, port, client };
}

/** A dynamic client whose unary methods are promises. */
export interface NodeClient {
  readonly raw: Client;
  unary(method: string, request: object, deadlineMs?: number): Promise<Message>;
  serverStream(method: string, request: object): ClientReadableStream<Message>;
  duplex(method: string): ClientDuplexStream<Message, Message>;
}

const SERVICES: Record<string, () => PackageDefinition> = {
  'blockraft.v1.Node': loadNodeProto,
  'blockraft.v1.Admin': loadAdminProto,
  'grpc.health.v1.Health': () => loadSync(healthProtoPath, LOADER_OPTIONS),
};

export function connect(
  service: string,
  port: number,
  options: { credentials?: ChannelCredentials; host?: string } = {},
): NodeClient {
  const definition = SERVICES[service]?.();
  if (definition === undefined) throw new Error(`no definition of ${service}`);
  const Constructor = service
    .split('.')
    .reduce<Message>(
      (scope, name) => scope[name],
      loadPackageDefinition(definition),
    ) as ServiceClientConstructor;
  const raw = new Constructor(
    `${options.host ?? '127.0.0.1'}:${port}`,
    options.credentials ?? credentials.createInsecure(),
    // Each client has a connection of its own, so that a test can break one.
    { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': -1 },
  ) as Message;
  onTestFinished(() => raw.close());
  return {
    raw,
    unary: (method, request, deadlineMs) =>
      new Promise((resolve, reject) => {
        const callOptions = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
        raw[method](request, new Metadata(), callOptions, (error: unknown, response: Message) =>
          error === null ? resolve(response) : reject(error),
        );
      }),
    serverStream: (method, request) => raw[method](request),
    duplex: (method) => raw[method](),
  };
}

export interface Failed {
  readonly code: number;
  readonly message: string;
  readonly details: StatusDetails | undefined;
}

/** The error that a call must end with. */
export async function failure(call: Promise<unknown>): Promise<Failed> {
  try {
    await call;
  } catch (thrown) {
    return failed(thrown as ServiceError);
  }
  throw new Error('the call should have failed');
}

/** The error that a stream must end with; its messages are read and dropped. */
export function streamFailure(stream: ClientReadableStream<Message>): Promise<Failed> {
  return new Promise((resolve, reject) => {
    stream.on('data', () => {});
    stream.on('error', (error) => resolve(failed(error as ServiceError)));
    stream.on('end', () => setImmediate(() => reject(new Error('the stream ended well'))));
  });
}

function failed(error: ServiceError): Failed {
  const bytes = error.metadata.get('grpc-status-details-bin')[0];
  return {
    code: error.code,
    message: error.details,
    details: bytes instanceof Uint8Array ? decodeStatusDetails(bytes) : undefined,
  };
}

/** The next messages of a stream, in order. */
export function take(stream: ClientReadableStream<Message>, count: number): Promise<Message[]> {
  return new Promise((resolve, reject) => {
    const messages: Message[] = [];
    const onData = (message: Message): void => {
      messages.push(message);
      if (messages.length < count) return;
      stream.off('data', onData);
      stream.pause();
      resolve(messages);
    };
    stream.on('error', reject);
    stream.on('data', onData);
    stream.resume();
  });
}

/** Resolves when the condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Lets what is under way on both sides of loopback sockets arrive. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Resolves when a value has stopped changing: whoever moved it now waits for somebody else. */
export async function unchanging(value: () => number): Promise<void> {
  let before: number;
  do {
    before = value();
    await new Promise((resolve) => setTimeout(resolve, 200));
  } while (value() !== before);
}
