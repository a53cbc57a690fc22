import { CodedError, errorText } from '../lib/error.ts';

export type ExecutionErrorCode =
  /** The state reader failed or answered with something impossible. */
  | 'STATE_UNAVAILABLE'
  /** The state moved to another height while a block was being executed on it. */
  | 'STATE_MOVED'
  /** The height named is not the one above the state that the owner last announced. */
  | 'HEIGHT_MISMATCH'
  /** The request queue is full. */
  | 'OVERLOADED'
  /** The executor was stopped, or never started. */
  | 'STOPPED'
  /** The worker thread ended by itself; the request had no effect. */
  | 'WORKER_FAILED'
  /** Execution itself failed, an own invariant included. */
  | 'EXECUTION_FAILED'
  /** A genesis that no chain can start from. */
  | 'BAD_GENESIS';

export class ExecutionError extends CodedError<ExecutionErrorCode> {}

/** Anything thrown during execution, as the module's own error. */
export function asExecutionError(thrown: unknown): ExecutionError {
  if (thrown instanceof ExecutionError) return thrown;
  return new ExecutionError('EXECUTION_FAILED', `execution failed: ${errorText(thrown)}`, {
    cause: thrown,
  });
}
