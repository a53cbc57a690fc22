import { Worker } from 'node:worker_threads';
import { assert } from '../lib/assert.ts';
import type { Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { packBytes } from '../lib/packed_bytes.ts';
import { CryptoError } from './crypto_error.ts';
import type { RecoveryResult, SenderRecovery } from './recovery.ts';
import { type RecoveryResponse, unpackResults } from './recovery_codec.ts';

/** Transactions and bytes of one message to a worker, at most. */
const BATCH_TRANSACTIONS_MAX = 128;
const BATCH_BYTES_MAX = 1024 * 1024;
/** Messages that one worker may hold: the second waits there, so that the worker never waits for us. */
const BATCHES_IN_FLIGHT_MAX = 2;

export interface RecoveryPoolOptions {
  /** Worker threads. */
  readonly threads: number;
  /** Transactions waiting for a worker, at most; beyond that a call is refused. */
  readonly queueMax: number;
}

/** One call of `recover`, answered when its last transaction is. */
interface Call {
  readonly results: RecoveryResult[];
  remaining: number;
  readonly resolve: (results: RecoveryResult[]) => void;
  readonly reject: (error: CryptoError) => void;
}

interface Item {
  readonly raw: Uint8Array;
  readonly call: Call;
  /** Place among the results of the call. */
  readonly index: number;
}

interface Lane {
  readonly worker: Worker;
  readonly batches: Map<number, readonly Item[]>;
}

/**
 * Recovers senders in worker threads. Calls are gathered into batches: what arrives within one turn of the event loop,
 * or while all workers are busy, travels together.
 */
export class RecoveryPool implements SenderRecovery {
  readonly #options: RecoveryPoolOptions;
  readonly #logger: Logger;
  readonly #lanes = new Set<Lane>();
  #queue: Item[] = [];
  /** First item of the queue that no worker has; the ones before are spent. */
  #head = 0;
  #nextBatchId = 1;
  #scheduled = false;
  #running = false;

  constructor(options: RecoveryPoolOptions, dependencies: { logger: Logger }) {
    assert(options.threads >= 1, 'a recovery pool needs a thread');
    this.#options = options;
    this.#logger = dependencies.logger;
  }

  /** Resolves when every worker has loaded its libraries; rejects with what kept one from it. */
  async start(): Promise<void> {
    assert(!this.#running, 'the recovery pool is already running');
    this.#running = true;
    const { threads } = this.#options;
    const opened = await Promise.allSettled(
      Array.from({ length: threads }, () => this.#openLane()),
    );
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed === undefined && this.#running) return;
    await this.stop();
    throw failed?.reason ?? new CryptoError('STOPPED', 'the recovery pool stopped as it started');
  }

  /** Ends the threads; calls not answered yet are rejected with STOPPED. */
  async stop(): Promise<void> {
    this.#running = false;
    const lanes = [...this.#lanes];
    this.#lanes.clear();
    const stopped = new CryptoError('STOPPED', 'the recovery pool has stopped');
    for (const { batches } of lanes) for (const items of batches.values()) fail(items, stopped);
    fail(this.#queue.slice(this.#head), stopped);
    this.#queue = [];
    this.#head = 0;
    await Promise.all(lanes.map(({ worker }) => worker.terminate()));
  }

  /**
   * One result for each transaction, in order. Rejects as a whole only with OVERLOADED (nothing was queued),
   * STOPPED, or when a worker dies.
   */
  recover(raws: readonly Uint8Array[]): Promise<RecoveryResult[]> {
    if (!this.#running)
      return Promise.reject(new CryptoError('STOPPED', 'the recovery pool is not running'));
    if (raws.length === 0) return Promise.resolve([]);
    const waiting = this.#queue.length - this.#head;
    const { queueMax } = this.#options;
    if (waiting + raws.length > queueMax)
      return Promise.reject(
        new CryptoError('OVERLOADED', `more than ${queueMax} transactions wait; try again later`, {
          fields: { queueMax },
        }),
      );
    return new Promise((resolve, reject) => {
      const results = new Array<RecoveryResult>(raws.length);
      const call: Call = { results, remaining: raws.length, resolve, reject };
      for (const [index, raw] of raws.entries()) this.#queue.push({ raw, call, index });
      this.#schedule();
    });
  }

  /** Waits for the end of this turn of the event loop, in which more calls may come. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    for (let round = 0; round < BATCHES_IN_FLIGHT_MAX; round += 1) {
      for (const lane of this.#lanes) {
        if (lane.batches.size > round) continue;
        const items = this.#takeBatch();
        if (items.length === 0) return;
        this.#send(lane, items);
      }
    }
  }

  #takeBatch(): Item[] {
    const items: Item[] = [];
    let bytes = 0;
    // A lone batch for one worker would leave the others idle, so few transactions are dealt out evenly.
    const share = Math.ceil((this.#queue.length - this.#head) / this.#options.threads);
    const itemsMax = Math.min(BATCH_TRANSACTIONS_MAX, share);
    while (items.length < itemsMax) {
      const item = this.#queue[this.#head];
      if (item === undefined) break;
      bytes += item.raw.length;
      if (items.length > 0 && bytes > BATCH_BYTES_MAX) break;
      items.push(item);
      this.#head += 1;
    }
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return items;
  }

  #send(lane: Lane, items: readonly Item[]): void {
    const id = this.#nextBatchId;
    this.#nextBatchId += 1;
    lane.batches.set(id, items);
    const packed = packBytes(items.map(({ raw }) => raw));
    lane.worker.postMessage({ id, packed }, [packed]);
  }

  /** Resolves when the new worker is ready; from then on its death is answered by a replacement. */
  #openLane(): Promise<void> {
    const worker = new Worker(new URL('./recovery_worker.ts', import.meta.url));
    const lane: Lane = { worker, batches: new Map() };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let ready = false;
    const lose = (thrown: Error): void => {
      reject(thrown);
      if (ready) this.#loseLane(lane, thrown);
    };
    worker.on('message', (message: 'ready' | RecoveryResponse) => {
      if (message !== 'ready') return this.#receive(lane, message);
      ready = true;
      this.#lanes.add(lane);
      resolve();
    });
    worker.on('error', lose);
    worker.on('exit', (exitCode) => lose(new Error(`a recovery worker ended with ${exitCode}`)));
    return promise;
  }

  #receive(lane: Lane, response: RecoveryResponse): void {
    const items = lane.batches.get(response.id);
    if (items === undefined) return;
    lane.batches.delete(response.id);
    const results = unpackResults(response);
    assert(results.length === items.length, 'a worker must answer for its whole batch');
    for (const [place, { call, index }] of items.entries()) {
      call.results[index] = results[place] as RecoveryResult;
      call.remaining -= 1;
      if (call.remaining === 0) call.resolve(call.results);
    }
    this.#dispatch();
  }

  /** A worker fails only by a bug or for want of memory: its batches fail, another takes its place. */
  #loseLane(lane: Lane, thrown: unknown): void {
    if (!this.#lanes.delete(lane)) return;
    this.#logger.error({ reason: errorText(thrown) }, 'a recovery worker died');
    const lost = new CryptoError('STOPPED', 'the recovery worker died; submit again', {
      cause: thrown,
    });
    for (const items of lane.batches.values()) fail(items, lost);
    this.#openLane().then(
      () => (this.#running ? this.#dispatch() : this.stop()),
      (cause) => {
        this.#logger.error({ reason: errorText(cause) }, 'no recovery worker can be started');
        void this.stop();
      },
    );
  }
}

function fail(items: readonly Item[], error: CryptoError): void {
  for (const { call } of items) call.reject(error);
}
