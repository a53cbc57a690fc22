import { CodedError } from '../lib/error.ts';

/** One thing that is wrong with a configuration, and what to do about it. */
export interface ConfigProblem {
  readonly file: string;
  /** Line in the file, from 1; absent when the value did not come from it. */
  readonly line?: number | undefined;
  /** Place in the file (`members[1].ports.api`), or an environment variable; empty for the whole file. */
  readonly path: string;
  /** The value found; undefined when there is none. */
  readonly value: unknown;
  /** What is wrong and what to write instead. */
  readonly fix: string;
}

const VALUE_CHARACTERS_MAX = 80;

/** A configuration that nothing may start from; the message has one line for each problem. */
export class ConfigError extends CodedError<'INVALID_CONFIG'> {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], cause?: unknown) {
    super('INVALID_CONFIG', problems.map(problemText).join('\n'), {
      fields: { problemCount: problems.length },
      ...(cause === undefined ? {} : { cause }),
    });
    this.problems = problems;
  }
}

/** `cluster.yaml:12: members[1].ports.api is 70000: must be at most 65535`. */
export function problemText(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  const found = problem.value === undefined ? '' : ` is ${valueText(problem.value)}`;
  if (problem.path === '') return `${place}: ${problem.fix}`;
  return `${place}: ${problem.path}${found}: ${problem.fix}`;
}

function valueText(value: unknown): string {
  const text =
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part)) ??
    String(value);
  return text.length <= VALUE_CHARACTERS_MAX ? text : `${text.slice(0, VALUE_CHARACTERS_MAX)}…`;
}
