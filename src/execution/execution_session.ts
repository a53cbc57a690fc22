import { bytesEqual } from '../lib/bytes.ts';
import type { Outcome } from '../types/outcome.ts';
import type { Hash, Height } from '../types/primitives.ts';
import type { BlockContext } from './block_context.ts';
import {
  type CallRequest,
  type CallResult,
  estimateGas,
  type GasEstimate,
  simulateCall,
} from './call.ts';
import { type BlockRequest, executeOn } from './executor.ts';
import { FlatState } from './flat_state.ts';
import { RuleBook } from './rules.ts';
import type { StateReader } from './state_reader.ts';

/**
 * Executes one request at a time and keeps state between blocks, only as long as it is known to be
 * the state of the height below the next block. After a block its effects are a candidate for the
 * state of its height, until the owner says what that state became.
 */
export class ExecutionSession {
  readonly #reader: StateReader;
  readonly #cacheBytesMax: number;
  readonly #state: FlatState;
  readonly #rules = new RuleBook();
  /** The height whose state the cached values before any block's effects are. */
  #groundHeight: Height | undefined;
  #candidate: { readonly height: Height; readonly blockId: Hash } | undefined;

  constructor(options: { cacheBytesMax: number }, dependencies: { reader: StateReader }) {
    this.#reader = dependencies.reader;
    this.#cacheBytesMax = options.cacheBytesMax;
    this.#state = new FlatState(options, dependencies);
  }

  /** The reader must answer for the height below the block's. */
  async executeBlock(request: BlockRequest): Promise<Outcome> {
    const { height } = request.context;
    this.#state.rollBack();
    this.#candidate = undefined;
    if (this.#groundHeight !== height - 1) this.#standOn(height - 1);
    try {
      const machine = { state: this.#state, rules: this.#rules };
      const outcome = await executeOn(request, machine);
      this.#candidate = { height, blockId: request.blockId };
      return outcome;
    } catch (thrown) {
      this.#standOn(undefined);
      this.#rules.forget();
      throw thrown;
    }
  }

  /** The reader's state has become that of the height, by this block's outcome or another's. */
  applied(height: Height, blockId: Hash): void {
    const candidate = this.#candidate;
    if (candidate?.height !== height || !bytesEqual(candidate.blockId, blockId)) {
      this.#standOn(height);
      return;
    }
    this.#state.promote();
    this.#candidate = undefined;
    this.#groundHeight = height;
  }

  /** The reader's state has become that of the height in a way that is not known here. */
  reset(height: Height): void {
    this.#standOn(height);
  }

  /** Reads what the reader answers, not the candidate. */
  async call(request: CallRequest, context: BlockContext): Promise<CallResult> {
    return this.#apart((machine) => simulateCall({ request, context, machine }));
  }

  async estimateGas(request: CallRequest, context: BlockContext): Promise<GasEstimate> {
    return this.#apart((machine) => estimateGas({ request, context, machine }));
  }

  /** Runs on a state that lives as long as the call, so that the block's is not disturbed. */
  async #apart<Result>(
    run: (machine: { state: FlatState; rules: RuleBook }) => Promise<Result>,
  ): Promise<Result> {
    const state = new FlatState({ cacheBytesMax: this.#cacheBytesMax }, { reader: this.#reader });
    try {
      return await run({ state, rules: this.#rules });
    } catch (thrown) {
      this.#rules.forget();
      throw thrown;
    }
  }

  #standOn(height: Height | undefined): void {
    this.#state.clear();
    this.#candidate = undefined;
    this.#groundHeight = height;
  }
}
