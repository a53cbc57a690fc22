import { z } from 'zod';
import type { ConfigProblem } from './config_error.ts';
import type { ValuePath, YamlSource } from './yaml_source.ts';

/** A problem at a place of the file, before its line and value are looked up. */
export interface PlacedProblem {
  readonly path: ValuePath;
  readonly fix: string;
}

const NAMES: Record<string, string> = {
  int: 'a whole number',
  number: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  object: 'a map of keys',
  array: 'a list',
  record: 'a map of keys',
};

/** How zod's own messages start. */
const ZOD_MESSAGE_PATTERN = /^(?:Invalid|Too|Unrecognized)/;

/** The problems of a value that a schema refused. */
export function schemaProblems(error: z.core.$ZodError, schema: z.ZodType): PlacedProblem[] {
  const problems = error.issues.flatMap((issue): PlacedProblem[] => {
    const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, path);
      return issue.keys.map((key) => ({ path: [...path, key], fix: unknownKeyText(key, known) }));
    }
    return [{ path, fix: fixOf(issue) }];
  });
  // A number beyond the safe range also breaks the limit of its key, which comes later and says more.
  return [...new Map(problems.map((problem) => [pathText(problem.path), problem])).values()];
}

/** Adds to a problem what the file says there. */
export function problemIn(source: YamlSource, { path, fix }: PlacedProblem): ConfigProblem {
  return {
    file: source.file,
    line: source.lineOf(path),
    path: pathText(path),
    value: source.textAt(path),
    fix,
  };
}

/** `members[1].ports.api`. */
export function pathText(path: ValuePath): string {
  return path
    .map((step, position) => {
      if (typeof step === 'number') return `[${step}]`;
      return position === 0 ? step : `.${step}`;
    })
    .join('');
}

function fixOf(issue: z.core.$ZodIssue): string {
  // What the schema says itself says more than the kind of the issue.
  if (!ZOD_MESSAGE_PATTERN.test(issue.message)) return issue.message;
  if (issue.code === 'invalid_type') {
    const expected = NAMES[issue.expected] ?? issue.expected;
    return issue.message.endsWith('undefined')
      ? `is missing; give ${expected}`
      : `must be ${expected}`;
  }
  if (issue.code === 'too_big') {
    if (issue.maximum === Number.MAX_SAFE_INTEGER)
      return 'is more than a YAML number can hold exactly; put it in quotes';
    return `must ${beOrHave(issue.origin)} at most ${issue.maximum}`;
  }
  if (issue.code === 'too_small') return `must ${beOrHave(issue.origin)} at least ${issue.minimum}`;
  if (issue.code === 'invalid_value') return `must be ${issue.values.map(String).join(' or ')}`;
  return issue.message;
}

function beOrHave(origin: string): string {
  if (origin === 'string') return 'have a length of';
  return origin === 'array' ? 'have a length of' : 'be';
}

function keysAt(schema: z.ZodType, path: ValuePath): string[] {
  let current: unknown = schema;
  for (const step of path) {
    const inner = unwrapped(current);
    if (inner instanceof z.ZodObject) current = inner.shape[String(step)];
    else if (inner instanceof z.ZodArray) current = inner.element;
    else return [];
  }
  const inner = unwrapped(current);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function unwrapped(schema: unknown): unknown {
  let current = schema;
  while (
    current instanceof z.ZodPrefault ||
    current instanceof z.ZodDefault ||
    current instanceof z.ZodOptional
  )
    current = current.unwrap();
  return current;
}

function unknownKeyText(key: string, known: readonly string[]): string {
  const close = known.find((candidate) => candidate.toLowerCase() === key.toLowerCase());
  const meant = close ?? known.find((candidate) => editDistance(candidate, key) <= 2);
  if (meant !== undefined) return `is not a key here; did you mean ${meant}?`;
  return `is not a key here; remove it (there are ${known.join(', ')})`;
}

/** Levenshtein's distance: single-character edits between two words. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (const [rowNumber, letter] of [...left].entries()) {
    const next = [rowNumber + 1];
    for (const [column, other] of [...right].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
