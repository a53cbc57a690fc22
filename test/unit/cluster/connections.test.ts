import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CLUSTER_ID, eventually, Fixture, GENESIS_HASH, type TestMember } from './fixture.ts';
import type { ProcessOptions } from './member_process.ts';

let fixture: Fixture;
let child: ChildProcess | undefined;

beforeEach(async () => {
  fixture = await Fixture.open([1, 2]);
  child = undefined;
});

afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await fixture.close();
});

async function connectedPair(): Promise<[TestMember, TestMember]> {
  const first = fixture.member(1);
  const second = fixture.member(2);
  await Promise.all([first.start(), second.start()]);
  await Promise.all([first.connected(2), second.connected(1)]);
  return [first, second];
}

/** Member 2 in a process of its own; resolves once member 1 is connected with it. */
async function connectedWithProcess(first: TestMember): Promise<ChildProcess> {
  const options: ProcessOptions = {
    clusterId: CLUSTER_ID,
    genesisHash: Buffer.from(GENESIS_HASH).toString('hex'),
    tls: fixture.files('member-2'),
    peerPort: fixture.relay(1).port,
  };
  const started = fork(fileURLToPath(new URL('./member_process.ts', import.meta.url)), [
    JSON.stringify(options),
  ]);
  child = started;
  const [port] = (await once(started, 'message')) as [number];
  fixture.relay(2).targetPort = port;
  await first.connected(2);
  return started;
}

test('each side is told once when the other comes and goes', async () => {
  const [first, second] = await connectedPair();
  await second.transport.stop();
  await first.disconnected(2);
  expect(first.connections).toEqual([
    { peer: 2, isConnected: true },
    { peer: 2, isConnected: false },
  ]);
  expect(second.connections).toEqual([
    { peer: 1, isConnected: true },
    { peer: 1, isConnected: false },
  ]);
  expect(first.transport.send(2, 'control', new Uint8Array(1))).toBe(false);
});

test('a member that comes back is found again', async () => {
  const [first, second] = await connectedPair();
  await second.transport.stop();
  await first.disconnected(2);
  const returned = fixture.member(2);
  await returned.start();
  await Promise.all([first.connected(2), returned.connected(1)]);
  first.transport.send(2, 'control', Buffer.from('welcome'));
  await returned.until(() => returned.messages.length === 1);
  expect(returned.messages[0]?.payload.toString()).toBe('welcome');
});

test('a broken connection is noticed on both sides and made again', async () => {
  const [first, second] = await connectedPair();
  for (let round = 0; round < 3; round += 1) {
    first.connections.length = 0;
    second.connections.length = 0;
    // One direction is enough: this breaks only what member 1 dialled.
    fixture.relay(2).cut();
    await Promise.all([
      first.until(() => first.connections.length === 2),
      second.until(() => second.connections.length === 2),
    ]);
    expect(first.connections.map(({ isConnected }) => isConnected)).toEqual([false, true]);
    expect(second.connections.map(({ isConnected }) => isConnected)).toEqual([false, true]);
  }
});

test('a peer from which nothing comes is reported, and found again when it speaks', async () => {
  const limits = { pingIntervalMs: 20, pingsMissedMax: 10, connectTimeoutMsMax: 500 };
  const first = fixture.member(1, { limits });
  const second = fixture.member(2, { limits });
  await Promise.all([first.start(), second.start()]);
  await Promise.all([first.connected(2), second.connected(1)]);
  fixture.relay(1).silence();
  fixture.relay(2).silence();
  await Promise.all([first.disconnected(2), second.disconnected(1)]);
  expect(first.transport.send(2, 'control', new Uint8Array(1))).toBe(false);
  expect(first.transport.send(2, 'bulk', new Uint8Array(1))).toBe(false);
  fixture.relay(1).resume();
  fixture.relay(2).resume();
  await Promise.all([first.connected(2), second.connected(1)]);
});

test('a killed process is noticed by its broken connection alone', async () => {
  const first = fixture.member(1);
  await first.start();
  const peer = await connectedWithProcess(first);
  peer.kill('SIGKILL');
  await first.disconnected(2);
  const [{ why } = { why: '' }] = first.logger.events('cluster.disconnected');
  expect(why).not.toContain('no sign of life');
});

test('a stopped process is noticed by its silence, and comes back when it continues', async () => {
  const first = fixture.member(1, { limits: { pingIntervalMs: 50, pingsMissedMax: 10 } });
  await first.start();
  const peer = await connectedWithProcess(first);
  peer.kill('SIGSTOP');
  await first.disconnected(2);
  const [{ why } = { why: '' }] = first.logger.events('cluster.disconnected');
  expect(why).toContain('no sign of life');
  peer.kill('SIGCONT');
  await first.connected(2);
});

test('connecting to nobody is reported once and leaves no sockets behind', async () => {
  const first = fixture.member(1, { limits: { backoffMsFirst: 1, backoffMsMax: 2 } });
  await first.start();
  const attempts = (): number => first.logger.events('cluster.connect_failed').length;
  await eventually(() => attempts() > 20);
  const warned = first.logger.lines.filter(({ event }) => event === 'cluster.connect_failed');
  expect(new Set(warned.map(({ fields }) => fields.code))).toEqual(new Set(['DISCONNECTED']));
  await first.transport.stop();
  const stoppedAt = attempts();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(attempts()).toBe(stoppedAt);
});
