import { type ServiceError, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { NodeError } from '../../../src/types/node_error.ts';
import type { Refusal, RefusalCode, SubmitResult } from '../../../src/types/submission.ts';
import {
  failure,
  type Message,
  settle,
  startApi,
  streamFailure,
  take,
  unchanging,
  until,
} from './api_fixture.ts';
import { filled, hashOf } from './memory_backend.ts';

const RAW = Uint8Array.of(2, 1, 1);

function refused(code: RefusalCode, message = 'change it'): SubmitResult {
  return { kind: 'refused', refusal: { code, message, fields: { expectedNonce: 4 } } };
}

describe('SubmitTransaction', () => {
  test('ADMITTED answers when durable, with the hash', async () => {
    const { backend, client } = await startApi();
    const { submission } = await client.unary('SubmitTransaction', { transaction: RAW });
    expect(submission).toMatchObject({ state: 'TRANSACTION_STATE_PENDING', alreadyKnown: false });
    expect(new Uint8Array(submission.hash)).toEqual(hashOf(RAW));
    expect(submission.inclusion).toBeNull();
    expect(backend.submitted.map((raws) => raws.map((raw) => [...raw]))).toEqual([[[...RAW]]]);
  });

  test('COMMITTED waits for the final state', async () => {
    const { client } = await startApi();
    const request = { transaction: RAW, wait: 'WAIT_LEVEL_COMMITTED' };
    const { submission } = await client.unary('SubmitTransaction', request);
    expect(submission.state).toBe('TRANSACTION_STATE_INCLUDED');
    expect(submission.inclusion).toEqual({ height: 5, index: 3 });
  });

  test('a known transaction says so and what became of it', async () => {
    const { backend, client } = await startApi();
    backend.submit = async () => [
      {
        kind: 'admitted',
        hash: filled(32, 1),
        alreadyKnown: true,
        state: { state: 'replaced', by: filled(32, 2) },
      },
    ];
    const request = { transaction: RAW, wait: 'WAIT_LEVEL_COMMITTED' };
    const { submission } = await client.unary('SubmitTransaction', request);
    expect(submission).toMatchObject({ state: 'TRANSACTION_STATE_REPLACED', alreadyKnown: true });
    expect(new Uint8Array(submission.replacedBy)).toEqual(filled(32, 2));
  });

  test('an admitted transaction stays admitted when the wait for its block breaks off', async () => {
    const { backend, client } = await startApi();
    backend.committed = async () => {
      throw new NodeError('FENCED', 'this member is fenced');
    };
    const request = { transaction: RAW, wait: 'WAIT_LEVEL_COMMITTED' };
    const { submission } = await client.unary('SubmitTransaction', request);
    expect(submission.state).toBe('TRANSACTION_STATE_PENDING');
  });
});

describe('every refusal has its status, as a call and in a batch', () => {
  const cases: [RefusalCode, status][] = [
    ['MALFORMED_TRANSACTION', status.INVALID_ARGUMENT],
    ['UNSUPPORTED_TRANSACTION_TYPE', status.INVALID_ARGUMENT],
    ['TRANSACTION_TOO_LARGE', status.INVALID_ARGUMENT],
    ['WRONG_CHAIN_ID', status.INVALID_ARGUMENT],
    ['INVALID_SIGNATURE', status.INVALID_ARGUMENT],
    ['GAS_LIMIT_TOO_LOW', status.INVALID_ARGUMENT],
    ['GAS_LIMIT_TOO_HIGH', status.INVALID_ARGUMENT],
    ['FEE_INVALID', status.INVALID_ARGUMENT],
    ['NONCE_TOO_LOW', status.FAILED_PRECONDITION],
    ['NONCE_TOO_FAR', status.FAILED_PRECONDITION],
    ['INSUFFICIENT_FUNDS', status.FAILED_PRECONDITION],
    ['FEE_TOO_LOW', status.FAILED_PRECONDITION],
    ['REPLACEMENT_UNDERPRICED', status.FAILED_PRECONDITION],
    ['MEMPOOL_FULL', status.RESOURCE_EXHAUSTED],
    ['SENDER_LIMIT_REACHED', status.RESOURCE_EXHAUSTED],
    ['OVERLOADED', status.RESOURCE_EXHAUSTED],
    ['NOT_ADMITTED', status.UNAVAILABLE],
    ['OUTCOME_UNKNOWN', status.UNAVAILABLE],
  ];
  test('and ErrorInfo names it', async () => {
    const { backend, client } = await startApi();
    for (const [code, expected] of cases) {
      backend.submit = async () => [refused(code)];
      const error = await failure(client.unary('SubmitTransaction', { transaction: RAW }));
      expect([code, error.code]).toEqual([code, expected]);
      expect(error.details).toMatchObject({
        code: expected,
        message: error.message,
        reason: code,
        domain: 'blockraft',
        metadata: { expectedNonce: '4' },
      });
      const [answer] = await exchange(client.duplex('SubmitTransactions'), [
        { id: 1, transactions: [RAW] },
      ]);
      expect(answer.results[0].refusal).toEqual({
        code: expected,
        reason: code,
        message: error.message,
        metadata: { expectedNonce: '4' },
      });
    }
  });

  test('a member that cannot answer at all says why', async () => {
    const { backend, client } = await startApi();
    for (const code of ['NO_LEADER', 'FENCED', 'NOT_READY', 'STOPPING'] as const) {
      backend.submit = () => Promise.reject(new NodeError(code, 'ask another one'));
      const error = await failure(client.unary('SubmitTransaction', { transaction: RAW }));
      expect([error.code, error.details?.reason]).toEqual([status.UNAVAILABLE, code]);
    }
  });

  test('what may be retried says so', async () => {
    const { backend, client } = await startApi();
    const messageOf = async (thrown: NodeError): Promise<string> => {
      backend.submit = async () => {
        throw thrown;
      };
      return (await failure(client.unary('SubmitTransaction', { transaction: RAW }))).message;
    };
    expect(await messageOf(new NodeError('NOT_ADMITTED', 'no leader within 2 s'))).toBe(
      'not admitted: no leader within 2 s; safe to retry',
    );
    expect(await messageOf(new NodeError('OUTCOME_UNKNOWN', 'the leader went away'))).toBe(
      'outcome unknown: the leader went away; asking for the same again is harmless',
    );
  });
});

describe('SubmitTransactions', () => {
  test('answers carry the id and one result for each transaction, and may overtake each other', async () => {
    const { backend, client } = await startApi();
    const slow = Promise.withResolvers<void>();
    const { submit } = backend;
    backend.submit = async (raws, signal) => {
      if (raws[0]?.[0] === 10) await slow.promise;
      const results = await submit(raws, signal);
      return results.map((result, position) =>
        raws[position]?.[0] === 99 ? refused('NONCE_TOO_LOW') : result,
      );
    };
    const call = client.duplex('SubmitTransactions');
    call.write({ id: 4_294_967_295, transactions: [Uint8Array.of(10)] });
    call.write({
      id: 8,
      transactions: [Uint8Array.of(20), Uint8Array.of(99), Uint8Array.of(21)],
      wait: 'WAIT_LEVEL_COMMITTED',
    });
    const [second] = await take(call, 1);
    expect(second.id).toBe(8);
    expect(second.results.map((result: Message) => result.result)).toEqual([
      'submission',
      'refusal',
      'submission',
    ]);
    expect(second.results[0].submission.inclusion).toEqual({ height: 5, index: 3 });
    expect(new Uint8Array(second.results[2].submission.hash)).toEqual(filled(32, 21));
    slow.resolve();
    const [first] = await take(call, 1);
    expect(first.id).toBe(4_294_967_295);
    expect(first.results[0].submission.state).toBe('TRANSACTION_STATE_PENDING');
    call.end();
    await ended(call);
  });

  test('a bad batch is refused alone; the stream goes on', async () => {
    const { backend, client, logger } = await startApi({ limits: { batchTransactionsMax: 2 } });
    const { submit } = backend;
    backend.submit = async (raws, signal) => {
      if (raws[0]?.[0] === 66) throw new Error('a defect');
      if (raws[0]?.[0] === 67) throw new NodeError('NOT_ADMITTED', 'no leader within 2 s');
      return submit(raws, signal);
    };
    const answers = await exchange(client.duplex('SubmitTransactions'), [
      { id: 1, transactions: [RAW, RAW, RAW] },
      { id: 2, transactions: [] },
      { id: 3, transactions: [RAW], wait: 9 },
      { id: 4, transactions: [Uint8Array.of(66)] },
      { id: 5, transactions: [Uint8Array.of(67)] },
      { id: 6, transactions: [RAW] },
    ]);
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    expect(byId.get(1).refusal).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: 'transactions must be 1 to 2 in a batch, not 3',
    });
    expect(byId.get(1).results).toEqual([]);
    expect(byId.get(2).refusal.message).toBe('transactions must be 1 to 2 in a batch, not 0');
    expect(byId.get(3).refusal.reason).toBe('INVALID_REQUEST');
    expect(byId.get(4).refusal).toMatchObject({ code: status.INTERNAL, reason: 'INTERNAL' });
    expect(byId.get(5).refusal).toMatchObject({ code: status.UNAVAILABLE, reason: 'NOT_ADMITTED' });
    expect(byId.get(6).refusal).toBeNull();
    expect(logger.events).toContain('api.call_failed');
  });

  test('with too many unanswered batches the server stops reading, and goes on when they are done', async () => {
    const { backend, client } = await startApi({ limits: { unansweredBatchesMax: 4 } });
    const gate = Promise.withResolvers<void>();
    const { submit } = backend;
    let begun = 0;
    backend.submit = async (raws, signal) => {
      begun += 1;
      await gate.promise;
      return submit(raws, signal);
    };
    const call = client.duplex('SubmitTransactions');
    const answers: Message[] = [];
    call.on('data', (answer: Message) => answers.push(answer));
    for (let id = 0; id < 200; id += 1) call.write({ id, transactions: [filled(5_000, 1)] });
    call.end();
    await until(() => begun === 4);
    await settle();
    expect(begun).toBe(4);
    gate.resolve();
    await ended(call);
    expect(answers.map((answer) => answer.id).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 200 }, (_, id) => id),
    );
  });

  test('a client that does not read its answers is not read from', async () => {
    const { backend, client } = await startApi({ limits: { unansweredBatchesMax: 4 } });
    const manyRefusals = Array.from({ length: 1000 }, (): SubmitResult => {
      const refusal: Refusal = { code: 'NONCE_TOO_LOW', message: 'm'.repeat(200), fields: {} };
      return { kind: 'refused', refusal };
    });
    let begun = 0;
    backend.submit = async (raws) => {
      begun += 1;
      return manyRefusals.slice(0, raws.length);
    };
    const call = client.duplex('SubmitTransactions');
    const transactions = Array(1000).fill(Uint8Array.of(1));
    for (let id = 0; id < 100; id += 1) call.write({ id, transactions });
    call.end();
    await take(call, 1);
    await unchanging(() => begun);
    expect(begun).toBeLessThan(60);
    await ended(call);
    expect(begun).toBe(100);
  });

  test('cancelling aborts what is under way', async () => {
    const { backend, client } = await startApi();
    let seen: AbortSignal | undefined;
    backend.submit = (_raws, signal) => {
      seen = signal;
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    };
    const call = client.duplex('SubmitTransactions');
    call.on('error', () => {});
    call.write({ id: 1, transactions: [RAW] });
    await until(() => seen !== undefined);
    call.cancel();
    await until(() => seen?.aborted === true);
  });
});

describe('deadlines and limits', () => {
  test('a deadline ends the call and aborts what is under way', async () => {
    const { backend, client } = await startApi();
    let seen: AbortSignal | undefined;
    backend.submit = (_raws, signal) => {
      seen = signal;
      return new Promise(() => {});
    };
    const error = await failure(client.unary('SubmitTransaction', { transaction: RAW }, 100));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => seen?.aborted === true);
  });

  test('an oversize message is refused and nothing else is disturbed', async () => {
    const { backend, client } = await startApi({ limits: { messageBytesMax: 10_000 } });
    const big = { transaction: filled(20_000, 1) };
    const error = await failure(client.unary('SubmitTransaction', big));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    const call = client.duplex('SubmitTransactions');
    const ending = streamFailure(call);
    call.write({ id: 1, transactions: [filled(20_000, 1)] });
    expect((await ending).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(backend.submitted).toEqual([]);
    await client.unary('SubmitTransaction', { transaction: RAW });
  });

  test('calls beyond the limit are refused until others end', async () => {
    const { backend, client } = await startApi({ limits: { streamsMax: 2 } });
    const gate = Promise.withResolvers<void>();
    const { submit } = backend;
    backend.submit = async (raws, signal) => {
      await gate.promise;
      return submit(raws, signal);
    };
    const call = client.duplex('SubmitTransactions');
    call.write({ id: 1, transactions: [RAW] });
    const single = client.unary('SubmitTransaction', { transaction: RAW });
    await settle();
    const error = await failure(client.unary('GetStatus', {}));
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(error.details).toMatchObject({
      reason: 'TOO_MANY_CALLS',
      metadata: { streamsMax: '2' },
    });
    expect((await streamFailure(client.duplex('SubmitTransactions'))).code).toBe(
      status.RESOURCE_EXHAUSTED,
    );
    gate.resolve();
    await single;
    call.end();
    await ended(call);
    await client.unary('GetStatus', {});
  });
});

/** Sends the batches, ends the stream and collects all answers. */
async function exchange(call: Message, batches: readonly object[]): Promise<Message[]> {
  const answers: Message[] = [];
  call.on('data', (answer: Message) => answers.push(answer));
  for (const batch of batches) call.write(batch);
  call.end();
  await ended(call);
  return answers;
}

/** Resolves when the stream ended with OK. */
function ended(call: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    call.on('error', (error: ServiceError) => reject(error));
    call.on('status', ({ code }: { code: status }) => {
      if (code === status.OK) resolve();
    });
    call.resume();
  });
}
