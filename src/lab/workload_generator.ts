import type { Random } from '../lib/environment.ts';
import { below, seededRandom } from './random.ts';
import { WorkloadError } from './workload_error.ts';
import { VOTER_TOKENS } from './workload_model.ts';
import {
  type Operation,
  TOKEN_ISSUER,
  type Workload,
  type WorkloadFamily,
} from './workload_operation.ts';

export const TRANSACTIONS_MAX = 1_000_000;
/** Below this the published files do not go either: their "0 %" is 0.1 %. */
export const CONFLICT_PERCENT_MIN = 0.1;

export interface GeneratorOptions {
  readonly family: WorkloadFamily;
  readonly transactions: number;
  /**
   * Density of the graph of pairwise dependent transactions, 0 to 100. The number of accounts is
   * whole, so that above 50 only the nearest reachable density is met; 0 means 0.1, as published.
   */
  readonly conflictPercent: number;
  readonly seed: number;
  /**
   * Accounts start nearly empty and amounts are large, so that which operations fail depends on
   * their order: catches a wrong order, not only a lost update. Not for payments.
   */
  readonly orderSensitive: boolean;
}

/** Groups of accounts that never touch each other, and the size of each. */
export interface ConflictShape {
  readonly groups: number;
  readonly accountsPerGroup: number;
}

const GROUP_LETTERS = 'ABCDEFGHIJ';
const PASSWORD = 'pass';
const AMOUNT_MAX = 9;
const PUBLISHED_DEPOSIT = 100_000n;
const ORDER_SENSITIVE_START = 10n;
/** One key of a voting group in this many is a candidate. */
const KEYS_PER_CANDIDATE = 10;

/** Makes a workload of the published shapes; equal options give equal workloads. Throws UNSATISFIABLE. */
export function generateWorkload(options: GeneratorOptions): Workload {
  checkOptions(options);
  const random = seededRandom(options.seed);
  const shape = conflictShape(options.conflictPercent);
  const made = MAKERS[options.family](options, shape, random);
  const order = options.orderSensitive ? ', order-sensitive' : '';
  return {
    name: `${options.family} ${options.transactions} at ${options.conflictPercent} % (seed ${options.seed}${order})`,
    family: options.family,
    ...made,
  };
}

/**
 * Two random pairs out of k accounts share one with probability (4k − 6) / (k(k − 1)); with g
 * groups the density is that over g. As many groups as leave 20 accounts in each, at most ten.
 */
export function conflictShape(conflictPercent: number): ConflictShape {
  const density = Math.max(conflictPercent, CONFLICT_PERCENT_MIN) / 100;
  const groups = Math.min(Math.max(Math.floor(0.2 / density), 1), GROUP_LETTERS.length);
  const within = density * groups;
  const root = Math.sqrt((within + 4) ** 2 - 24 * within);
  return { groups, accountsPerGroup: Math.max(3, Math.round((within + 4 + root) / (2 * within))) };
}

type Made = Pick<Workload, 'setup' | 'operations'>;
type Maker = (options: GeneratorOptions, shape: ConflictShape, random: Random) => Made;

const MAKERS: Record<WorkloadFamily, Maker> = {
  wallet: makeWallet,
  voting: makeVoting,
  payments: makePayments,
  token: makeToken,
};

function makeWallet(options: GeneratorOptions, shape: ConflictShape, random: Random): Made {
  const operations: Operation[] = [];
  for (let count = 0; count < options.transactions; count += 1) {
    const [from, to] = pickPair(shape, random).map((name) => name + PASSWORD) as [string, string];
    const amount = pickAmount(random);
    const dice = options.orderSensitive ? random() : 1;
    if (dice < 0.1) operations.push({ kind: 'deposit', account: from, amount });
    else if (dice < 0.2) operations.push({ kind: 'withdraw', account: from, amount });
    else operations.push({ kind: 'transfer', from, to, amount });
  }
  const setup = [...startingBalances(options, operations)].map(
    ([account, amount]): Operation => ({ kind: 'deposit', account, amount }),
  );
  return { setup, operations };
}

function makeToken(options: GeneratorOptions, shape: ConflictShape, random: Random): Made {
  const operations: Operation[] = [];
  for (let count = 0; count < options.transactions; count += 1) {
    const [from, to] = pickPair(shape, random);
    operations.push({ kind: 'tokenTransfer', from, to, amount: pickAmount(random) });
  }
  const setup = [...startingBalances(options, operations)].map(
    ([to, amount]): Operation => ({ kind: 'tokenTransfer', from: TOKEN_ISSUER, to, amount }),
  );
  return { setup, operations };
}

/** Holders are funded as signers are, so that there is nothing to set up. */
function makePayments(options: GeneratorOptions, shape: ConflictShape, random: Random): Made {
  const operations: Operation[] = [];
  for (let count = 0; count < options.transactions; count += 1) {
    const [from, to] = pickPair(shape, random);
    operations.push({ kind: 'pay', from, to, amount: pickAmount(random) });
  }
  return { setup: [], operations };
}

/** The last tenth of each group's keys are candidates, the others voters. */
function makeVoting(options: GeneratorOptions, shape: ConflictShape, random: Random): Made {
  const candidates = Math.max(1, Math.floor(shape.accountsPerGroup / KEYS_PER_CANDIDATE));
  const voters = shape.accountsPerGroup - candidates;
  const spent = new Map<string, bigint>();
  const operations: Operation[] = [];
  for (let count = 0; count < options.transactions; count += 1) {
    const group = pickGroup(shape, random);
    let [first, second] = pickTwo(shape.accountsPerGroup, random);
    if (first >= voters) [first, second] = [second, first];
    if (first >= voters) first = below(random, voters);
    const voter = `${group}${first}`;
    const isCast = second >= voters;
    const wanted = options.orderSensitive ? BigInt(1000 + below(random, 4000)) : pickAmount(random);
    const amount = isCast ? 1n : wanted;
    const payer = options.orderSensitive
      ? voter
      : solventVoter({ voter, group, voters, amount, spent, barred: isCast ? -1 : second });
    spent.set(payer, (spent.get(payer) ?? 0n) + amount);
    if (isCast)
      operations.push({ kind: 'castVote', voter: payer, candidate: `CA${group}${second}` });
    else operations.push({ kind: 'transferVote', from: payer, to: `${group}${second}`, amount });
  }
  return { setup: registrations(operations), operations };
}

/** The voter, or the next of its group whose registration covers everything that it pays in any order. */
function solventVoter(wish: {
  voter: string;
  group: string;
  voters: number;
  amount: bigint;
  spent: ReadonlyMap<string, bigint>;
  /** Index of the voter who receives: nobody pays itself. */
  barred: number;
}): string {
  const first = Number(wish.voter.slice(1));
  for (let step = 0; step < wish.voters; step += 1) {
    const index = (first + step) % wish.voters;
    const candidate = `${wish.group}${index}`;
    const after = (wish.spent.get(candidate) ?? 0n) + wish.amount;
    if (index !== wish.barred && after <= VOTER_TOKENS) return candidate;
  }
  throw new WorkloadError(
    'UNSATISFIABLE',
    `the ${wish.voters} voters of group ${wish.group} have spent their ${VOTER_TOKENS} tokens; ` +
      'ask for fewer transactions, a lower conflict percentage, or an order-sensitive workload',
  );
}

function registrations(operations: readonly Operation[]): Operation[] {
  const voters = new Set<string>();
  const candidates = new Set<string>();
  for (const operation of operations) {
    if (operation.kind === 'castVote') {
      voters.add(operation.voter);
      candidates.add(operation.candidate);
    } else if (operation.kind === 'transferVote') {
      voters.add(operation.from).add(operation.to);
    }
  }
  return [
    ...[...voters].map((voter): Operation => ({ kind: 'registerVoter', voter })),
    ...[...candidates].map((candidate): Operation => ({ kind: 'registerCandidate', candidate })),
  ];
}

/** What each account holds at first: all that it ever pays, or next to nothing when order should matter. */
function startingBalances(
  options: GeneratorOptions,
  operations: readonly Operation[],
): Map<string, bigint> {
  const start = options.orderSensitive ? ORDER_SENSITIVE_START : PUBLISHED_DEPOSIT;
  const balances = new Map<string, bigint>();
  const paid = new Map<string, bigint>();
  for (const operation of operations) {
    if (operation.kind !== 'transfer' && operation.kind !== 'tokenTransfer') continue;
    balances.set(operation.from, start).set(operation.to, start);
    paid.set(operation.from, (paid.get(operation.from) ?? 0n) + operation.amount);
  }
  if (!options.orderSensitive)
    for (const [name, total] of paid) if (total > start) balances.set(name, total);
  return balances;
}

function pickPair(shape: ConflictShape, random: Random): [string, string] {
  const group = pickGroup(shape, random);
  const [first, second] = pickTwo(shape.accountsPerGroup, random);
  return [`${group}${first}`, `${group}${second}`];
}

function pickGroup(shape: ConflictShape, random: Random): string {
  return GROUP_LETTERS.charAt(below(random, shape.groups));
}

/** Two different indexes below the count. */
function pickTwo(count: number, random: Random): [number, number] {
  const first = below(random, count);
  const second = below(random, count - 1);
  return [first, second < first ? second : second + 1];
}

function pickAmount(random: Random): bigint {
  return BigInt(1 + below(random, AMOUNT_MAX));
}

function checkOptions(options: GeneratorOptions): void {
  const { transactions, conflictPercent, seed } = options;
  if (!Number.isSafeInteger(transactions) || transactions < 1 || transactions > TRANSACTIONS_MAX)
    throw unsatisfiable(`transactions must be 1 to ${TRANSACTIONS_MAX}, not ${transactions}`);
  if (!(conflictPercent >= 0 && conflictPercent <= 100))
    throw unsatisfiable(`the conflict percentage must be 0 to 100, not ${conflictPercent}`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw unsatisfiable(`the seed must be a whole number from 0, not ${seed}`);
  if (options.orderSensitive && options.family === 'payments')
    throw unsatisfiable('payments never run dry: choose wallet, voting or token');
}

function unsatisfiable(message: string): WorkloadError {
  return new WorkloadError('UNSATISFIABLE', message);
}
