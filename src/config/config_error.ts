import { CodedError } from '../lib/error.ts';

/** One thing that is wrong with a configuration, and what to do about it. */
export interface ConfigProblem {
  readonly file: string;
  /** Line in the file, from 1; absent when the value did not come from it. */
  readonly line?: number | undefined;
  /** Place in the file (`members[1].ports.api`), or an environment variable; empty for the whole file. */
  readonly path: string;
  /** The value found, as written (a text in quotes); undefined when there is none or it is a map or a list. */
  readonly value: string | undefined;
  /** What is wrong and what to write instead. */
  readonly fix: string;
}

const VALUE_CHARACTERS_MAX = 80;

/** A configuration that nothing may start from; the message has one line for each problem. */
export class ConfigError extends CodedError<'INVALID_CONFIG'> {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], cause?: unknown) {
    const sorted = problems.toSorted((left, right) => (left.line ?? 0) - (right.line ?? 0));
    super('INVALID_CONFIG', sorted.map(problemText).join('\n'), {
      fields: { problemCount: problems.length },
      ...(cause === undefined ? {} : { cause }),
    });
    this.problems = sorted;
  }
}

/** `cluster.yaml:12: members[1].ports.api is 70000: must be at most 65535`. */
export function problemText(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  const found = problem.value === undefined ? '' : ` is ${shortened(problem.value)}`;
  if (problem.path === '') return `${place}: ${problem.fix}`;
  return `${place}: ${problem.path}${found}: ${problem.fix}`;
}

function shortened(text: string): string {
  return text.length <= VALUE_CHARACTERS_MAX ? text : `${text.slice(0, VALUE_CHARACTERS_MAX)}…`;
}
