import { readFile } from 'node:fs/promises';
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { helloOf } from '../../../src/cluster/hello.ts';
import {
  FRAME_BYTES_MAX,
  FRAME_BYTES_READ_MAX,
  FRAME_PAYLOAD_BYTES_MAX,
  type TransportLimits,
} from '../../../src/cluster/limits.ts';
import {
  type Channel,
  loadReceiveMethod,
  type SinkFrame,
  type SourceFrame,
} from '../../../src/cluster/wire.ts';
import type { TlsFiles } from '../../../src/lib/tls_files.ts';
import {
  CLUSTER_ID,
  eventually,
  Fixture,
  GENESIS_HASH,
  newAuthority,
  type TestMember,
} from './fixture.ts';

const METHOD = loadReceiveMethod();

let fixture: Fixture;
let victim: TestMember;
let bystander: TestMember;
const clients: Client[] = [];

beforeEach(async () => {
  fixture = await Fixture.open([1, 2, 3]);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await fixture.close();
});

/** Members 1 and 2; the tests play member 3. */
async function startTwo(limits: Partial<TransportLimits> = {}): Promise<void> {
  victim = fixture.member(1, { limits });
  bystander = fixture.member(2);
  await Promise.all([victim.start(), bystander.start()]);
  await Promise.all([victim.connected(2), bystander.connected(1)]);
}

/** Nothing may have changed for those who behave. */
async function expectUndisturbed(): Promise<void> {
  expect(victim.connections).toEqual([{ peer: 2, isConnected: true }]);
  expect(victim.messages.filter(({ from }) => from !== 2)).toEqual([]);
  bystander.transport.send(1, 'control', Buffer.from('still here'));
  await victim.until(() =>
    victim.messages.some(({ payload }) => payload.toString() === 'still here'),
  );
}

interface Intruder {
  readonly call: ClientDuplexStream<Buffer, SourceFrame>;
  readonly frames: SourceFrame[];
  readonly ended: Promise<StatusObject>;
}

/** A client of the wire itself: it may say anything. */
async function intrude(files: TlsFiles): Promise<Intruder> {
  const [ca, key, certificate] = await Promise.all([
    readFile(files.caFile),
    readFile(files.keyFile),
    readFile(files.certificateFile),
  ]);
  const client = new Client(
    `127.0.0.1:${victim.transport.listenPort}`,
    ChannelCredentials.createSsl(ca, key, certificate, { checkServerIdentity: () => undefined }),
    { 'grpc.ssl_target_name_override': 'member-1', 'grpc.use_local_subchannel_pool': 1 },
  );
  clients.push(client);
  const call = client.makeBidiStreamRequest<Buffer, SourceFrame>(
    METHOD.path,
    (bytes) => bytes,
    METHOD.responseDeserialize as (bytes: Buffer) => SourceFrame,
  );
  const frames: SourceFrame[] = [];
  call.on('data', (frame) => frames.push(frame));
  call.on('error', () => undefined);
  return {
    call,
    frames,
    ended: new Promise((resolve) => {
      call.on('status', resolve);
    }),
  };
}

function hello(changes: object = {}, channel: Channel = 'control'): Buffer {
  const introduction = {
    memberId: 3,
    clusterId: CLUSTER_ID,
    genesisHash: GENESIS_HASH,
    incarnation: 1,
  };
  const frame = { body: 'hello', hello: { ...helloOf(introduction, channel), ...changes } };
  return METHOD.requestSerialize(frame as SinkFrame);
}

test('a member with the right Hello is welcome', async () => {
  await startTwo();
  const { call, frames } = await intrude(fixture.files('member-3'));
  call.write(hello());
  await eventually(() => frames.length === 1);
  expect(frames[0]).toMatchObject({ body: 'hello', hello: { memberId: 1, clusterId: CLUSTER_ID } });
  call.write(METHOD.requestSerialize({ body: 'ping', ping: { number: 5 } }));
  await eventually(() => frames.length === 2);
  expect(frames[1]).toMatchObject({ body: 'pong', pong: { number: 5 } });
});

test.each([
  ['another cluster', { clusterId: 'other' }, 'WRONG_CLUSTER', status.FAILED_PRECONDITION],
  [
    'another genesis',
    { genesisHash: new Uint8Array(32) },
    'WRONG_CLUSTER',
    status.FAILED_PRECONDITION,
  ],
  [
    'another protocol version',
    { protocolVersion: 99 },
    'WRONG_PROTOCOL',
    status.FAILED_PRECONDITION,
  ],
  ["another member's id", { memberId: 2 }, 'WRONG_IDENTITY', status.PERMISSION_DENIED],
  ['an unknown channel', { channel: 7 }, 'MALFORMED', status.INVALID_ARGUMENT],
])('a Hello of %s is refused', async (_name, changes, reason, code) => {
  await startTwo();
  const { call, ended } = await intrude(fixture.files('member-3'));
  call.write(hello(changes));
  const { code: seen, metadata } = await ended;
  expect([seen, metadata.get('blockraft-refusal')]).toEqual([code, [reason]]);
  expect(refusals()).toEqual([reason]);
  await expectUndisturbed();
});

test.each(['operator', 'client'] as const)('a certificate of role %s is refused', async (role) => {
  await startTwo();
  const { call, ended } = await intrude(await fixture.writeTls(role, role));
  call.write(hello());
  expect((await ended).code).toBe(status.PERMISSION_DENIED);
  await expectUndisturbed();
});

test('a member that is not configured is refused', async () => {
  await startTwo();
  const { call, ended } = await intrude(await fixture.writeTls('member', '4'));
  call.write(hello({ memberId: 4 }));
  const { code, details, metadata } = await ended;
  expect([code, details]).toEqual([
    status.PERMISSION_DENIED,
    'member 4 is not in the configuration of member 1 (that of log index 0)',
  ]);
  expect(metadata.get('blockraft-refusal')).toEqual(['UNKNOWN_MEMBER']);
  expect(refusals()).toEqual(['UNKNOWN_MEMBER']);
  await expectUndisturbed();
});

test('a member of another cluster under the same CA is refused', async () => {
  await startTwo();
  const files = await fixture.writeTls('member', '3', { clusterId: 'other', file: 'foreign' });
  const { call, ended } = await intrude(files);
  call.write(hello());
  expect((await ended).code).toBe(status.PERMISSION_DENIED);
  await expectUndisturbed();
});

test('a certificate of another CA does not get past TLS', async () => {
  await startTwo();
  const files = await fixture.writeTls('member', '3', {
    authority: await newAuthority(),
    trusted: [fixture.authority],
    file: 'forged',
  });
  const { call, ended } = await intrude(files);
  call.write(hello());
  expect((await ended).code).toBe(status.UNAVAILABLE);
  await expectUndisturbed();
});

test.each([
  ['bytes that are no frame', Buffer.from([0xff, 0xff, 0xff])],
  ['an empty frame', Buffer.alloc(0)],
  ['a ping', METHOD.requestSerialize({ body: 'ping', ping: { number: 1 } })],
])('%s instead of a Hello ends the stream', async (_name, bytes) => {
  await startTwo();
  const { call, ended } = await intrude(fixture.files('member-3'));
  call.write(bytes);
  expect((await ended).code).toBe(status.INVALID_ARGUMENT);
  await expectUndisturbed();
});

test.each([
  ['bytes that are no frame', Buffer.from([0xff, 0xff, 0xff])],
  ['a second Hello', hello()],
  ['a chunk that continues nothing', chunk({ requestId: 1, totalBytes: 0 })],
  ['a chunk of too long a payload', chunk({ requestId: 1, totalBytes: 2_000_000 })],
  ['a chunk of a payload that fits a frame', chunk({ requestId: 1, totalBytes: 5 })],
])('%s after the Hello ends the stream', async (_name, bytes) => {
  await startTwo({ messageBytesMax: 1_000_000 });
  const { call, ended } = await intrude(fixture.files('member-3'));
  call.write(hello({}, 'bulk'));
  call.write(bytes);
  expect((await ended).code).toBe(status.INVALID_ARGUMENT);
  expect(refusals()).toEqual(['MALFORMED']);
  await expectUndisturbed();
});

test('a frame above the limit is refused, whatever is in it', async () => {
  await startTwo();
  const { call, ended } = await intrude(fixture.files('member-3'));
  call.write(hello());
  // A ping with a field that nobody knows: it would be fine were it shorter.
  const ping = METHOD.requestSerialize({ body: 'ping', ping: { number: 1 } });
  const tag = [0x7a, ...varint(FRAME_BYTES_MAX)];
  call.write(Buffer.concat([ping, Buffer.from(tag), Buffer.alloc(FRAME_BYTES_MAX)]));
  expect((await ended).code).toBe(status.INVALID_ARGUMENT);
  expect(refusals()).toEqual(['MALFORMED']);
  await expectUndisturbed();
});

test('a frame far above the limit is refused unread', async () => {
  await startTwo();
  const { call, ended } = await intrude(fixture.files('member-3'));
  call.write(hello());
  call.write(Buffer.alloc(FRAME_BYTES_READ_MAX + 1));
  expect((await ended).code).toBe(status.RESOURCE_EXHAUSTED);
  await expectUndisturbed();
});

test('a stream that never says Hello is ended', async () => {
  await startTwo({ connectTimeoutMsMax: 300 });
  const { ended } = await intrude(fixture.files('member-3'));
  expect((await ended).code).toBe(status.INVALID_ARGUMENT);
  await expectUndisturbed();
});

test('a response to a request that was never asked is dropped', async () => {
  await startTwo();
  const { call, frames } = await intrude(fixture.files('member-3'));
  call.write(hello({}, 'bulk'));
  const response = { requestId: 77, result: 'payload', payload: new Uint8Array(3) } as const;
  call.write(METHOD.requestSerialize({ body: 'response', response }));
  call.write(METHOD.requestSerialize({ body: 'ping', ping: { number: 1 } }));
  await eventually(() => frames.some(({ body }) => body === 'pong'));
  await expectUndisturbed();
});

test('members of different clusters refuse each other and say why', async () => {
  const first = fixture.member(1);
  const second = fixture.member(2, { genesisHash: new Uint8Array(32).fill(9) });
  await Promise.all([first.start(), second.start()]);
  const problems = (member: TestMember): unknown[] =>
    member.logger.events('cluster.connect_failed').map(({ code }) => code);
  await eventually(() => problems(first).includes('WRONG_CLUSTER'));
  await eventually(() => problems(second).includes('WRONG_CLUSTER'));
  expect([...first.connections, ...second.connections]).toEqual([]);
});

test('another member at the address of a peer is not taken for it', async () => {
  const first = fixture.member(1);
  const third = fixture.member(3);
  await Promise.all([first.start(), third.start()]);
  fixture.relay(2).targetPort = third.transport.listenPort;
  await eventually(() =>
    first.logger
      .events('cluster.connect_failed')
      .some(({ peer, code }) => peer === 2 && code === 'WRONG_IDENTITY'),
  );
  expect(first.transport.isConnected(2)).toBe(false);
});

test('more connections than the limit are closed unheard', async () => {
  await startTwo({ connectionsMax: 6 });
  const intruders: Intruder[] = [];
  for (let count = 0; count < 10; count += 1)
    intruders.push(await intrude(fixture.files('member-3')));
  await Promise.race(intruders.map(({ ended }) => ended));
  await expectUndisturbed();
});

/** Codes of what the victim has logged as refused. */
function refusals(): unknown[] {
  return victim.logger.events('cluster.peer_refused').map(({ code }) => code);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function chunk(place: { requestId: number; totalBytes: number }): Buffer {
  const data = new Uint8Array(Math.min(place.totalBytes, FRAME_PAYLOAD_BYTES_MAX) || 1);
  return METHOD.requestSerialize({ body: 'chunk', chunk: { ...place, data } });
}
