import type { ChannelCredentials } from '@grpc/grpc-js';
import { toHex } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import type { RefusalMessage, WaitLevel } from './node_service.ts';
import { SubmitStream } from './submit_stream.ts';
import type { SignedTransaction } from './workload_transactions.ts';

export interface LoadOptions {
  /** One stream goes to each of them; a stream whose member dies goes on with the others. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly wait: WaitLevel;
  readonly batchTransactions?: number;
  readonly batchesInFlight?: number;
}

const BATCH_TRANSACTIONS = 50;
const BATCHES_IN_FLIGHT = 6;

/** A transaction that can never be admitted, and why. */
export interface RefusedTransaction {
  readonly transaction: SignedTransaction;
  readonly refusal: RefusalMessage;
}

/**
 * Submits transactions as fast as the cluster acknowledges them, and notes when each was acknowledged. All
 * of one sender go through one stream, in order.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #clock: Clock;
  readonly #transactions: readonly SignedTransaction[];
  readonly #acknowledgedAtMs: Float64Array;
  readonly #latencyMs: Float64Array;
  readonly #refused: RefusedTransaction[] = [];
  readonly #streams: SubmitStream[] = [];
  #acknowledgedCount = 0;
  #sentCount = 0;

  constructor(transactions: readonly SignedTransaction[], options: LoadOptions, clock: Clock) {
    this.#transactions = transactions;
    this.#options = options;
    this.#clock = clock;
    this.#acknowledgedAtMs = new Float64Array(transactions.length).fill(Number.NaN);
    this.#latencyMs = new Float64Array(transactions.length).fill(Number.NaN);
  }

  /** Transactions handed to a stream so far, each counted once. */
  get sentCount(): number {
    return this.#sentCount;
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  get refused(): readonly RefusedTransaction[] {
    return this.#refused;
  }

  /** Hashes that the cluster promised to keep. */
  get acknowledgedHashes(): string[] {
    return this.#transactions
      .filter((_, index) => !Number.isNaN(this.#acknowledgedAtMs[index]))
      .map(({ hash }) => hash);
  }

  /** Monotonic times of all acknowledgements, ascending. */
  get acknowledgementTimesMs(): Float64Array {
    return this.#acknowledgedAtMs.filter((atMs) => !Number.isNaN(atMs)).sort();
  }

  /** From the first submission of a transaction to its acknowledgement, ascending. */
  get latenciesMs(): Float64Array {
    return this.#latencyMs.filter((latencyMs) => !Number.isNaN(latencyMs)).sort();
  }

  /** Resolves when every transaction has its answer. Rejects with a ClientError; call once. */
  async run(): Promise<void> {
    const queues = this.#queues();
    try {
      await Promise.all(queues.map((queue, index) => this.#drain(queue, index)));
    } finally {
      this.stop();
    }
  }

  /** Ends the streams; a run that is under way rejects. */
  stop(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.length = 0;
  }

  /** Indexes of the transactions of each stream. Senders go to streams in turn. */
  #queues(): number[][] {
    const queues: number[][] = this.#options.addresses.map(() => []);
    const streamOf = new Map<string, number>();
    for (const [index, { sender }] of this.#transactions.entries()) {
      const key = toHex(sender);
      const stream = streamOf.get(key) ?? streamOf.size % queues.length;
      streamOf.set(key, stream);
      queues[stream]?.push(index);
    }
    return queues;
  }

  async #drain(queue: readonly number[], streamIndex: number): Promise<void> {
    const { addresses, credentials, wait } = this.#options;
    const ordered = [...addresses.slice(streamIndex), ...addresses.slice(0, streamIndex)];
    const stream = new SubmitStream({ addresses: ordered, credentials, wait }, this.#clock);
    this.#streams.push(stream);
    const size = this.#options.batchTransactions ?? BATCH_TRANSACTIONS;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < queue.length) {
        const indexes = queue.slice(next, next + size);
        next += indexes.length;
        await this.#submit(stream, indexes);
      }
    };
    const inFlight = this.#options.batchesInFlight ?? BATCHES_IN_FLIGHT;
    await Promise.all(Array.from({ length: inFlight }, worker));
  }

  async #submit(stream: SubmitStream, indexes: readonly number[]): Promise<void> {
    const transactions = indexes.map((index) => this.#transactions[index] as SignedTransaction);
    const sentAtMs = this.#clock.monotonicMs();
    this.#sentCount += indexes.length;
    const answers = await stream.submit(transactions.map(({ raw }) => raw));
    const nowMs = this.#clock.monotonicMs();
    for (const [order, index] of indexes.entries()) {
      const answer = answers[order];
      if (answer?.kind === 'refused') {
        const transaction = transactions[order] as SignedTransaction;
        this.#refused.push({ transaction, refusal: answer.refusal });
      } else {
        this.#acknowledgedAtMs[index] = nowMs;
        this.#latencyMs[index] = nowMs - sentAtMs;
        this.#acknowledgedCount += 1;
      }
    }
  }
}
