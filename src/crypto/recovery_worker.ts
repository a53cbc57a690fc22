import { parentPort } from 'node:worker_threads';
import { assert } from '../lib/assert.ts';
import { unpackAllBytes } from '../lib/packed_bytes.ts';
import { recoverTransaction } from './recovery.ts';
import { packResults, type RecoveryRequest } from './recovery_codec.ts';

// Runs in a thread of its own, started by RecoveryPool. The first message says that the native libraries loaded.

const port = parentPort;
assert(port !== null, 'recovery_worker.ts must run as a worker thread');

port.on('message', ({ id, packed }: RecoveryRequest) => {
  const response = packResults(id, unpackAllBytes(packed).map(recoverTransaction));
  port.postMessage(response, [response.records]);
});
port.postMessage('ready');
