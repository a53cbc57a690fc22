import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endOf, refusalOf } from '../../../src/cluster/refusal.ts';
import { eventually, Fixture, Relay, type TestMember } from './fixture.ts';

describe('the peers of a running member', () => {
  let fixture: Fixture;

  beforeEach(async () => {
    fixture = await Fixture.open([1, 2, 3]);
  });

  afterEach(() => fixture.close());

  async function started(
    id: number,
    peers: readonly number[],
    configurationIndex?: () => number,
  ): Promise<TestMember> {
    const member = fixture.member(id, { peers, ...(configurationIndex && { configurationIndex }) });
    await member.start();
    return member;
  }

  test('may be more: a new one is dialled and let in, and the others notice nothing', async () => {
    const first = await started(1, [2]);
    const second = await started(2, [1]);
    const third = await started(3, [1, 2]);
    await Promise.all([first.connected(2), second.connected(1)]);
    await third.until(() => third.refusals.some(({ peer }) => peer === 1));
    expect(first.transport.isConnected(3)).toBe(false);

    first.transport.setPeers(fixture.addresses([2, 3]));
    await Promise.all([first.connected(3), third.connected(1)]);
    expect(third.transport.send(1, 'bulk', Buffer.from('hello'))).toBe(true);
    await first.until(() => first.messages.length === 1);
    expect(first.messages[0]).toEqual({ from: 3, payload: Buffer.from('hello') });
    expect(second.connections).toEqual([{ peer: 1, isConnected: true }]);
    expect(third.transport.isConnected(2)).toBe(false);
  });

  test('may be fewer: one that is gone is cut off at once, and told by which configuration', async () => {
    const first = await started(1, [2, 3], () => 41);
    const second = await started(2, [1, 3]);
    const third = await started(3, [1, 2]);
    await Promise.all([first.connected(2), first.connected(3), third.connected(1)]);
    await Promise.all([second.connected(1), third.connected(2)]);
    third.transport.onRequest(() => new Promise(() => undefined));
    const asked = first.transport.request(3, Buffer.from('?')).catch((thrown) => thrown);

    first.transport.setPeers(fixture.addresses([2]));
    await Promise.all([first.disconnected(3), third.disconnected(1)]);
    expect(['NOT_SENT', 'UNKNOWN']).toContain((await asked).code);
    expect(first.transport.send(3, 'control', Buffer.from('x'))).toBe(false);
    const refusal = { peer: 1, code: 'UNKNOWN_MEMBER', configurationIndex: 41 };
    await third.until(() => third.refusals.length >= 2);
    expect(third.refusals).toContainEqual(refusal);
    // It dials again, and is refused before its Hello is read.
    const before = third.refusals.length;
    await third.until(() => third.refusals.length > before);
    expect(third.refusals.at(-1)).toEqual(refusal);
    expect(first.transport.isConnected(3)).toBe(false);
    expect(third.transport.isConnected(2)).toBe(true);
    expect(second.connections.filter(({ isConnected }) => !isConnected)).toEqual([]);
    const warnings = first.logger.lines.filter(({ event }) => event === 'cluster.peer_refused');
    expect(warnings[0]?.fields).toMatchObject({ peer: 3, code: 'UNKNOWN_MEMBER' });
  });

  test('may come back', async () => {
    const first = await started(1, [2]);
    const second = await started(2, [1]);
    await Promise.all([first.connected(2), second.connected(1)]);
    first.transport.setPeers([]);
    await second.disconnected(1);
    first.transport.setPeers(fixture.addresses([2]));
    await Promise.all([first.connected(2), second.connected(1)]);
    first.transport.send(2, 'control', Buffer.from('again'));
    await second.until(() => second.messages.length === 1);
  });

  test('may move: one that has another address is dialled there', async () => {
    const first = await started(1, [2]);
    const second = await started(2, [1]);
    await Promise.all([first.connected(2), second.connected(1)]);
    const elsewhere = await Relay.listen();
    elsewhere.targetPort = second.transport.listenPort;
    try {
      const old = fixture.relay(2);
      old.targetPort = undefined;
      first.transport.setPeers([{ id: 2, host: '127.0.0.1', port: elsewhere.port }]);
      old.cut();
      await first.until(() => first.connections.length >= 3 && first.transport.isConnected(2));
      second.transport.send(1, 'control', Buffer.from('from elsewhere'));
      await first.until(() => first.messages.length === 1);
    } finally {
      await elsewhere.close();
    }
  });

  test('stay as they are when the same ones are set again', async () => {
    const first = await started(1, [2]);
    const second = await started(2, [1]);
    await Promise.all([first.connected(2), second.connected(1)]);
    first.transport.setPeers(fixture.addresses([2]));
    first.transport.send(2, 'control', Buffer.from('x'));
    await second.until(() => second.messages.length === 1);
    expect(first.connections).toEqual([{ peer: 2, isConnected: true }]);
  });

  test('may be set before the start and after the end', async () => {
    const first = fixture.member(1, { peers: [] });
    first.transport.setPeers(fixture.addresses([2]));
    await first.start();
    const second = await started(2, [1]);
    await Promise.all([first.connected(2), second.connected(1)]);
    await first.transport.stop();
    first.transport.setPeers(fixture.addresses([2, 3]));
    expect(first.transport.isConnected(3)).toBe(false);
  });

  test('never hold the member itself, nor one twice', () => {
    const first = fixture.member(1);
    expect(() => first.transport.setPeers(fixture.addresses([1, 2]))).toThrow('the other members');
    expect(() => first.transport.setPeers(fixture.addresses([2, 2]))).toThrow('the other members');
  });

  test('are told why they are refused: the clusters differ', async () => {
    const first = fixture.member(1, { peers: [2] });
    const second = fixture.member(2, { peers: [1], genesisHash: new Uint8Array(32).fill(9) });
    await Promise.all([first.start(), second.start()]);
    await eventually(() => first.refusals.length > 0 && second.refusals.length > 0);
    const expected = { code: 'WRONG_CLUSTER', configurationIndex: undefined };
    expect(first.refusals[0]).toEqual({ peer: 2, ...expected });
    expect(second.refusals[0]).toEqual({ peer: 1, ...expected });
  });
});

describe('the end of a stream', () => {
  function ended(trailers: Record<string, string>, code = status.PERMISSION_DENIED) {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
    return endOf({ code, details: 'why', metadata });
  }

  test.each(['WRONG_IDENTITY', 'UNKNOWN_MEMBER', 'WRONG_CLUSTER', 'WRONG_PROTOCOL', 'MALFORMED'])(
    'with the refusal %s is that refusal',
    (code) => {
      const error = ended({ 'blockraft-refusal': code });
      expect(error.code).toBe(code);
      expect(refusalOf(error)).toEqual({ code, configurationIndex: undefined });
    },
  );

  test.each(['DISCONNECTED', 'constructor', ''])('with the code "%s" is no refusal', (code) => {
    const error = ended({ 'blockraft-refusal': code });
    expect(error.code).toBe('DISCONNECTED');
    expect(refusalOf(error)).toBeUndefined();
  });

  test.each(['-1', '1e3', '9007199254740993', '99999999999999999999', 'x', ''])(
    'with the configuration index "%s" has none',
    (index) => {
      const trailers = {
        'blockraft-refusal': 'UNKNOWN_MEMBER',
        'blockraft-configuration-index': index,
      };
      expect(refusalOf(ended(trailers))?.configurationIndex).toBeUndefined();
    },
  );
});
