import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TransportLimits } from '../../../src/cluster/limits.ts';
import { eventually, Fixture, type TestMember } from './fixture.ts';

let fixture: Fixture;
let asker: TestMember;
let answerer: TestMember;

beforeEach(async () => {
  fixture = await Fixture.open([1, 2]);
});

afterEach(async () => {
  await fixture.close();
});

async function start(limits: Partial<TransportLimits> = {}): Promise<void> {
  asker = fixture.member(1, { limits });
  answerer = fixture.member(2);
  await Promise.all([asker.start(), answerer.start()]);
  await Promise.all([asker.connected(2), answerer.connected(1)]);
  await eventually(() => asker.transport.send(2, 'bulk', new Uint8Array(0)));
  await answerer.until(() => answerer.messages.length > 0);
}

function ask(text: string, signal?: AbortSignal): Promise<string> {
  return asker.transport
    .request(2, Buffer.from(text), signal)
    .then((response) => Buffer.from(response).toString());
}

test('each request gets its own response, whatever the order of answers', async () => {
  await start();
  const waiting: (() => void)[] = [];
  answerer.transport.onRequest(async (from, payload) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return Buffer.from(`${from}:${Buffer.from(payload).toString()}`);
  });
  const asked = ['a', 'b', 'c'].map((text) => ask(text));
  await eventually(() => waiting.length === 3);
  for (const answer of waiting.reverse()) answer();
  expect(await Promise.all(asked)).toEqual(['1:a', '1:b', '1:c']);
});

test('long requests and responses travel in chunks', async () => {
  await start();
  answerer.transport.onRequest(async (_from, payload) => Buffer.from(payload).reverse());
  const payload = Buffer.alloc(3_000_000, 'abcdefg');
  const response = await asker.transport.request(2, payload);
  expect(Buffer.from(response).equals(Buffer.from(payload).reverse())).toBe(true);
});

test('a request to a member that is not connected was not sent', async () => {
  asker = fixture.member(1);
  await asker.start();
  await expect(ask('x')).rejects.toMatchObject({ code: 'NOT_SENT' });
  await expect(asker.transport.request(9, new Uint8Array(1))).rejects.toMatchObject({
    code: 'NOT_SENT',
  });
});

test('a request that nobody handles was not sent', async () => {
  await start();
  await expect(ask('x')).rejects.toMatchObject({ code: 'NOT_SENT' });
});

test('the outcome is unknown when the connection ends under the request', async () => {
  await start();
  let isHandling = false;
  answerer.transport.onRequest(() => {
    isHandling = true;
    return new Promise(() => undefined);
  });
  const outcome = ask('x').catch((error) => error);
  await eventually(() => isHandling);
  fixture.relay(1).cut();
  expect(await outcome).toMatchObject({ code: 'UNKNOWN' });
});

test('a request that waited behind others when the connection ended was not sent', async () => {
  await start();
  answerer.transport.onRequest(async (_from, payload) => payload);
  fixture.relay(1).silence();
  const long = asker.transport.request(2, new Uint8Array(50_000_000)).catch((error) => error);
  await new Promise((resolve) => setImmediate(resolve));
  const short = ask('x').catch((error) => error);
  await new Promise((resolve) => setImmediate(resolve));
  fixture.relay(1).cut();
  expect(await long).toMatchObject({ code: 'UNKNOWN' });
  expect(await short).toMatchObject({ code: 'NOT_SENT' });
});

test('the outcome is unknown when time is up', async () => {
  await start({ requestTimeoutMsMax: 50 });
  answerer.transport.onRequest(() => new Promise(() => undefined));
  await expect(ask('x')).rejects.toMatchObject({ code: 'UNKNOWN' });
});

test('the outcome is unknown when the peer fails while handling', async () => {
  await start();
  answerer.transport.onRequest(() => Promise.reject(new Error('out of luck')));
  await expect(ask('x')).rejects.toMatchObject({
    code: 'UNKNOWN',
    message: expect.stringContaining('out of luck'),
  });
});

test('a caller may give up: before sending it was not sent, afterwards nobody knows', async () => {
  await start();
  let isHandling = false;
  answerer.transport.onRequest(() => {
    isHandling = true;
    return new Promise(() => undefined);
  });
  await expect(ask('x', AbortSignal.abort())).rejects.toMatchObject({ code: 'NOT_SENT' });
  const early = new AbortController();
  const asked = ask('y', early.signal).catch((error) => error);
  early.abort();
  expect(await asked).toMatchObject({ code: 'NOT_SENT' });
  expect(isHandling).toBe(false);
  const late = new AbortController();
  const outcome = ask('z', late.signal).catch((error) => error);
  await eventually(() => isHandling);
  late.abort();
  expect(await outcome).toMatchObject({ code: 'UNKNOWN' });
});

test('too many or too long requests are refused before they are sent', async () => {
  await start({ requestsInFlightMax: 2, requestBytesInFlightMax: 1_000_000 });
  answerer.transport.onRequest(() => new Promise(() => undefined));
  await expect(asker.transport.request(2, new Uint8Array(1_000_001))).rejects.toMatchObject({
    code: 'NOT_SENT',
  });
  const waiting = [ask('a'), ask('b')].map((asked) => asked.catch((error) => error));
  await expect(ask('c')).rejects.toMatchObject({ code: 'NOT_SENT' });
  await asker.transport.stop();
  for (const outcome of await Promise.all(waiting))
    expect(['NOT_SENT', 'UNKNOWN']).toContain(outcome.code);
});

test('the peer holds its own limits against a caller that has none', async () => {
  await start();
  const strict = fixture.member(2, { limits: { requestsInFlightMax: 1 } });
  await answerer.transport.stop();
  await asker.disconnected(2);
  await strict.start();
  await asker.connected(2);
  await eventually(() => asker.transport.send(2, 'bulk', new Uint8Array(0)));
  strict.transport.onRequest(() => new Promise(() => undefined));
  const first = ask('a').catch((error) => error);
  await expect(ask('b')).rejects.toMatchObject({ code: 'NOT_SENT' });
  await asker.transport.stop();
  expect(await first).toMatchObject({ code: 'UNKNOWN' });
});
