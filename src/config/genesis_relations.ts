import { toHex } from '../lib/bytes.ts';
import type { GenesisFile } from './genesis_schema.ts';
import type { PlacedProblem } from './schema_problems.ts';
import type { ValuePath } from './yaml_source.ts';

/** The parts of a genesis file that are sound by themselves. */
export type SoundGenesisParts = Partial<GenesisFile>;

const UINT256_MAX = 2n ** 256n - 1n;
const POWER_SUM_MAX = 2n ** 60n;

/** What does not fit together among values that are each allowed. */
export function genesisRelationProblems(parts: SoundGenesisParts): PlacedProblem[] {
  return [
    ...parameterProblems(parts),
    ...forkProblems(parts),
    ...validatorProblems(parts),
    ...accountProblems(parts),
  ];
}

function parameterProblems({ parameters }: SoundGenesisParts): PlacedProblem[] {
  if (parameters === undefined) return [];
  const { transactionBytesMax, blockBytesMax, baseFeeFloor, baseFeeInitial } = parameters;
  const problems: PlacedProblem[] = [];
  if (transactionBytesMax > blockBytesMax)
    problems.push({
      path: ['parameters', 'transactionBytesMax'],
      fix: `must be at most blockBytesMax (${blockBytesMax}), or the largest transaction fits in no block`,
    });
  if (baseFeeFloor > baseFeeInitial)
    problems.push({
      path: ['parameters', 'baseFeeFloor'],
      fix: `must be at most baseFeeInitial (${baseFeeInitial})`,
    });
  return problems;
}

function forkProblems({ parameters }: SoundGenesisParts): PlacedProblem[] {
  const forks = parameters?.forks ?? [];
  const [first] = forks;
  const problems: PlacedProblem[] = [];
  if (parameters !== undefined && first === undefined)
    problems.push({
      path: ['parameters', 'forks'],
      fix: 'must have at least one fork, at height 0',
    });
  if (first !== undefined && first.height !== 0)
    problems.push({
      path: ['parameters', 'forks', 0, 'height'],
      fix: 'must be 0: the first fork holds from the start',
    });
  for (const [index, fork] of forks.entries()) {
    const before = forks[index - 1];
    if (before === undefined) continue;
    if (before.name >= fork.name)
      problems.push({
        path: ['parameters', 'forks', index, 'name'],
        fix: `must be a later rule set than ${before.name} before it`,
      });
    if (before.height >= fork.height)
      problems.push({
        path: ['parameters', 'forks', index, 'height'],
        fix: `must be above the height before it (${before.height})`,
      });
  }
  return problems;
}

function validatorProblems({ validators = [] }: SoundGenesisParts): PlacedProblem[] {
  const problems = repeated(
    validators.map(({ publicKey }) => publicKey),
    (index) => ['validators', index, 'publicKey'],
  );
  const sum = validators.reduce((total, { power }) => total + power, 0n);
  if (sum > POWER_SUM_MAX)
    problems.push({
      path: ['validators'],
      fix: `have a power of ${sum} together; at most ${POWER_SUM_MAX} are allowed`,
    });
  return problems;
}

function accountProblems({ accounts = [] }: SoundGenesisParts): PlacedProblem[] {
  const problems = repeated(
    accounts.map(({ address }) => address),
    (index) => ['accounts', index, 'address'],
  );
  for (const [index, { balance, nonce, code, storage }] of accounts.entries()) {
    if (code.length === 0 && storage.length > 0)
      problems.push({
        path: ['accounts', index, 'storage'],
        fix: 'has no code that could read it; give code or remove the storage',
      });
    if (balance === 0n && nonce === 0n && code.length === 0)
      problems.push({
        path: ['accounts', index],
        fix: 'is empty, and empty accounts do not exist (EIP-161); give a balance or remove it',
      });
    const slots = storage.map(({ slot }) => slot);
    problems.push(...repeated(slots, () => ['accounts', index, 'storage']));
  }
  const sum = accounts.reduce((total, { balance }) => total + balance, 0n);
  if (sum > UINT256_MAX)
    problems.push({ path: ['accounts'], fix: 'have more wei together than 256 bits hold' });
  return problems;
}

function repeated(
  values: readonly Uint8Array[],
  pathOf: (index: number) => ValuePath,
): PlacedProblem[] {
  const first = new Map<string, number>();
  return values.flatMap((value, index) => {
    const text = toHex(value);
    const other = first.get(text);
    if (other === undefined) first.set(text, index);
    return other === undefined
      ? []
      : [{ path: pathOf(index), fix: `repeats entry ${other}; remove one of the two` }];
  });
}
