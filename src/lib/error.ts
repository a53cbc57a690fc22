/**
 * Base of every typed error: a code from the module's own union, structured fields, a cause.
 * The message says what is wrong and what to do next.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code;
  /** Values that a log line or a gRPC ErrorInfo carries beside the message. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;

  constructor(
    code: Code,
    message: string,
    options: {
      fields?: Record<string, string | number | boolean>;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.fields = options.fields ?? {};
  }
}

/** The text of anything thrown. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
