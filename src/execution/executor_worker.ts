import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../lib/assert.ts';
import { asExecutionError, ExecutionError } from './execution_error.ts';
import { ExecutionSession } from './execution_session.ts';
import type {
  FromWorker,
  StateAnswer,
  StateQuestion,
  ToWorker,
  WorkerAnswer,
  WorkerOptions,
  WorkerRequest,
} from './executor_messages.ts';
import { executeInSession } from './inline_executor.ts';
import {
  packAddresses,
  packSlotKeys,
  unpackAccounts,
  unpackAddresses,
  unpackBytes,
} from './packing.ts';
import type { StateReader } from './state_reader.ts';

// Runs in a thread of its own, started by ExecutorThread, which sends one request at a time.

const port = parentPort;
assert(port !== null, 'executor_worker.ts must run as a worker thread');

type Answer<Kind extends StateAnswer['kind']> = Extract<StateAnswer, { kind: Kind }>;

const questions = new Map<number, (answer: StateAnswer) => void>();
let nextQuestion = 1;

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

async function ask<Kind extends StateQuestion['kind']>(
  question: Extract<StateQuestion, { kind: Kind }>,
): Promise<Answer<Kind>> {
  const id = nextQuestion;
  nextQuestion += 1;
  const answer = await new Promise<StateAnswer>((resolve) => {
    questions.set(id, resolve);
    send({ type: 'ask', id, question });
  });
  if (answer.kind === 'failed') throw new ExecutionError('STATE_UNAVAILABLE', answer.message);
  assert(answer.kind === question.kind, 'an answer must be of the kind of its question');
  return answer as Answer<Kind>;
}

/** The owner's state reader, asked through the port. */
const reader: StateReader = {
  accounts: async (addresses) => {
    const { accounts } = await ask({ kind: 'accounts', addresses: packAddresses(addresses) });
    return unpackAccounts(accounts);
  },
  slots: async (keys) => {
    const { values } = await ask({ kind: 'slots', keys: packSlotKeys(keys) });
    return unpackBytes(values).map((value) => value.slice());
  },
  code: async (codeHash) => (await ask({ kind: 'code', codeHash: codeHash.slice() })).code,
  blockHash: async (height) => (await ask({ kind: 'blockHash', height })).hash,
};

const session = new ExecutionSession(workerData as WorkerOptions, { reader });

function perform(request: WorkerRequest): Promise<WorkerAnswer> {
  switch (request.type) {
    case 'executeBlock': {
      const { blockId, context, raws, senders } = request.block;
      const senderList = unpackAddresses(senders);
      const transactions = unpackBytes(raws).map((raw, index) => {
        const sender = senderList[index];
        assert(sender !== undefined, 'each transaction must come with its sender');
        return { raw, sender };
      });
      return executeInSession(session, { blockId, context, transactions });
    }
    case 'call':
      return session.call(request.request, request.context);
    case 'estimateGas':
      return session.estimateGas(request.request, request.context);
  }
}

async function serve(id: number, request: WorkerRequest): Promise<void> {
  try {
    const answer = await perform(request);
    const transfer =
      'encodedOutcome' in answer ? [answer.encodedOutcome.buffer as ArrayBuffer] : [];
    send({ type: 'done', id, answer }, transfer);
  } catch (thrown) {
    const { code, message } = asExecutionError(thrown);
    send({ type: 'failed', id, code, message });
  }
}

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'request':
      void serve(message.id, message.request);
      return;
    case 'applied':
      session.applied(message.height, message.blockId);
      return;
    case 'reset':
      session.reset(message.height);
      return;
    case 'state':
      questions.get(message.id)?.(message.answer);
      questions.delete(message.id);
  }
});
send({ type: 'ready' });
