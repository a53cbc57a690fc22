import { encodeOutcome } from '../types/outcome.ts';
import { type Backend, type ExecutedBlock, ExecutionQueue } from './block_executor.ts';
import { ExecutionSession } from './execution_session.ts';
import type { BlockRequest } from './executor.ts';
import type { StateReader } from './state_reader.ts';

/** Executes on the caller's own thread. */
export class InlineExecutor extends ExecutionQueue {
  constructor(
    options: { cacheBytesMax: number; requestsMax: number },
    dependencies: { state: StateReader },
  ) {
    const session = new ExecutionSession(options, { reader: dependencies.state });
    super(options, { backend: inlineBackend(session) });
  }
}

/** Executes a block in a session and sums up its outcome. */
export async function executeInSession(
  session: ExecutionSession,
  request: BlockRequest,
): Promise<ExecutedBlock> {
  const outcome = await session.executeBlock(request);
  const { height, blockId, gasUsed, receiptsRoot, logsBloom } = outcome;
  const encodedOutcome = encodeOutcome(outcome);
  return { height, blockId, gasUsed, receiptsRoot, logsBloom, encodedOutcome };
}

function inlineBackend(session: ExecutionSession): Backend {
  return {
    start: async () => {},
    stop: async () => {},
    executeBlock: (request) => executeInSession(session, request),
    call: (request, context) => session.call(request, context),
    estimateGas: (request, context) => session.estimateGas(request, context),
    applied: (height, blockId) => session.applied(height, blockId),
    reset: (height) => session.reset(height),
  };
}
