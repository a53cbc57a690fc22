import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../lib/assert.ts';
import { errorText } from '../lib/error.ts';
import { packBytes, unpackBytes } from '../lib/packed_bytes.ts';
import type { NodeReader } from './node_store.ts';
import { StateTrie, type StateTrieOptions } from './state_trie.ts';
import { TrieError } from './trie_error.ts';
import {
  packWrites,
  type ToMain,
  type ToWorker,
  type TrieFailure,
  unpackDelta,
} from './trie_messages.ts';

// Runs in a thread of its own, started by TrieThread: a StateTrie whose nodes come over the port.

const port = parentPort;
assert(port !== null, 'trie_worker.ts must run as a worker thread');

type Values = readonly (Uint8Array | undefined)[];
const reads = new Map<
  number,
  { resolve: (values: Values) => void; reject: (error: Error) => void }
>();
let nextReadId = 1;

const nodes: NodeReader = {
  getMany: (wanted) =>
    new Promise((resolve, reject) => {
      const id = nextReadId;
      nextReadId += 1;
      reads.set(id, { resolve, reject });
      const keys = packBytes(wanted);
      send({ type: 'read', id, keys }, [keys]);
    }),
};

const trie = new StateTrie(workerData as StateTrieOptions, { nodes });

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'apply':
      return void answer(message.id, () => apply(message));
    case 'prove':
      return void answer(message.id, () => prove(message));
    case 'stored':
      return trie.stored(message.height);
    case 'nodes':
      return takeRead(message.id).resolve(unpackBytes(message.values));
    case 'nodesFailed':
      return takeRead(message.id).reject(new Error(message.message));
  }
});
send({ type: 'ready' });

async function apply({ id, height, delta }: ToWorker & { type: 'apply' }): Promise<void> {
  const applied = await trie.apply(height, unpackDelta(delta));
  const writes = packWrites(applied.writes);
  send({ type: 'applied', id, height, root: applied.root, writes }, [writes.keys, writes.values]);
}

async function prove({ id, address, slots }: ToWorker & { type: 'prove' }): Promise<void> {
  send({ type: 'proved', id, proof: await trie.prove(address, slots) });
}

async function answer(id: number, call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (thrown) {
    send({ type: 'failed', id, failure: failureFrom(thrown) });
  }
}

function takeRead(id: number) {
  const read = reads.get(id);
  assert(read !== undefined, 'an answer to a read that nobody made');
  reads.delete(id);
  return read;
}

function failureFrom(thrown: unknown): TrieFailure {
  if (!(thrown instanceof TrieError))
    return { code: undefined, message: errorText(thrown), fields: {} };
  return { code: thrown.code, message: thrown.message, fields: thrown.fields };
}

function send(message: ToMain, moved: ArrayBuffer[] = []): void {
  port?.postMessage(message, moved);
}
