import { Worker } from 'node:worker_threads';
import { assert } from '../lib/assert.ts';
import { copyBytes } from '../lib/bytes.ts';
import type { Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { packBytes, unpackAllBytes } from '../lib/packed_bytes.ts';
import type { Delta } from '../types/outcome.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import type { NodeReader } from './node_store.ts';
import {
  type AccountProof,
  type AppliedDelta,
  type LedgerTrie,
  type StateTrieOptions,
  WAITING_CALLS_MAX,
} from './state_trie.ts';
import { TrieError } from './trie_error.ts';
import {
  packDelta,
  type ToMain,
  type ToWorker,
  type TrieFailure,
  unpackWrites,
} from './trie_messages.ts';

interface Call<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A StateTrie in a worker thread, which asks for nodes in batches: `nodes` is read on the caller's thread. When the
 * thread dies, every open and later call is rejected with STOPPED; any rejected `apply` is fatal for the owner, since
 * no later height can be hashed.
 */
export class TrieThread implements LedgerTrie {
  readonly #options: StateTrieOptions;
  readonly #nodes: NodeReader;
  readonly #logger: Logger;
  readonly #applies = new Map<number, Call<AppliedDelta>>();
  readonly #proofs = new Map<number, Call<AccountProof>>();
  #worker: Worker | undefined;
  #nextId = 1;

  constructor(options: StateTrieOptions, dependencies: { nodes: NodeReader; logger: Logger }) {
    this.#options = options;
    this.#nodes = dependencies.nodes;
    this.#logger = dependencies.logger;
  }

  /** Resolves when the thread is ready. */
  start(): Promise<void> {
    assert(this.#worker === undefined, 'the trie thread is already running');
    const { height, root, cacheNodesMax } = this.#options;
    const workerData: StateTrieOptions = { height, root: copyBytes(root), cacheNodesMax };
    const worker = new Worker(new URL('./trie_worker.ts', import.meta.url), { workerData });
    this.#worker = worker;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    worker.on('message', (message: ToMain) => {
      if (message.type === 'ready') resolve();
      else if (this.#worker === worker) this.#receive(message);
    });
    const lose = (thrown: Error): void => {
      reject(thrown);
      if (this.#worker !== worker) return;
      this.#logger.error({ reason: errorText(thrown) }, 'the trie thread died');
      this.#close(thrown);
    };
    worker.on('error', lose);
    worker.on('exit', (exitCode) => lose(new Error(`the trie thread ended with ${exitCode}`)));
    return promise;
  }

  /** Ends the thread; open calls are rejected with STOPPED. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#close(undefined);
    await worker?.terminate();
  }

  apply(height: Height, delta: Delta): Promise<AppliedDelta> {
    const packed = packDelta(delta);
    return this.#call(this.#applies, (id) =>
      this.#send({ type: 'apply', id, height, delta: packed }, [packed]),
    );
  }

  prove(address: Address, slots: readonly Hash[]): Promise<AccountProof> {
    // Cloning a view clones all that lies behind it, so the views are copied first.
    const copies = slots.map(copyBytes);
    return this.#call(this.#proofs, (id) =>
      this.#send({ type: 'prove', id, address: copyBytes(address), slots: copies }),
    );
  }

  stored(height: Height): void {
    this.#send({ type: 'stored', height });
  }

  #call<Result>(calls: Map<number, Call<Result>>, send: (id: number) => void): Promise<Result> {
    if (this.#worker === undefined)
      return Promise.reject(new TrieError('STOPPED', 'the trie thread is not running'));
    if (calls.size >= WAITING_CALLS_MAX)
      return Promise.reject(new TrieError('OVERLOADED', 'too many calls wait for the trie'));
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    calls.set(id, { resolve, reject });
    send(id);
    return promise;
  }

  #receive(message: Exclude<ToMain, { type: 'ready' }>): void {
    switch (message.type) {
      case 'applied': {
        const { height, root, writes } = message;
        take(this.#applies, message.id)?.resolve({ height, root, writes: unpackWrites(writes) });
        return;
      }
      case 'proved':
        take(this.#proofs, message.id)?.resolve(message.proof);
        return;
      case 'failed': {
        const call = take<Call<never>>(this.#applies, message.id) ?? take(this.#proofs, message.id);
        call?.reject(errorFrom(message.failure));
        return;
      }
      case 'read':
        void this.#read(message.id, message.keys);
        return;
    }
  }

  async #read(id: number, keys: ArrayBuffer): Promise<void> {
    try {
      const values = packBytes(await this.#nodes.getMany(unpackAllBytes(keys)));
      this.#send({ type: 'nodes', id, values }, [values]);
    } catch (thrown) {
      this.#send({ type: 'nodesFailed', id, message: errorText(thrown) });
    }
  }

  #send(message: ToWorker, moved: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, moved);
  }

  #close(cause: Error | undefined): void {
    this.#worker = undefined;
    const error = new TrieError('STOPPED', 'the trie thread has stopped', { cause });
    for (const call of [...this.#applies.values(), ...this.#proofs.values()]) call.reject(error);
    this.#applies.clear();
    this.#proofs.clear();
  }
}

function take<Value>(map: Map<number, Value>, id: number): Value | undefined {
  const value = map.get(id);
  map.delete(id);
  return value;
}

function errorFrom({ code, message, fields }: TrieFailure): Error {
  return code === undefined ? new Error(message) : new TrieError(code, message, { fields });
}
