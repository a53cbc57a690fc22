import { credentials, type ServerDuplexStream, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { NodeClient } from '../../../src/lab/client.ts';
import { ClientError } from '../../../src/lab/client_error.ts';
import { Load } from '../../../src/lab/load.ts';
import type {
  SubmitTransactionsRequest,
  SubmitTransactionsResponse,
} from '../../../src/lab/node_service.ts';
import { SubmitStream } from '../../../src/lab/submit_stream.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import { type ScriptedNode, startNode, statusWith } from './node_server.ts';

type Stream = ServerDuplexStream<SubmitTransactionsRequest, SubmitTransactionsResponse>;
type Answer = { submission?: object; refusal?: object };

const channel = credentials.createInsecure();
const running: { stop(): void }[] = [];
const closing: { close(): void }[] = [];

afterEach(() => {
  for (const thing of closing.splice(0)) thing.close();
  for (const node of running.splice(0)) node.stop();
});

async function node(methods: Parameters<typeof startNode>[0], port = 0): Promise<ScriptedNode> {
  const started = await startNode(methods, port);
  running.push(started);
  return started;
}

/** A member whose stream answers each transaction with what the function says. */
function streamNode(
  answer: (transaction: number) => Answer | 'hang' | 'die',
): Promise<ScriptedNode> {
  return node({
    SubmitTransactions: (stream: Stream) => {
      stream.on('error', () => undefined);
      stream.on('end', () => stream.end());
      stream.on('data', (request: SubmitTransactionsRequest) => {
        const answers = request.transactions.map((bytes) => answer(bytes[0] ?? 0));
        if (answers.includes('hang')) return;
        if (answers.includes('die')) stream.emit('error', { code: status.UNAVAILABLE });
        else
          stream.write({
            id: request.id,
            results: answers as unknown as SubmitTransactionsResponse['results'],
            refusal: null,
          });
      });
    },
  });
}

const ADMITTED: Answer = { submission: { state: 'TRANSACTION_STATE_PENDING' } };
const refusal = (reason: string): Answer => ({ refusal: { code: 9, reason, message: 'no' } });
const unused = async (): Promise<string> => {
  const started = await startNode({});
  started.stop();
  return started.address;
};

function stream(addresses: string[], answerMsMax = 2_000): SubmitStream {
  const opened = new SubmitStream(
    { addresses, credentials: channel, wait: 'WAIT_LEVEL_ADMITTED', answerMsMax },
    systemClock,
  );
  closing.push(opened);
  return opened;
}

const batch = (...numbers: number[]): Uint8Array[] => numbers.map((n) => Uint8Array.of(n));

describe('requests', () => {
  const account = (_: unknown, callback: sendUnaryData<object>): void =>
    callback(null, { height: 7, nonce: 3, balance: Uint8Array.of(1, 0), pendingNonce: 4 });

  function client(addresses: string[], requestMsMax = 5_000): NodeClient {
    const opened = new NodeClient({ addresses, credentials: channel, requestMsMax }, systemClock);
    closing.push(opened);
    return opened;
  }

  test('another member is asked when one is gone', async () => {
    const alive = await node({ GetAccount: account });
    const answer = await client([await unused(), alive.address]).account(new Uint8Array(20));
    expect(answer).toMatchObject({ height: 7, nonce: 3n, balance: 256n, pendingNonce: 4n });
  });

  test('a passing refusal is asked again, the reason of a lasting one is kept', async () => {
    let calls = 0;
    const alive = await node({
      GetAccount: (call: unknown, callback: sendUnaryData<object>) => {
        calls += 1;
        if (calls < 3) callback(statusWith(status.UNAVAILABLE, 'NO_LEADER', 'voting') as never);
        else account(call, callback);
      },
      SubmitTransaction: (_: unknown, callback: sendUnaryData<object>) =>
        callback(statusWith(status.INVALID_ARGUMENT, 'WRONG_CHAIN_ID', 'use 7') as never),
    });
    const asked = client([alive.address]);
    expect((await asked.account(new Uint8Array(20))).height).toBe(7);
    const error = await asked.submit(Uint8Array.of(1), 'WAIT_LEVEL_ADMITTED').catch((e) => e);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({
      code: 'REFUSED',
      reason: 'WRONG_CHAIN_ID',
      status: 'INVALID_ARGUMENT',
      message: 'use 7',
    });
  });

  test('nobody there is UNREACHABLE after the deadline', async () => {
    const error = await client([await unused()], 200)
      .status()
      .catch((e) => e);
    expect(error).toMatchObject({ code: 'UNREACHABLE' });
  });

  test('what does not exist is undefined', async () => {
    const alive = await node({
      GetReceipt: (_: unknown, callback: sendUnaryData<object>) =>
        callback(statusWith(status.NOT_FOUND, 'RECEIPT_NOT_FOUND', 'none') as never),
    });
    expect(await client([alive.address]).receipt(new Uint8Array(32))).toBeUndefined();
  });
});

describe('the submit stream', () => {
  test('each transaction gets its definite answer, in order', async () => {
    const alive = await streamNode((n) => (n === 2 ? refusal('FEE_TOO_LOW') : ADMITTED));
    const answers = await stream([alive.address]).submit(batch(1, 2, 3));
    expect(answers.map(({ kind }) => kind)).toEqual(['acknowledged', 'refused', 'acknowledged']);
  });

  test('only what was refused for a passing reason is sent again', async () => {
    const seen: number[] = [];
    const alive = await streamNode((n) => {
      seen.push(n);
      return n === 2 && seen.length < 6 ? refusal('NO_LEADER') : ADMITTED;
    });
    const answers = await stream([alive.address]).submit(batch(1, 2, 3));
    expect(answers.every(({ kind }) => kind === 'acknowledged')).toBe(true);
    expect(seen).toEqual([1, 2, 3, 2, 2, 2]);
  });

  test('what a dying member left unanswered goes to the next', async () => {
    const dying = await streamNode(() => 'die');
    const alive = await streamNode(() => ADMITTED);
    const opened = stream([dying.address, alive.address]);
    const batches = await Promise.all([opened.submit(batch(1)), opened.submit(batch(2, 3))]);
    expect(batches.flat().every(({ kind }) => kind === 'acknowledged')).toBe(true);
    expect(opened.address).toBe(alive.address);
  });

  test('a silent member is given up', async () => {
    const silent = await streamNode(() => 'hang');
    const alive = await streamNode(() => ADMITTED);
    const answers = await stream([silent.address, alive.address], 150).submit(batch(1));
    expect(answers[0]?.kind).toBe('acknowledged');
  });

  test('it goes on when the only member comes back', async () => {
    const first = await streamNode(() => 'hang');
    const opened = stream([first.address]);
    const answer = opened.submit(batch(1));
    first.stop();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await node(
      {
        SubmitTransactions: (call: Stream) => {
          call.on('error', () => undefined);
          call.on('data', ({ id }: SubmitTransactionsRequest) =>
            call.write({ id, results: [ADMITTED as never], refusal: null }),
          );
        },
      },
      Number(first.address.split(':')[1]),
    );
    expect((await answer)[0]?.kind).toBe('acknowledged');
  });

  test('closing rejects what waits', async () => {
    const silent = await streamNode(() => 'hang');
    const opened = stream([silent.address]);
    const answer = opened.submit(batch(1));
    opened.close();
    await expect(answer).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(opened.submit(batch(2))).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('a load', () => {
  test('every transaction is acknowledged once, in the order of its sender', async () => {
    const seen: number[] = [];
    const nodes = await Promise.all(
      [1, 2, 3].map(() =>
        streamNode((n) => {
          seen.push(n);
          return ADMITTED;
        }),
      ),
    );
    const transactions = Array.from({ length: 200 }, (_, index) => ({
      raw: Uint8Array.of(index),
      hash: String(index),
      sender: Uint8Array.of(index % 5),
      operation: undefined,
    }));
    const load = new Load(
      transactions,
      {
        addresses: nodes.map(({ address }) => address),
        credentials: channel,
        wait: 'WAIT_LEVEL_ADMITTED',
        batchTransactions: 7,
      },
      systemClock,
    );
    await load.run();
    expect(load.acknowledgedCount).toBe(200);
    expect(load.acknowledgedHashes.length).toBe(200);
    expect(load.latenciesMs.length).toBe(200);
    expect([...seen].sort((a, b) => a - b)).toEqual(transactions.map((_, index) => index));
    for (let sender = 0; sender < 5; sender += 1) {
      const own = seen.filter((n) => n % 5 === sender);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });
});
