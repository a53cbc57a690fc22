import { assert } from '../lib/assert.ts';
import type { Hash, Height } from '../types/primitives.ts';
import type { BlockContext } from './block_context.ts';
import type { CallRequest, CallResult, GasEstimate } from './call.ts';
import { asExecutionError, ExecutionError } from './execution_error.ts';
import type { BlockRequest } from './executor.ts';

/** Times that a call is tried when the state moves under it. */
const CALL_ATTEMPTS_MAX = 3;

/** What the next header and the log need of an outcome; its bytes hold all of it (types/outcome.ts). */
export interface ExecutedBlock {
  readonly height: Height;
  readonly blockId: Hash;
  readonly gasUsed: bigint;
  readonly receiptsRoot: Hash;
  readonly logsBloom: Uint8Array;
  readonly encodedOutcome: Uint8Array;
}

/**
 * Executes blocks and calls, one at a time, blocks first. All rejections are ExecutionErrors, and
 * what is rejected had no effect.
 *
 * The owner must call `applied` or `reset` no later than the moment when the state reader begins to
 * answer for another height, and only then.
 */
export interface BlockExecutor {
  /** Resolves when it is ready to execute. */
  start(): Promise<void>;
  /** Rejects what is waiting with STOPPED. */
  stop(): Promise<void>;
  /** The reader must answer for the height below. */
  executeBlock(request: BlockRequest): Promise<ExecutedBlock>;
  call(request: CallRequest, context: BlockContext): Promise<CallResult>;
  estimateGas(request: CallRequest, context: BlockContext): Promise<GasEstimate>;
  /** The outcome that this executor gave for the block is now the state of the height. */
  applied(height: Height, blockId: Hash): void;
  /** The state is now that of the height, by whatever else. */
  reset(height: Height): void;
}

/** Where the queue's requests are executed; one at a time, the last two at any time. */
export interface Backend {
  start(): Promise<void>;
  stop(): Promise<void>;
  executeBlock(request: BlockRequest): Promise<ExecutedBlock>;
  call(request: CallRequest, context: BlockContext): Promise<CallResult>;
  estimateGas(request: CallRequest, context: BlockContext): Promise<GasEstimate>;
  applied(height: Height, blockId: Hash): void;
  reset(height: Height): void;
}

interface Waiting {
  /** Resolves in any case; the answer goes to whoever asked. */
  run(): Promise<void>;
  reject(error: ExecutionError): void;
}

/** Brings requests to a backend in order, and holds the state's movements against them. */
export class ExecutionQueue implements BlockExecutor {
  readonly #requestsMax: number;
  readonly #backend: Backend;
  readonly #blocks: Waiting[] = [];
  readonly #calls: Waiting[] = [];
  #running: 'block' | 'call' | undefined;
  #started = false;
  /** The height that the state reader answers for, once the owner has said so. */
  #stateHeight: Height | undefined;
  /** The last height announced while a request was running, which it therefore cannot trust. */
  #movedTo: Height | undefined;

  constructor(options: { requestsMax: number }, dependencies: { backend: Backend }) {
    this.#requestsMax = options.requestsMax;
    this.#backend = dependencies.backend;
  }

  async start(): Promise<void> {
    assert(!this.#started, 'the executor is already running');
    await this.#backend.start();
    this.#started = true;
  }

  async stop(): Promise<void> {
    this.#started = false;
    for (const waiting of [...this.#blocks.splice(0), ...this.#calls.splice(0)])
      waiting.reject(stopped());
    await this.#backend.stop();
  }

  executeBlock(request: BlockRequest): Promise<ExecutedBlock> {
    return this.#enqueue(this.#blocks, async () => {
      this.#expectParent(request.context.height - 1);
      const executed = await this.#backend.executeBlock(request);
      if (this.#movedTo === undefined) return executed;
      throw new ExecutionError(
        'STATE_MOVED',
        `the state moved to height ${this.#movedTo} while block ${executed.height} was executed`,
        { fields: { height: executed.height, movedTo: this.#movedTo } },
      );
    });
  }

  call(request: CallRequest, context: BlockContext): Promise<CallResult> {
    return this.#enqueue(this.#calls, () =>
      this.#onOneState(() => this.#backend.call(request, context)),
    );
  }

  estimateGas(request: CallRequest, context: BlockContext): Promise<GasEstimate> {
    return this.#enqueue(this.#calls, () =>
      this.#onOneState(() => this.#backend.estimateGas(request, context)),
    );
  }

  applied(height: Height, blockId: Hash): void {
    this.#moveTo(height);
    if (this.#running !== 'block') this.#backend.applied(height, blockId);
  }

  reset(height: Height): void {
    this.#moveTo(height);
    if (this.#running !== 'block') this.#backend.reset(height);
  }

  #moveTo(height: Height): void {
    this.#stateHeight = height;
    if (this.#running !== undefined) this.#movedTo = height;
  }

  #expectParent(parent: Height): void {
    if (this.#stateHeight === undefined || this.#stateHeight === parent) return;
    throw new ExecutionError(
      'HEIGHT_MISMATCH',
      `a block on height ${parent} cannot be executed: the state is at ${this.#stateHeight}`,
      { fields: { parent, stateHeight: this.#stateHeight } },
    );
  }

  async #onOneState<Answer>(run: () => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      this.#movedTo = undefined;
      const answer = await run();
      if (this.#movedTo === undefined) return answer;
      if (attempt === CALL_ATTEMPTS_MAX)
        throw new ExecutionError('STATE_MOVED', 'the state keeps moving; call again');
    }
  }

  #enqueue<Answer>(queue: Waiting[], work: () => Promise<Answer>): Promise<Answer> {
    if (!this.#started) return Promise.reject(stopped());
    if (this.#blocks.length + this.#calls.length >= this.#requestsMax)
      return Promise.reject(
        new ExecutionError(
          'OVERLOADED',
          `${this.#requestsMax} requests wait for execution already; try again later`,
          { fields: { requestsMax: this.#requestsMax } },
        ),
      );
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (thrown) {
          reject(asExecutionError(thrown));
        }
      };
      queue.push({ run, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const block = this.#blocks.shift();
    const waiting = block ?? this.#calls.shift();
    if (waiting === undefined) return;
    this.#running = block === undefined ? 'call' : 'block';
    void waiting.run().then(() => this.#finish());
  }

  #finish(): void {
    // What a block read while the state moved under it must not stay in any cache.
    if (this.#running === 'block' && this.#movedTo !== undefined)
      this.#backend.reset(this.#movedTo);
    this.#running = undefined;
    this.#movedTo = undefined;
    this.#next();
  }
}

function stopped(): ExecutionError {
  return new ExecutionError('STOPPED', 'the executor is not running');
}
