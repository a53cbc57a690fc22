/** What one client asked and when, on one monotonic clock that all operations of a history share. */
export interface Operation<Input, Output> {
  readonly client: number;
  readonly input: Input;
  readonly invokedAt: number;
  /** Undefined when the outcome is unknown: it may take effect at any later time, or never. */
  readonly result: { readonly at: number; readonly output: Output } | undefined;
}

export type History<Input, Output> = readonly Operation<Input, Output>[];

/**
 * What an object does when its operations come one after another. States are immutable. An operation of
 * unknown outcome can wait: when another one is possible both before and after it, the two may change places,
 * or the other one hides it.
 */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /**
   * The state after an operation that began in `state`; undefined when such an operation cannot
   * answer `output`. Without an output whatever it answered is possible, and it took effect.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal for equal states and only for those. */
  key(state: State): string;
  /** Names the object that an operation is about, when objects are independent of each other. */
  objectOf?(input: Input): string;
  /** Whether an operation may, together with others like it, make one possible that is impossible now. */
  helps(input: Input, impossible: Input): boolean;
  describe(input: Input, output: Output | undefined): string;
}

/** `client 3 [10.2, 14.9] read a → 5` */
export function describeOperation<State, Input, Output>(
  model: Model<State, Input, Output>,
  operation: Operation<Input, Output>,
): string {
  const { client, input, invokedAt, result } = operation;
  const until = result === undefined ? 'unknown' : String(result.at);
  return `client ${client} [${invokedAt}, ${until}] ${model.describe(input, result?.output)}`;
}
