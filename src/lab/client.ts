import type { ChannelCredentials } from '@grpc/grpc-js';
import { assert } from '../lib/assert.ts';
import { bytesToBigInt } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import { type Commit, decodeHeader, type Header } from '../types/block.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import { ClientError, isPassing } from './client_error.ts';
import {
  type BlockMessage,
  type CallMessage,
  type Consistency,
  MemberConnection,
  type NodeMethod,
  type NodeMethods,
  type ProofMessage,
  type ReceiptMessage,
  type StatusMessage,
  type SubmissionMessage,
  type WaitLevel,
} from './node_service.ts';

export interface ClientOptions {
  /** `host:port` of members' service Node, any of them. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  /** How long one member may take to answer before another is asked. */
  readonly attemptMsMax?: number;
  /** How long a request may take in all. */
  readonly requestMsMax?: number;
}

const ATTEMPT_MS_MAX = 3_000;
const REQUEST_MS_MAX = 15_000;
/** Pause after every member was asked in vain. */
const ROUND_PAUSE_MS = 50;

export interface AccountAnswer {
  readonly height: Height;
  readonly nonce: bigint;
  /** Wei. */
  readonly balance: bigint;
  readonly codeHash: Hash;
  readonly pendingNonce: bigint;
}

/** A block as a member served it; nothing is verified yet but the form. */
export interface ServedBlock {
  readonly id: Hash;
  readonly header: Header;
  readonly encodedHeader: Uint8Array;
  /** Certificate of this block; the genesis block has none. */
  readonly commit: Commit | undefined;
  readonly transactionHashes: readonly Hash[];
  /** EIP-2718 bytes; empty unless asked for. */
  readonly transactions: readonly Uint8Array[];
}

/**
 * Client of the service Node: asks any member, and another one when that does not answer. Every method
 * rejects with a ClientError. Requests are repeated only where that is harmless, and all of them are.
 */
export class NodeClient {
  readonly #connections: readonly MemberConnection[];
  readonly #attemptMsMax: number;
  readonly #requestMsMax: number;
  readonly #clock: Clock;
  #preferred = 0;
  #closed = false;

  constructor(options: ClientOptions, clock: Clock) {
    assert(options.addresses.length > 0, 'a client needs an address');
    this.#connections = options.addresses.map(
      (address) => new MemberConnection(address, options.credentials),
    );
    this.#attemptMsMax = options.attemptMsMax ?? ATTEMPT_MS_MAX;
    this.#requestMsMax = options.requestMsMax ?? REQUEST_MS_MAX;
    this.#clock = clock;
  }

  /** Submits one signed transaction; the same bytes again are harmless. */
  async submit(transaction: Uint8Array, wait: WaitLevel): Promise<SubmissionMessage> {
    return (await this.request('SubmitTransaction', { transaction, wait })).submission;
  }

  async account(address: Address, consistency?: Consistency): Promise<AccountAnswer> {
    const answer = await this.request('GetAccount', { address, ...read(consistency) });
    return {
      height: Number(answer.height),
      nonce: BigInt(answer.nonce),
      balance: bytesToBigInt(answer.balance),
      codeHash: answer.codeHash,
      pendingNonce: BigInt(answer.pendingNonce),
    };
  }

  async code(address: Address, consistency?: Consistency): Promise<Uint8Array> {
    return (await this.request('GetCode', { address, ...read(consistency) })).code;
  }

  /** The number in one storage slot. */
  async storage(address: Address, slot: Hash, consistency?: Consistency): Promise<bigint> {
    const answer = await this.request('GetStorage', { address, slot, ...read(consistency) });
    return bytesToBigInt(answer.value);
  }

  proof(address: Address, slots: readonly Hash[]): Promise<ProofMessage> {
    return this.request('GetProof', { address, slots });
  }

  /** A block with its transactions, or undefined when there is none. */
  async block(selector: Height | Hash | 'latest'): Promise<ServedBlock | undefined> {
    const by =
      selector === 'latest'
        ? {}
        : typeof selector === 'number'
          ? { height: selector }
          : { blockId: selector };
    const found = await orNotFound(
      this.request('GetBlock', { ...by, detail: 'TRANSACTION_DETAIL_FULL' }),
    );
    return found === undefined ? undefined : servedBlock(found.block);
  }

  /** All blocks from a height to the last, in order, as whichever member answers has them. */
  async *blocks(fromHeight: Height, consistency?: Consistency): AsyncGenerator<ServedBlock> {
    let pageToken = '';
    do {
      const page = await this.request('ListBlocks', {
        fromHeight,
        pageToken,
        detail: 'TRANSACTION_DETAIL_FULL',
        ...read(consistency),
      });
      for (const block of page.blocks) yield servedBlock(block);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }

  /** Undefined when the cluster does not know it. */
  transaction(hash: Hash): Promise<NodeMethods['GetTransaction']['response'] | undefined> {
    return orNotFound(this.request('GetTransaction', { hash }));
  }

  /** Undefined until the transaction is in an applied block. */
  async receipt(hash: Hash): Promise<ReceiptMessage | undefined> {
    return (await orNotFound(this.request('GetReceipt', { hash })))?.receipt;
  }

  call(message: CallMessage): Promise<NodeMethods['Call']['response']> {
    return this.request('Call', { message });
  }

  async estimateGas(message: CallMessage): Promise<bigint> {
    return BigInt((await this.request('EstimateGas', { message })).gas);
  }

  status(): Promise<StatusMessage> {
    return this.request('GetStatus', {});
  }

  /** One unary request with failover. */
  async request<Method extends NodeMethod>(
    method: Method,
    request: NodeMethods[Method]['request'],
  ): Promise<NodeMethods[Method]['response']> {
    const giveUpAtMs = this.#clock.monotonicMs() + this.#requestMsMax;
    for (let attempt = 1; ; attempt += 1) {
      if (this.#closed) throw new ClientError('CLOSED', 'the client is closed');
      const remainingMs = giveUpAtMs - this.#clock.monotonicMs();
      const index = this.#preferred % this.#connections.length;
      const connection = this.#connections[index];
      assert(connection !== undefined, 'there is a connection for each address');
      try {
        const attemptMs = Math.max(1, Math.min(this.#attemptMsMax, remainingMs));
        return await connection.call(method, request, attemptMs);
      } catch (thrown) {
        const isLast = this.#clock.monotonicMs() >= giveUpAtMs;
        if (!(thrown instanceof ClientError) || !isPassing(thrown) || isLast) throw thrown;
        if (this.#preferred % this.#connections.length === index) this.#preferred += 1;
        if (attempt % this.#connections.length === 0) await pause(this.#clock, ROUND_PAUSE_MS);
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
  }
}

/** Resolves after a delay of the clock. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(delayMs, resolve);
  });
}

function read(consistency: Consistency | undefined): { consistency?: Consistency } {
  return consistency === undefined ? {} : { consistency };
}

async function orNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof ClientError && thrown.status === 'NOT_FOUND') return undefined;
    throw thrown;
  }
}

function servedBlock(message: BlockMessage): ServedBlock {
  const { commit, encodedHeader } = message;
  return {
    id: message.blockId,
    header: decodeHeader(encodedHeader),
    encodedHeader,
    commit: commit === null ? undefined : { ...commit, height: Number(commit.height) },
    transactionHashes: message.transactionHashes,
    transactions: message.transactions,
  };
}
