import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/lib/environment.ts';
import {
  failure,
  type Message,
  startApi,
  streamFailure,
  take,
  unchanging,
  until,
} from './api_fixture.ts';
import { filled, LOG } from './memory_backend.ts';

function heights(messages: Message[]): number[] {
  return messages.map(({ block }) => block.header.height);
}

describe('SubscribeBlocks', () => {
  test('every block from a height onwards, then live', async () => {
    const { backend, client } = await startApi();
    backend.apply(3);
    const stream = client.serverStream('SubscribeBlocks', { fromHeight: 2 });
    expect(heights(await take(stream, 2))).toEqual([2, 3]);
    const live = take(stream, 2);
    backend.apply(2);
    expect(heights(await live)).toEqual([4, 5]);
    stream.on('error', () => {});
    stream.cancel();
  });

  test('0 means the next block; details as asked for', async () => {
    const { backend, client } = await startApi();
    backend.apply(3);
    const stream = client.serverStream('SubscribeBlocks', { detail: 'TRANSACTION_DETAIL_FULL' });
    await until(() => backend.waitingCount === 1);
    const live = take(stream, 1);
    backend.apply(1);
    const [message] = await live;
    expect(message.block.header.height).toBe(4);
    expect(message.block.transactions).toHaveLength(1);
    stream.on('error', () => {});
    stream.cancel();
  });

  test('cancelling ends the wait in the backend and frees the place', async () => {
    const { backend, client } = await startApi({ limits: { subscriptionsMax: 1 } });
    const stream = client.serverStream('SubscribeBlocks', {});
    stream.on('error', () => {});
    await until(() => backend.waitingCount === 1);
    const error = await streamFailure(client.serverStream('SubscribeLogs', {}));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details?.reason).toBe('TOO_MANY_SUBSCRIPTIONS');
    stream.cancel();
    await until(() => backend.waitingCount === 0);
    const next = client.serverStream('SubscribeLogs', {});
    next.on('error', () => {});
    await until(() => backend.waitingCount === 1);
    next.cancel();
  });

  test('a subscriber that does not read is ended and told from where to go on', async () => {
    const subscriberStallMsMax = 12_345;
    const stallTimers = new Set<() => void>();
    const clock: Clock = {
      ...systemClock,
      schedule: (delayMs, callback) => {
        if (delayMs !== subscriberStallMsMax) return systemClock.schedule(delayMs, callback);
        stallTimers.add(callback);
        return () => stallTimers.delete(callback);
      },
    };
    const { backend, client } = await startApi({ limits: { subscriberStallMsMax }, clock });
    backend.transactionBytes = 1024 * 1024;
    backend.apply(300);
    let reads = 0;
    const inner = backend.block;
    backend.block = (...args) => {
      reads += 1;
      return inner(...args);
    };
    const stream = client.serverStream('SubscribeBlocks', {
      fromHeight: 1,
      detail: 'TRANSACTION_DETAIL_FULL',
    });
    const received = new Promise<Message>((resolve) => stream.on('error', resolve));
    // A client of grpc-js that has read once holds a few messages and then makes the server wait.
    await take(stream, 1);
    await unchanging(() => reads);
    const readsWhileStalled = reads;
    expect(readsWhileStalled).toBeLessThan(40);
    expect(stallTimers.size).toBe(1);
    for (const callback of stallTimers) callback();
    let last = 0;
    stream.on('data', ({ block }: Message) => {
      last = block.header.height;
    });
    stream.resume();
    const error = await failure(received.then((thrown) => Promise.reject(thrown)));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details?.reason).toBe('SUBSCRIBER_TOO_SLOW');
    expect(error.message).toBe(
      `the subscriber did not keep up; subscribe again from height ${last + 1}`,
    );
    expect(error.details?.metadata).toEqual({ nextHeight: String(last + 1) });
    expect(reads).toBe(readsWhileStalled);
  });

  test('a deadline ends it', async () => {
    const { backend, client } = await startApi();
    const stream = (client.raw as Message).SubscribeBlocks({}, { deadline: Date.now() + 100 });
    expect((await streamFailure(stream)).code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => backend.waitingCount === 0);
  });

  test('bad requests', async () => {
    const { client } = await startApi();
    const from = client.serverStream('SubscribeBlocks', { fromHeight: '9007199254740992' });
    expect(await streamFailure(from)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: 'from_height must be below 2^53',
    });
    const detail = client.serverStream('SubscribeBlocks', { detail: 5 });
    expect((await streamFailure(detail)).code).toBe(status.INVALID_ARGUMENT);
  });

  test('a failing backend ends it with its status', async () => {
    const { backend, client, logger } = await startApi();
    backend.apply(1);
    backend.block = async () => {
      throw new Error('a defect');
    };
    const stream = client.serverStream('SubscribeBlocks', { fromHeight: 1 });
    expect((await streamFailure(stream)).code).toBe(status.INTERNAL);
    expect(logger.events).toContain('api.call_failed');
  });
});

describe('SubscribeLogs', () => {
  test('only blocks with matching logs are sent, with the logs that match', async () => {
    const { backend, client } = await startApi();
    backend.apply(5);
    const stream = client.serverStream('SubscribeLogs', {
      fromHeight: 1,
      addresses: [filled(20, 1), LOG.address],
      topics: [{ anyOf: [] }, { anyOf: [filled(32, 9), filled(32, 2)] }],
    });
    const messages = await take(stream, 2);
    expect(messages.map((message) => message.height)).toEqual([2, 4]);
    const [log] = messages[0].logs;
    expect(messages[0].logs).toHaveLength(1);
    expect(log).toMatchObject({ transactionIndex: 4, logIndex: 6 });
    expect(new Uint8Array(log.data)).toEqual(LOG.data);
    expect(new Uint8Array(messages[0].blockId)).toEqual(filled(32, 2));
    stream.on('error', () => {});
    stream.cancel();
  });

  test('an empty filter takes every log, one that fits nothing takes none', async () => {
    const { backend, client } = await startApi();
    backend.apply(4);
    const all = client.serverStream('SubscribeLogs', { fromHeight: 1 });
    expect((await take(all, 1))[0].logs).toHaveLength(2);
    const none = client.serverStream('SubscribeLogs', {
      fromHeight: 1,
      addresses: [filled(20, 1)],
    });
    const received: Message[] = [];
    none.on('data', (message) => received.push(message));
    none.on('error', () => {});
    all.on('error', () => {});
    all.cancel();
    await until(() => backend.waitingCount === 1);
    expect(received).toEqual([]);
    none.cancel();
  });

  const cases: [object, string][] = [
    [{ addresses: [filled(3, 1)] }, 'addresses must be 20 bytes, not 3'],
    [{ addresses: Array(65).fill(LOG.address) }, 'addresses must be at most 64 items, not 65'],
    [{ topics: Array(5).fill({}) }, 'topics must be at most 4 items, not 5'],
    [{ topics: [{ anyOf: [filled(3, 1)] }] }, 'topics.any_of must be 32 bytes, not 3'],
    [
      { topics: [{ anyOf: Array(65).fill(filled(32, 1)) }] },
      'topics.any_of must be at most 64 items, not 65',
    ],
  ];
  test.each(cases)('bad filter %#: %s', async (request, message) => {
    const { client } = await startApi();
    expect(await streamFailure(client.serverStream('SubscribeLogs', request))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message,
    });
  });
});
