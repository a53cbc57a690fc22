import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import type { BlockExecutor, ExecutedBlock } from '../../../src/execution/block_executor.ts';
import { ExecutorThread, openExecutorWorker } from '../../../src/execution/executor_thread.ts';
import { InlineExecutor } from '../../../src/execution/inline_executor.ts';
import type { StateReader } from '../../../src/execution/state_reader.ts';
import { bytesToBigInt } from '../../../src/lib/bytes.ts';
import type { Logger } from '../../../src/lib/environment.ts';
import { decodeOutcome, encodeOutcome } from '../../../src/types/outcome.ts';
import {
  address,
  blockContext,
  blockRequest,
  bytes,
  ETHER,
  execute,
  MemoryState,
  rawTransaction,
} from './fixture.ts';

const ALICE = address(1);
/** SSTORE(0, SLOAD(0) + 1), and returns what it was. */
const COUNTER = bytes('0x5f548060010160005560005260206000f3');
const COUNTER_ADDRESS = address(2);
const OPTIONS = { cacheBytesMax: 1 << 20, requestsMax: 4 };

const logger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const running: BlockExecutor[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((executor) => executor.stop()));
});

function newState(): MemoryState {
  const state = new MemoryState();
  state.setAccount(ALICE, { balance: ETHER });
  state.setAccount(COUNTER_ADDRESS, { nonce: 1n }, COUNTER);
  return state;
}

/** A block of two calls of the counter. */
function block(height: number, nonce = BigInt(height - 1) * 2n) {
  const transactions = [nonce, nonce + 1n].map((next) => ({
    raw: rawTransaction({ nonce: next, to: COUNTER_ADDRESS }),
    sender: ALICE,
  }));
  return blockRequest(height, transactions);
}

const counterCall = {
  from: ALICE,
  to: COUNTER_ADDRESS,
  data: new Uint8Array(0),
  value: 0n,
};

const kinds = [
  ['inline', (state: StateReader) => new InlineExecutor(OPTIONS, { state })],
  ['thread', (state: StateReader) => new ExecutorThread(OPTIONS, { state, logger })],
] as const;

describe.each(kinds)('%s executor', (_, make) => {
  async function started(state: StateReader): Promise<BlockExecutor> {
    const executor = make(state);
    running.push(executor);
    await executor.start();
    return executor;
  }

  /** Executes a block, checks it against a fresh execution and applies it. */
  async function advance(executor: BlockExecutor, state: MemoryState, height: number) {
    const request = block(height);
    const expected = encodeOutcome(await execute(state, request));
    const executed = await executor.executeBlock(request);
    expect(executed.encodedOutcome).toEqual(expected);
    state.apply(decodeOutcome(executed.encodedOutcome).delta);
    return executed;
  }

  test('gives the outcome and its summary', async () => {
    const state = newState();
    const executor = await started(state);
    const executed = await executor.executeBlock(block(1));
    const outcome = await execute(state, block(1));
    const { height, blockId, gasUsed, receiptsRoot, logsBloom } = outcome;
    const encodedOutcome = encodeOutcome(outcome);
    expect(executed).toEqual({
      height,
      blockId,
      gasUsed,
      receiptsRoot,
      logsBloom,
      encodedOutcome,
    } satisfies ExecutedBlock);
  });

  test('keeps what it applied itself and reads nothing again', async () => {
    const state = newState();
    const executor = await started(state);
    await advance(executor, state, 1);
    executor.applied(1, block(1).blockId);
    const asked = { ...state.asked };
    const executed = await executor.executeBlock(block(2));
    expect(state.asked).toEqual(asked);
    expect(executed.encodedOutcome).toEqual(encodeOutcome(await execute(state, block(2))));
  });

  test('forgets what it cannot know', async () => {
    const state = newState();
    const executor = await started(state);
    await advance(executor, state, 1);
    executor.applied(1, block(1).blockId);
    // Another outcome than this executor's became state.
    const foreign = await execute(state, blockRequest(2, [...block(2).transactions].slice(0, 1)));
    state.apply(foreign.delta);
    executor.reset(2);
    const transactions = block(2, 3n).transactions;
    const request = blockRequest(3, transactions);
    const executed = await executor.executeBlock(request);
    expect(executed.encodedOutcome).toEqual(encodeOutcome(await execute(state, request)));
  });

  test('executes a height again as if for the first time', async () => {
    const state = newState();
    const executor = await started(state);
    const first = await executor.executeBlock(block(1));
    expect(await executor.executeBlock(block(1))).toEqual(first);
    const other = blockRequest(1, block(1).transactions.slice(0, 1));
    const outcome = await execute(state, other);
    expect((await executor.executeBlock(other)).encodedOutcome).toEqual(encodeOutcome(outcome));
  });

  test('a candidate that another block overtook is not kept', async () => {
    const state = newState();
    const executor = await started(state);
    await executor.executeBlock(block(1));
    const other = blockRequest(1, block(1).transactions.slice(0, 1));
    state.apply((await execute(state, other)).delta);
    executor.applied(1, new Uint8Array(32).fill(9));
    const request = blockRequest(2, block(1, 1n).transactions);
    const executed = await executor.executeBlock(request);
    expect(executed.encodedOutcome).toEqual(encodeOutcome(await execute(state, request)));
  });

  test('calls answer from applied state and disturb no block', async () => {
    const state = newState();
    const executor = await started(state);
    await advance(executor, state, 1);
    executor.applied(1, block(1).blockId);
    const count = async () =>
      bytesToBigInt((await executor.call(counterCall, blockContext(2))).output);
    const candidate = executor.executeBlock(block(2));
    const duringAndAfter = [count(), count()];
    await candidate;
    expect(await Promise.all(duringAndAfter)).toEqual([2n, 2n]);
    expect(await count()).toBe(2n);
    const estimate = await executor.estimateGas(counterCall, blockContext(2));
    expect(estimate.ok).toBe(true);
    await advance(executor, state, 2);
    executor.applied(2, block(2).blockId);
    expect(await count()).toBe(4n);
  });

  test('refuses a block that does not follow the state announced', async () => {
    const state = newState();
    const executor = await started(state);
    executor.reset(4);
    await expect(executor.executeBlock(block(4))).rejects.toMatchObject({
      code: 'HEIGHT_MISMATCH',
    });
    await expect(executor.executeBlock(block(6))).rejects.toMatchObject({
      code: 'HEIGHT_MISMATCH',
    });
  });

  test('gives nothing for a block under which the state moved', async () => {
    const state = newState();
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const slots = state.slots.bind(state);
    state.slots = async (keys) => {
      asked.resolve();
      await gate.promise;
      return slots(keys);
    };
    const executor = await started(state);
    const pending = executor.executeBlock(block(1));
    await asked.promise;
    state.apply((await execute(newState(), block(1))).delta);
    executor.applied(1, block(1).blockId);
    gate.resolve();
    await expect(pending).rejects.toMatchObject({ code: 'STATE_MOVED' });
    await advance(executor, state, 2);
  });

  test('a call under which the state moved is made again', async () => {
    const state = newState();
    const slots = state.slots.bind(state);
    let moves = 1;
    const executor = await started(state);
    state.slots = async (keys) => {
      if (moves > 0) {
        executor.reset(moves);
        moves -= 1;
      }
      return slots(keys);
    };
    expect((await executor.call(counterCall, blockContext(1))).failure).toBeUndefined();
    moves = 100;
    await expect(executor.call(counterCall, blockContext(1))).rejects.toMatchObject({
      code: 'STATE_MOVED',
    });
  });

  test('a failing state reader fails the request and no other', async () => {
    const state = newState();
    const executor = await started(state);
    const slots = state.slots.bind(state);
    state.slots = () => Promise.reject(new Error('disk gone'));
    await expect(executor.executeBlock(block(1))).rejects.toMatchObject({
      code: 'STATE_UNAVAILABLE',
    });
    await expect(executor.call(counterCall, blockContext(1))).rejects.toMatchObject({
      code: 'STATE_UNAVAILABLE',
    });
    state.slots = slots;
    await advance(executor, state, 1);
  });

  test('a broken invariant is an error of its own', async () => {
    const executor = await started(newState());
    await expect(executor.executeBlock(block(1, 9n))).rejects.toMatchObject({
      code: 'EXECUTION_FAILED',
    });
    await expect(executor.executeBlock(block(1))).resolves.toBeDefined();
  });

  test('refuses more requests than may wait, and all when it does not run', async () => {
    const state = newState();
    const executor = await started(state);
    const requests = Array.from({ length: 6 }, () => executor.executeBlock(block(1)));
    const settled = await Promise.allSettled(requests);
    const reasons = settled.flatMap((result) =>
      result.status === 'rejected' ? [result.reason.code] : [],
    );
    expect(reasons).toEqual(['OVERLOADED']);
    await executor.stop();
    await expect(executor.executeBlock(block(1))).rejects.toMatchObject({ code: 'STOPPED' });
  });
});

describe('the worker thread', () => {
  test('that dies fails its request and is replaced', async () => {
    const workers: Worker[] = [];
    const state = newState();
    const asked = Promise.withResolvers<void>();
    const slots = state.slots.bind(state);
    state.slots = async () => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    const executor = new ExecutorThread(OPTIONS, {
      state,
      logger,
      openWorker: (options) => {
        const worker = openExecutorWorker(options);
        workers.push(worker);
        return worker;
      },
    });
    running.push(executor);
    await executor.start();
    const lost = executor.executeBlock(block(1));
    const waiting = executor.executeBlock(block(1));
    await asked.promise;
    state.slots = slots;
    const failed = expect(lost).rejects.toMatchObject({ code: 'WORKER_FAILED' });
    await workers[0]?.terminate();
    await failed;
    const executed = await waiting;
    expect(executed.encodedOutcome).toEqual(encodeOutcome(await execute(state, block(1))));
    expect(workers).toHaveLength(2);
  });

  test('that is stopped rejects what it was doing', async () => {
    const state = newState();
    const asked = Promise.withResolvers<void>();
    state.slots = () => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    const executor = new ExecutorThread(OPTIONS, { state, logger });
    await executor.start();
    const lost = expect(executor.executeBlock(block(1))).rejects.toMatchObject({
      code: 'STOPPED',
    });
    const waiting = expect(executor.executeBlock(block(1))).rejects.toMatchObject({
      code: 'STOPPED',
    });
    await asked.promise;
    await executor.stop();
    await Promise.all([lost, waiting]);
  });
});
