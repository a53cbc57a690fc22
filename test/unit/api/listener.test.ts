import { connect as connectSocket, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { credentials, loadPackageDefinition, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ApiServer, type ApiServerOptions } from '../../../src/api/api_server.ts';
import { ListenerError } from '../../../src/api/grpc_listener.ts';
import { LOADER_OPTIONS } from '../../../src/api/proto.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import {
  connect,
  failure,
  type Message,
  RecordingLogger,
  startApi,
  streamFailure,
  take,
  until,
} from './api_fixture.ts';
import { MemoryBackend } from './memory_backend.ts';
import { replaceTlsFiles, TestAuthority, writeTlsFiles } from './test_certificates.ts';

const HEALTH = 'grpc.health.v1.Health';

describe('health', () => {
  test('follows readiness, for the service and overall', async () => {
    const { backend, port } = await startApi();
    const health = connect(HEALTH, port);
    const check = async (service: string) => (await health.unary('Check', { service })).status;
    for (const service of ['', 'blockraft.v1.Node'])
      expect(await check(service)).toBe('NOT_SERVING');
    const watch = health.serverStream('Watch', { service: 'blockraft.v1.Node' });
    watch.on('error', () => {});
    expect((await take(watch, 1))[0].status).toBe('NOT_SERVING');
    backend.setReadiness({ ready: true, reason: '' });
    for (const service of ['', 'blockraft.v1.Node']) expect(await check(service)).toBe('SERVING');
    expect((await take(watch, 1))[0].status).toBe('SERVING');
    backend.setReadiness({ ready: false, reason: 'fenced' });
    expect(await check('')).toBe('NOT_SERVING');
    watch.cancel();
    expect((await failure(check('blockraft.v1.Cluster'))).code).toBe(status.NOT_FOUND);
  });
});

describe('reflection', () => {
  test('lists the services and describes them', async () => {
    const { port } = await startApi();
    const file = new URL(
      '../proto/grpc/reflection/v1/reflection.proto',
      import.meta.resolve('@grpc/reflection'),
    );
    const definition = loadSync(fileURLToPath(file), LOADER_OPTIONS);
    const { grpc } = loadPackageDefinition(definition) as Message;
    const client = new grpc.reflection.v1.ServerReflection(
      `127.0.0.1:${port}`,
      credentials.createInsecure(),
    );
    onTestFinished(() => client.close());
    const call = client.ServerReflectionInfo();
    call.write({ listServices: '' });
    const [list] = await take(call, 1);
    const names = list.listServicesResponse.service.map(({ name }: { name: string }) => name);
    expect(names.toSorted()).toEqual(['blockraft.v1.Node', HEALTH]);
    call.write({ fileContainingSymbol: 'blockraft.v1.Node' });
    const [described] = await take(call, 1);
    expect(described.fileDescriptorResponse.fileDescriptorProto).not.toHaveLength(0);
    call.end();
  });
});

describe('start', () => {
  function newServer(options: Partial<ApiServerOptions>) {
    const backend = new MemoryBackend();
    const logger = new RecordingLogger();
    const server = new ApiServer(
      {
        listen: { host: '127.0.0.1', port: 0 },
        security: { kind: 'plaintext' },
        limits: {},
        ...options,
      },
      { backend, logger, clock: systemClock },
    );
    return { backend, logger, server };
  }

  async function startFailure(options: Partial<ApiServerOptions>): Promise<ListenerError> {
    const { server, backend } = newServer(options);
    const error = await server.start().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ListenerError);
    expect(backend.readinessListenerCount).toBe(0);
    return error as ListenerError;
  }

  test.each(['0.0.0.0', '::', '192.0.2.1', 'example.org', '127.0.0.1.example.org'])(
    'plaintext is refused on %s',
    async (host) => {
      const error = await startFailure({ listen: { host, port: 0 } });
      expect(error.code).toBe('PLAINTEXT_REFUSED');
      expect(error.message).toContain('use mutual TLS or a loopback address');
    },
  );

  test('localhost is a loopback host', async () => {
    const { server } = newServer({ listen: { host: 'localhost', port: 0 } });
    const port = await server.start();
    onTestFinished(() => server.stop());
    await connect('blockraft.v1.Node', port, { host: 'localhost' }).unary('GetStatus', {});
  });

  test('a port in use is an error that names it', async () => {
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void occupant.close());
    const { port } = occupant.address() as { port: number };
    const error = await startFailure({ listen: { host: '127.0.0.1', port } });
    expect(error.code).toBe('CANNOT_LISTEN');
    expect(error.message).toContain(`cannot listen on 127.0.0.1:${port}`);
    expect(error.message).toContain('EADDRINUSE');
  });

  test('certificates that are missing or do not fit are errors', async () => {
    const missing = { caFile: '/nowhere/ca', certificateFile: '/nowhere/c', keyFile: '/nowhere/k' };
    const error = await startFailure({ security: { kind: 'mutual-tls', ...missing } });
    expect(error.code).toBe('CERTIFICATES_UNUSABLE');
    expect(error.message).toContain('/nowhere/ca');
    const authority = await TestAuthority.create();
    const one = await authority.issue('member', '1');
    const other = await authority.issue('member', '1');
    const files = writeTlsFiles(authority, {
      certificatePem: one.certificatePem,
      keyPem: other.keyPem,
    });
    const mismatch = await startFailure({ security: { kind: 'mutual-tls', ...files } });
    expect(mismatch.code).toBe('CERTIFICATES_UNUSABLE');
  });

  test('mutual TLS lets in every role, and new certificates without a stop', async () => {
    const authority = await TestAuthority.create();
    const identity = await authority.issue('member', '1');
    const files = writeTlsFiles(authority, identity);
    const { server, logger } = newServer({ security: { kind: 'mutual-tls', ...files } });
    const port = await server.start();
    onTestFinished(() => server.stop());
    const old = connect('blockraft.v1.Node', port, {
      credentials: authority.clientCredentials(await authority.issue('client', 'a')),
    });
    for (const [role, name] of [
      ['client', 'a'],
      ['operator', 'b'],
      ['member', '2'],
    ] as const)
      await connect('blockraft.v1.Node', port, {
        credentials: authority.clientCredentials(await authority.issue(role, name)),
      }).unary('GetStatus', {});
    const anonymous = connect('blockraft.v1.Node', port, {
      credentials: authority.clientCredentials(),
    });
    expect((await failure(anonymous.unary('GetStatus', {}, 5_000))).code).toBe(status.UNAVAILABLE);
    await old.unary('GetStatus', {});

    const next = await TestAuthority.create();
    const nextIdentity = await next.issue('member', '1');
    replaceTlsFiles(files, next, {
      certificatePem: nextIdentity.certificatePem,
      keyPem: identity.keyPem,
    });
    await until(() => logger.events.includes('api.certificates_kept'));
    replaceTlsFiles(files, next, nextIdentity);
    await until(() => logger.events.includes('api.certificates_reloaded'));
    await old.unary('GetStatus', {});
    await connect('blockraft.v1.Node', port, {
      credentials: next.clientCredentials(await next.issue('client', 'a')),
    }).unary('GetStatus', {});
    const stale = connect('blockraft.v1.Node', port, {
      credentials: authority.clientCredentials(await authority.issue('client', 'a')),
    });
    expect((await failure(stale.unary('GetStatus', {}, 5_000))).code).toBe(status.UNAVAILABLE);
  });
});

describe('stop', () => {
  test('finishes what is under way, ends streams with where to go on, and frees the port', async () => {
    const { backend, client, port, server } = await startApi();
    backend.apply(2);
    const gate = Promise.withResolvers<void>();
    const { submit } = backend;
    backend.submit = async (raws, signal) => {
      await gate.promise;
      return submit(raws, signal);
    };
    const blocks = client.serverStream('SubscribeBlocks', { fromHeight: 1 });
    await take(blocks, 2);
    const blocksEnd = streamFailure(blocks);
    const watch = connect(HEALTH, port).serverStream('Watch', { service: '' });
    watch.on('error', () => {});
    await take(watch, 1);
    const batches = client.duplex('SubmitTransactions');
    const answers: Message[] = [];
    batches.on('data', (answer: Message) => answers.push(answer));
    const batchesEnd = streamFailure(batches);
    batches.write({ id: 1, transactions: [Uint8Array.of(1)] });
    const single = client.unary('SubmitTransaction', { transaction: Uint8Array.of(1) });
    await until(() => backend.waitingCount === 1);
    await client.unary('GetStatus', {});

    const stopped = server.stop();
    const error = await blocksEnd;
    expect(error).toMatchObject({
      code: status.UNAVAILABLE,
      message: 'this member is stopping; subscribe at another member from height 3',
    });
    expect(error.details).toMatchObject({ reason: 'STOPPING', metadata: { nextHeight: '3' } });
    gate.resolve();
    expect((await single).submission.state).toBe('TRANSACTION_STATE_PENDING');
    expect((await batchesEnd).details?.reason).toBe('STOPPING');
    expect(answers.map((answer) => answer.id)).toEqual([1]);
    await stopped;
    expect(backend.readinessListenerCount).toBe(0);
    const refused = await new Promise((resolve) => {
      connectSocket(port, '127.0.0.1').on('error', resolve).on('connect', resolve);
    });
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('a wait that has no end is answered as things stand', async () => {
    const { backend, client, server } = await startApi();
    let waiting = 0;
    backend.committed = (_hash, signal) => {
      waiting += 1;
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    };
    const wait = 'WAIT_LEVEL_COMMITTED';
    const batches = client.duplex('SubmitTransactions');
    const answers: Message[] = [];
    batches.on('data', (answer: Message) => answers.push(answer));
    const batchesEnd = streamFailure(batches);
    batches.write({ id: 1, transactions: [Uint8Array.of(1)], wait });
    const single = client.unary('SubmitTransaction', { transaction: Uint8Array.of(2), wait });
    await until(() => waiting === 2);
    await server.stop();
    expect((await single).submission.state).toBe('TRANSACTION_STATE_PENDING');
    expect((await batchesEnd).details?.reason).toBe('STOPPING');
    expect(answers.map(({ results }) => results[0].submission.state)).toEqual([
      'TRANSACTION_STATE_PENDING',
    ]);
  });

  test('idle connections and unfinished handshakes do not hold it up', async () => {
    const { client, port, server } = await startApi();
    await client.unary('GetStatus', {});
    const socket = connectSocket(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await new Promise((resolve) => socket.on('connect', resolve));
    await server.stop();
  });
});
