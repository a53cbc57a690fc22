import type { BlockContext } from '../execution/block_context.ts';
import type { BlockExecutor } from '../execution/block_executor.ts';
import type { CallFailure, CallRequest } from '../execution/call.ts';
import { ExecutionError } from '../execution/execution_error.ts';
import { callContext } from '../leader/block_context.ts';
import type { Chain } from '../ledger/chain.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { toPrefixedHex } from '../lib/bytes.ts';
import type { Genesis } from '../types/genesis.ts';
import { NodeError } from '../types/node_error.ts';
import type { Answer, CallResult } from '../types/views.ts';

/** Blocks may come while a call runs; it starts anew then. */
const ATTEMPTS_MAX = 5;

/** Messages executed on the state after the last block, of which nothing is kept. */
export class Calls {
  readonly #genesis: Genesis;
  readonly #executor: BlockExecutor;
  readonly #ledger: Ledger;
  readonly #chain: Chain;

  constructor(
    options: { genesis: Genesis },
    dependencies: { executor: BlockExecutor; ledger: Ledger; chain: Chain },
  ) {
    this.#genesis = options.genesis;
    this.#executor = dependencies.executor;
    this.#ledger = dependencies.ledger;
    this.#chain = dependencies.chain;
  }

  async call(request: CallRequest): Promise<Answer<CallResult>> {
    const { height, value } = await this.#atOneHeight((context) =>
      this.#executor.call(request, context),
    );
    const { failure, output: returnData, gasUsed } = value;
    const succeeded = failure === undefined;
    const text = succeeded ? '' : failureText(failure);
    return { height, value: { succeeded, returnData, gasUsed, failure: text } };
  }

  async estimateGas(request: CallRequest): Promise<Answer<bigint>> {
    const { height, value } = await this.#atOneHeight((context) =>
      this.#executor.estimateGas(request, context),
    );
    if (value.ok) return { height, value: value.gasLimit };
    throw new NodeError(
      'EXECUTION_FAILED',
      `no gas limit makes the message succeed: ${failureText(value.failure)}`,
      { fields: { returnData: toPrefixedHex(value.output) } },
    );
  }

  /** The executor sees one state for the whole call; that the height is the same before and after says which. */
  async #atOneHeight<Value>(
    work: (context: BlockContext) => Promise<Value>,
  ): Promise<Answer<Value>> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const { executedHeight: height } = this.#ledger.head;
      const { block } = await this.#chain.storedBlock(height);
      try {
        const value = await work(callContext(block.header, this.#genesis));
        if (this.#ledger.head.executedHeight === height) return { height, value };
      } catch (thrown) {
        if (!(thrown instanceof ExecutionError)) throw thrown;
        if (thrown.code === 'OVERLOADED')
          throw new NodeError('OVERLOADED', thrown.message, { cause: thrown });
        if (thrown.code !== 'STATE_MOVED') throw thrown;
      }
    }
    throw new NodeError('OVERLOADED', 'the state moves faster than the call runs; call again');
  }
}

function failureText(failure: CallFailure): string {
  if (failure.kind === 'halted') return failure.error;
  return failure.reason === undefined ? 'reverted' : `reverted: ${failure.reason}`;
}
