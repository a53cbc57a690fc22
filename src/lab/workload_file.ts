import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorText } from '../lib/error.ts';
import { WorkloadError } from './workload_error.ts';
import { familyOf, type Operation, type Workload } from './workload_operation.ts';

/** Bytes of a workload file, at most. */
export const WORKLOAD_FILE_BYTES_MAX = 256 * 1024 * 1024;
const AMOUNT_PATTERN = /^[0-9]{1,30}$/;

/**
 * Reads a published workload and the `setup.txt` beside it, when there is one.
 * Throws a WorkloadError that names the file and the line.
 */
export function readWorkloadFile(path: string): Workload {
  const operations = parseOperations(readText(path), path);
  const first = operations[0];
  if (first === undefined)
    throw new WorkloadError('SYNTAX', `${path} has no operation; give a workload file`);
  const family = familyOf(first);
  const stray = operations.find((operation) => familyOf(operation) !== family);
  if (stray !== undefined)
    throw new WorkloadError(
      'SYNTAX',
      `${path} mixes ${family} and ${familyOf(stray)} operations; give a file of one kind`,
    );
  const setupPath = join(dirname(path), 'setup.txt');
  const hasSetup = basename(path) !== 'setup.txt' && existsSync(setupPath);
  return {
    name: `${family} ${basename(path)}`,
    family,
    setup: hasSetup ? parseOperations(readText(setupPath), setupPath) : [],
    operations,
  };
}

/**
 * Parses the published format: fields separated by any white space, CRLF or LF, blank lines, and
 * a last line that may lack its newline.
 * @param source named in errors
 */
export function parseOperations(text: string, source: string): Operation[] {
  const operations: Operation[] = [];
  let lineNumber = 0;
  for (const line of text.split('\n')) {
    lineNumber += 1;
    const fields = line.split(/\s+/).filter((field) => field !== '');
    if (fields.length > 0) operations.push(parseFields(fields, `${source}:${lineNumber}`));
  }
  return operations;
}

function parseFields(fields: readonly string[], where: string): Operation {
  const [program = '', verb = '', ...rest] = fields;
  const name = `${basename(program)} ${verb}`;
  const shape = SHAPES[name];
  if (shape === undefined)
    throw new WorkloadError(
      'SYNTAX',
      `${where}: "${name}" is unknown; expected one of: ${Object.keys(SHAPES).join(', ')}`,
    );
  if (rest.length !== shape.fields.length)
    throw new WorkloadError(
      'SYNTAX',
      `${where}: ${name} takes ${shape.fields.join(' ')}, not ${rest.length} fields`,
    );
  return shape.build((index) => rest[index] ?? '', where);
}

type Field = (index: number) => string;

interface Shape {
  readonly fields: readonly string[];
  readonly build: (field: Field, where: string) => Operation;
}

const SHAPES: Record<string, Shape> = {
  'walletClientMain deposit': {
    fields: ['USER', 'PASSWORD', 'AMOUNT'],
    build: (field, where) => ({
      kind: 'deposit',
      account: field(0) + field(1),
      amount: amountFrom(field(2), where),
    }),
  },
  'walletClientMain withdraw': {
    fields: ['USER', 'PASSWORD', 'AMOUNT'],
    build: (field, where) => ({
      kind: 'withdraw',
      account: field(0) + field(1),
      amount: amountFrom(field(2), where),
    }),
  },
  'walletClientMain transfer': {
    fields: ['USER', 'PASSWORD', 'USER', 'PASSWORD', 'AMOUNT'],
    build: (field, where) => ({
      kind: 'transfer',
      from: field(0) + field(1),
      to: field(2) + field(3),
      amount: amountFrom(field(4), where),
    }),
  },
  'votingClientMain registerVoter': {
    fields: ['VOTER'],
    build: (field) => ({ kind: 'registerVoter', voter: field(0) }),
  },
  'votingClientMain registerCandidate': {
    fields: ['CANDIDATE'],
    build: (field) => ({ kind: 'registerCandidate', candidate: field(0) }),
  },
  'votingClientMain castVote': {
    fields: ['VOTER', 'CANDIDATE'],
    build: (field) => ({ kind: 'castVote', voter: field(0), candidate: field(1) }),
  },
  'votingClientMain transferVote': {
    fields: ['VOTER', 'VOTER', 'AMOUNT'],
    build: (field, where) => ({
      kind: 'transferVote',
      from: field(0),
      to: field(1),
      amount: amountFrom(field(2), where),
    }),
  },
};

function amountFrom(text: string, where: string): bigint {
  if (!AMOUNT_PATTERN.test(text))
    throw new WorkloadError('SYNTAX', `${where}: "${text}" is not an amount; give a whole number`);
  return BigInt(text);
}

function readText(path: string): string {
  try {
    if (statSync(path).size > WORKLOAD_FILE_BYTES_MAX)
      throw new WorkloadError(
        'UNREADABLE',
        `${path} is larger than ${WORKLOAD_FILE_BYTES_MAX} bytes; split it`,
      );
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof WorkloadError) throw thrown;
    throw new WorkloadError('UNREADABLE', `cannot read workload ${path}: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}
