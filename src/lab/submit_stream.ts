import type { ChannelCredentials } from '@grpc/grpc-js';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/environment.ts';
import { ClientError, isPassingReason } from './client_error.ts';
import {
  MemberConnection,
  type RefusalMessage,
  type SubmissionMessage,
  type SubmitCall,
  type SubmitTransactionsResponse,
  type WaitLevel,
} from './node_service.ts';

export interface SubmitStreamOptions {
  /** `host:port` of members, the one to begin with first. */
  readonly addresses: readonly string[];
  readonly wait: WaitLevel;
  /** Silence after which a member is given up while batches wait: longer than an election. */
  readonly answerMsMax?: number;
  /** How long a batch may take in all before its outcome is called unknown. */
  readonly batchMsMax?: number;
}

const ANSWER_MS_MAX = 3_000;
const BATCH_MS_MAX = 60_000;
const WATCH_INTERVAL_MS = 100;
const RETRY_PAUSE_MS_MIN = 10;
const RETRY_PAUSE_MS_MAX = 50;

/** Limits of the mempool: the same transaction fits once others are in a block. */
const ROOM_REASONS = new Set(['MEMPOOL_FULL', 'SENDER_LIMIT_REACHED', 'NONCE_TOO_FAR']);
/** Passing reasons that another member may not share. */
const MEMBER_REASONS = new Set(['NOT_READY', 'FENCED', 'STOPPING']);

/** The definite answer to one transaction. */
export type SubmitAnswer =
  | { readonly kind: 'acknowledged'; readonly submission: SubmissionMessage }
  | { readonly kind: 'refused'; readonly refusal: RefusalMessage };

interface Batch {
  readonly id: number;
  readonly answers: (SubmitAnswer | undefined)[];
  readonly transactions: readonly Uint8Array[];
  readonly startedAtMs: number;
  readonly resolve: (answers: SubmitAnswer[]) => void;
  readonly reject: (error: ClientError) => void;
  /** Positions in the request on its way; undefined while the batch waits to be sent again. */
  sent: { readonly positions: readonly number[]; readonly atMs: number } | undefined;
  retries: number;
}

/**
 * A stream of batches to one member at a time. When the member dies, falls silent or cannot serve,
 * whatever has no definite answer goes to the next one, the same bytes: the cluster knows a
 * transaction by its hash, so nothing happens twice.
 */
export class SubmitStream {
  readonly #options: Required<SubmitStreamOptions>;
  readonly #clock: Clock;
  readonly #connections: readonly MemberConnection[];
  readonly #batches = new Map<number, Batch>();
  #current = 0;
  #call: SubmitCall | undefined;
  #nextId = 1;
  #failuresInARow = 0;
  #closed = false;
  #stopWatching: () => void = () => undefined;

  constructor(
    options: SubmitStreamOptions & { readonly credentials: ChannelCredentials },
    clock: Clock,
  ) {
    assert(options.addresses.length > 0, 'a stream needs an address');
    this.#options = { answerMsMax: ANSWER_MS_MAX, batchMsMax: BATCH_MS_MAX, ...options };
    this.#clock = clock;
    this.#connections = options.addresses.map(
      (address) => new MemberConnection(address, options.credentials),
    );
    this.#watch();
  }

  /** The member that the stream is open to, or tries to be. */
  get address(): string {
    return this.#connection.address;
  }

  /**
   * Resolves once each transaction has a definite answer, in their order. Limit the batches in flight: the
   * stream itself does not. Rejects with OUTCOME_UNKNOWN after `batchMsMax`, and with CLOSED.
   */
  submit(transactions: readonly Uint8Array[]): Promise<SubmitAnswer[]> {
    if (this.#closed) return Promise.reject(new ClientError('CLOSED', 'the stream is closed'));
    return new Promise((resolve, reject) => {
      const batch: Batch = {
        id: this.#nextId,
        answers: transactions.map(() => undefined),
        transactions,
        startedAtMs: this.#clock.monotonicMs(),
        resolve,
        reject,
        sent: undefined,
        retries: 0,
      };
      this.#nextId += 1;
      this.#batches.set(batch.id, batch);
      this.#send(batch);
    });
  }

  close(): void {
    this.#closed = true;
    this.#stopWatching();
    this.#call?.cancel();
    this.#call = undefined;
    for (const connection of this.#connections) connection.close();
    for (const batch of this.#batches.values())
      batch.reject(new ClientError('CLOSED', 'the stream was closed before an answer came'));
    this.#batches.clear();
  }

  get #connection(): MemberConnection {
    const connection = this.#connections[this.#current % this.#connections.length];
    assert(connection !== undefined, 'there is a connection for each address');
    return connection;
  }

  #send(batch: Batch): void {
    const call = this.#openCall();
    const positions = [...batch.transactions.keys()].filter(
      (position) => batch.answers[position] === undefined,
    );
    batch.sent = { positions, atMs: this.#clock.monotonicMs() };
    call.write({
      id: batch.id,
      transactions: positions.map((position) => batch.transactions[position] as Uint8Array),
      wait: this.#options.wait,
    });
  }

  #openCall(): SubmitCall {
    if (this.#call !== undefined) return this.#call;
    const call = this.#connection.submitTransactions();
    this.#call = call;
    call.on('data', (response: SubmitTransactionsResponse) => {
      if (this.#call === call) this.#answered(response);
    });
    call.on('error', () => this.#lost(call));
    call.on('end', () => this.#lost(call));
    return call;
  }

  /** The member is gone or of no use: everything unanswered goes to the next. */
  #lost(call: SubmitCall): void {
    if (this.#call !== call || this.#closed) return;
    this.#call = undefined;
    call.cancel();
    this.#current += 1;
    this.#failuresInARow += 1;
    const allFailed = this.#failuresInARow >= this.#connections.length;
    for (const batch of this.#batches.values()) {
      if (batch.sent === undefined) continue;
      batch.sent = undefined;
      if (allFailed) this.#sendLater(batch);
      else this.#send(batch);
    }
  }

  #answered(response: SubmitTransactionsResponse): void {
    this.#failuresInARow = 0;
    const batch = this.#batches.get(response.id);
    if (batch?.sent === undefined) return;
    const { positions } = batch.sent;
    batch.sent = undefined;
    let memberIsOfNoUse = false;
    for (const [order, position] of positions.entries()) {
      const result = response.results[order];
      const refusal = response.refusal ?? result?.refusal;
      if (result?.submission !== undefined && refusal === undefined)
        batch.answers[position] = { kind: 'acknowledged', submission: result.submission };
      else if (refusal !== undefined && !isWorthAnotherTry(refusal))
        batch.answers[position] = { kind: 'refused', refusal };
      else if (refusal !== undefined && MEMBER_REASONS.has(refusal.reason)) memberIsOfNoUse = true;
    }
    const answers = batch.answers.filter((answer) => answer !== undefined);
    if (answers.length === batch.transactions.length) {
      this.#batches.delete(batch.id);
      batch.resolve(answers);
      return;
    }
    this.#sendLater(batch);
    if (memberIsOfNoUse && this.#call !== undefined) this.#lost(this.#call);
  }

  #sendLater(batch: Batch): void {
    const delayMs = Math.min(RETRY_PAUSE_MS_MIN * 2 ** batch.retries, RETRY_PAUSE_MS_MAX);
    batch.retries += 1;
    this.#clock.schedule(delayMs, () => {
      const isWaiting = this.#batches.get(batch.id) === batch && batch.sent === undefined;
      if (isWaiting && !this.#closed) this.#send(batch);
    });
  }

  /** Finds members that are silent (paused, cut off) and batches that took too long. */
  #watch(): void {
    this.#stopWatching = this.#clock.schedule(WATCH_INTERVAL_MS, () => {
      const nowMs = this.#clock.monotonicMs();
      for (const batch of this.#batches.values()) {
        if (nowMs - batch.startedAtMs < this.#options.batchMsMax) continue;
        this.#batches.delete(batch.id);
        batch.reject(
          new ClientError(
            'OUTCOME_UNKNOWN',
            `no definite answer in ${this.#options.batchMsMax} ms`,
          ),
        );
      }
      const isSilent = [...this.#batches.values()].some(
        ({ sent }) => sent !== undefined && nowMs - sent.atMs > this.#options.answerMsMax,
      );
      if (isSilent && this.#call !== undefined) this.#lost(this.#call);
      this.#watch();
    });
  }
}

function isWorthAnotherTry(refusal: RefusalMessage): boolean {
  return isPassingReason(refusal.reason) || ROOM_REASONS.has(refusal.reason);
}
