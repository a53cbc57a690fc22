import { CodedError, errorText } from '../lib/error.ts';

/** What the exit status of every command means. */
export const EXIT = {
  ok: 0,
  /** The command could not do what was asked, or an audit did not hold. */
  failure: 1,
  /** The command line, the configuration or the genesis is wrong; nothing was started. */
  usage: 2,
  /** No member answered. */
  unreachable: 3,
  /** The cluster answered and refused. */
  refused: 4,
  /** The request may or may not have taken effect; asking again is harmless. */
  outcomeUnknown: 5,
} as const;

export type ExitReason = Exclude<keyof typeof EXIT, 'ok'>;

/** Ends a command with one line on stderr and the exit status of its code. */
export class CliError extends CodedError<ExitReason> {}

/** Errors of other modules that are the user's input, by class name: they have no stack worth seeing. */
const USAGE_ERROR_NAMES = new Set(['ConfigError']);

/** The exit status for whatever a command threw. */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof CliError) return EXIT[thrown.code];
  if (thrown instanceof Error && USAGE_ERROR_NAMES.has(thrown.name)) return EXIT.usage;
  return EXIT.failure;
}

/** What a command that threw says on stderr: the message, and with `verbose` the stack and its causes. */
export function failureText(thrown: unknown, verbose: boolean): string {
  const lines = [`blockraft: ${errorText(thrown)}`];
  if (verbose && thrown instanceof Error) {
    for (let cause: unknown = thrown; cause instanceof Error; cause = cause.cause)
      lines.push(cause.stack ?? cause.message);
  }
  return lines.join('\n');
}
