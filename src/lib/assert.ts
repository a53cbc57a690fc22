/** Our own invariant does not hold: the process must stop rather than guess. Never for peer or client input. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Checks an invariant of ours, in production too. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Ends an exhaustive switch: the compiler proves that no case is left. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case: ${String(value)}`);
}
