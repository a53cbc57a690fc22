import { Worker } from 'node:worker_threads';
import { assert } from '../lib/assert.ts';
import { copyBytes } from '../lib/bytes.ts';
import type { Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import type { Hash, Height } from '../types/primitives.ts';
import type { BlockContext } from './block_context.ts';
import { type Backend, type ExecutedBlock, ExecutionQueue } from './block_executor.ts';
import type { CallRequest, CallResult, GasEstimate } from './call.ts';
import { ExecutionError } from './execution_error.ts';
import type { BlockRequest } from './executor.ts';
import type {
  FromWorker,
  StateAnswer,
  StateQuestion,
  ToWorker,
  WorkerAnswer,
  WorkerOptions,
  WorkerRequest,
} from './executor_messages.ts';
import {
  packAccounts,
  packAddresses,
  packBytes,
  unpackAddresses,
  unpackSlotKeys,
} from './packing.ts';
import type { StateReader } from './state_reader.ts';

export interface ExecutorThreadOptions {
  /** Heap that values kept between blocks may take, about. */
  readonly cacheBytesMax: number;
  /** Requests that wait, at most. */
  readonly requestsMax: number;
}

export interface ExecutorThreadDependencies {
  /** Asked on the owner's thread, in batches of at most READ_BATCH_KEYS_MAX keys. */
  readonly state: StateReader;
  readonly logger: Logger;
  /** Opens the thread. */
  readonly openWorker?: (options: WorkerOptions) => Worker;
}

/** Executes in a worker thread. One that dies fails its request and is replaced for the next. */
export class ExecutorThread extends ExecutionQueue {
  constructor(options: ExecutorThreadOptions, dependencies: ExecutorThreadDependencies) {
    super(options, { backend: new WorkerBackend(options, dependencies) });
  }
}

/** The thread of executor_worker.ts. */
export function openExecutorWorker(options: WorkerOptions): Worker {
  return new Worker(new URL('./executor_worker.ts', import.meta.url), { workerData: options });
}

interface Pending {
  readonly id: number;
  resolve(answer: WorkerAnswer): void;
  reject(error: ExecutionError): void;
}

class WorkerBackend implements Backend {
  readonly #options: WorkerOptions;
  readonly #state: StateReader;
  readonly #logger: Logger;
  readonly #openWorker: (options: WorkerOptions) => Worker;
  #worker: Promise<Worker> | undefined;
  /** The queue sends one request at a time. */
  #pending: Pending | undefined;
  #nextId = 1;
  #stopping = false;

  constructor(options: ExecutorThreadOptions, dependencies: ExecutorThreadDependencies) {
    this.#options = { cacheBytesMax: options.cacheBytesMax };
    this.#state = dependencies.state;
    this.#logger = dependencies.logger;
    this.#openWorker = dependencies.openWorker ?? openExecutorWorker;
  }

  async start(): Promise<void> {
    this.#stopping = false;
    await this.#running();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const opening = this.#worker;
    this.#worker = undefined;
    this.#fail(new ExecutionError('STOPPED', 'the executor has stopped'));
    const worker = await opening?.catch(() => undefined);
    await worker?.terminate();
  }

  executeBlock(request: BlockRequest): Promise<ExecutedBlock> {
    const { transactions } = request;
    const [blockId, context] = [copyBytes(request.blockId), ownContext(request.context)];
    const raws = packBytes(transactions.map(({ raw }) => raw));
    const senders = packAddresses(transactions.map(({ sender }) => sender));
    return this.#ask({ type: 'executeBlock', block: { blockId, context, raws, senders } }, [
      raws.bytes.buffer as ArrayBuffer,
      raws.lengths.buffer as ArrayBuffer,
      senders.buffer as ArrayBuffer,
    ]);
  }

  call(request: CallRequest, context: BlockContext): Promise<CallResult> {
    return this.#ask({ type: 'call', request, context: ownContext(context) });
  }

  estimateGas(request: CallRequest, context: BlockContext): Promise<GasEstimate> {
    return this.#ask({ type: 'estimateGas', request, context: ownContext(context) });
  }

  applied(height: Height, blockId: Hash): void {
    this.#announce({ type: 'applied', height, blockId: copyBytes(blockId) });
  }

  reset(height: Height): void {
    this.#announce({ type: 'reset', height });
  }

  /** A worker opened later begins without a cache and needs no announcement. */
  #announce(message: ToWorker): void {
    void this.#worker?.then(
      (worker) => worker.postMessage(message),
      () => undefined,
    );
  }

  async #ask<Answer extends WorkerAnswer>(
    request: WorkerRequest,
    transfer: ArrayBuffer[] = [],
  ): Promise<Answer> {
    const worker = await this.#running();
    assert(this.#pending === undefined, 'the worker takes one request at a time');
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = new Promise<WorkerAnswer>((resolve, reject) => {
      this.#pending = { id, resolve, reject };
    });
    const message: ToWorker = { type: 'request', id, request };
    worker.postMessage(message, transfer);
    return (await answer) as Answer;
  }

  #running(): Promise<Worker> {
    if (this.#stopping) throw new ExecutionError('STOPPED', 'the executor has stopped');
    this.#worker ??= this.#open();
    return this.#worker;
  }

  #open(): Promise<Worker> {
    const worker = this.#openWorker(this.#options);
    const { promise, resolve, reject } = Promise.withResolvers<Worker>();
    const lose = (reason: string): void => {
      const error = new ExecutionError('WORKER_FAILED', `the executor's thread ended: ${reason}`);
      reject(error);
      if (this.#worker !== promise) return;
      this.#worker = undefined;
      this.#logger.error({ reason }, 'executor_thread_lost');
      this.#fail(error);
    };
    worker.on('error', (thrown) => lose(errorText(thrown)));
    worker.on('exit', (exitCode) => lose(`exit code ${exitCode}`));
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') resolve(worker);
      else this.#receive(worker, message);
    });
    return promise;
  }

  #receive(worker: Worker, message: Exclude<FromWorker, { type: 'ready' }>): void {
    if (message.type === 'ask') {
      void this.#answer(worker, message.id, message.question);
      return;
    }
    const pending = this.#pending;
    if (pending?.id !== message.id) return;
    this.#pending = undefined;
    if (message.type === 'done') pending.resolve(message.answer);
    else pending.reject(new ExecutionError(message.code, message.message));
  }

  async #answer(worker: Worker, id: number, question: StateQuestion): Promise<void> {
    let answer: StateAnswer;
    try {
      answer = await answerFrom(this.#state, question);
    } catch (thrown) {
      answer = { kind: 'failed', message: `cannot read state: ${errorText(thrown)}` };
    }
    const message: ToWorker = { type: 'state', id, answer };
    worker.postMessage(message);
  }

  #fail(error: ExecutionError): void {
    this.#pending?.reject(error);
    this.#pending = undefined;
  }
}

/** Its bytes may be views into a whole block, all of which a message would copy. */
function ownContext(context: BlockContext): BlockContext {
  const { coinbase, prevRandao } = context;
  return { ...context, coinbase: copyBytes(coinbase), prevRandao: copyBytes(prevRandao) };
}

async function answerFrom(state: StateReader, question: StateQuestion): Promise<StateAnswer> {
  switch (question.kind) {
    case 'accounts': {
      const accounts = await state.accounts(unpackAddresses(question.addresses));
      return { kind: 'accounts', accounts: packAccounts(accounts) };
    }
    case 'slots':
      return {
        kind: 'slots',
        values: packBytes(await state.slots(unpackSlotKeys(question.keys))),
      };
    case 'code':
      return { kind: 'code', code: copyBytes(await state.code(question.codeHash)) };
    case 'blockHash': {
      const hash = await state.blockHash(question.height);
      return { kind: 'blockHash', hash: hash && copyBytes(hash) };
    }
  }
}
