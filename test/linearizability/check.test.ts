import { describe, expect, it } from 'vitest';
import { type BalanceInput, type BalanceOutput, balanceModel } from './balance_model.ts';
import { isLinearizable } from './brute_force.ts';
import { check, requireLinearizable } from './check.ts';
import type { Operation } from './history.ts';
import { mutated, seededRandom, sequentialHistory } from './random_history.ts';
import { type RegisterInput, type RegisterOutput, registers } from './register_model.ts';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

let clients = 0;

function operation<Input, Output>(
  input: Input,
  [invokedAt, endedAt]: readonly [number, number | undefined],
  output: Output,
): Operation<Input, Output> {
  clients += 1;
  const result = endedAt === undefined ? undefined : { at: endedAt, output };
  return { client: clients, input, invokedAt, result };
}

type Interval = readonly [number, number | undefined];

const write = (interval: Interval, value: number, key = 'x'): RegisterOperation =>
  operation<RegisterInput, RegisterOutput>({ kind: 'write', key, value }, interval, null);
const read = (interval: Interval, value: number | null, key = 'x'): RegisterOperation =>
  operation<RegisterInput, RegisterOutput>({ kind: 'read', key }, interval, value);
const cas = (
  interval: Interval,
  [expected, value]: readonly [number | null, number],
  done: boolean,
): RegisterOperation =>
  operation<RegisterInput, RegisterOutput>(
    { kind: 'cas', key: 'x', expected, value },
    interval,
    done,
  );

const unknown = undefined;

const good: Record<string, RegisterOperation[]> = {
  'an empty history': [],
  'operations one after another': [write([0, 1], 1), read([2, 3], 1), cas([4, 5], [1, 2], true)],
  'a read during a write that sees the old value': [write([0, 10], 1), read([1, 2], null)],
  'a read during a write that sees the new value': [write([0, 10], 1), read([1, 2], 1)],
  'two writes at once, read in the order that the reads show': [
    write([0, 10], 1),
    write([0, 10], 2),
    read([1, 4], 2),
    read([5, 6], 1),
  ],
  'an unknown write that is seen much later': [
    write([0, unknown], 1),
    read([5, 6], null),
    read([7, 8], 1),
  ],
  'an unknown write that is never seen': [write([0, unknown], 1), read([5, 6], null)],
  'an unknown write that explains a cas': [
    write([0, unknown], 7),
    read([1, 2], null),
    cas([3, 4], [7, 8], true),
  ],
  'an unknown cas that failed': [
    write([0, 1], 1),
    cas([2, unknown], [5, 6], true),
    read([3, 4], 1),
  ],
  'an answer and an invocation at the same instant may overlap': [
    write([0, 5], 1),
    read([5, 6], null),
  ],
  'keys are independent': [
    write([0, 1], 1, 'x'),
    read([2, 3], null, 'y'),
    write([4, 5], 2, 'y'),
    read([6, 7], 1, 'x'),
  ],
};

const bad: Record<string, { history: RegisterOperation[]; offending: number }> = {
  'a stale read': {
    history: [write([0, 1], 1), write([2, 3], 2), read([4, 5], 1)],
    offending: 2,
  },
  'a lost write': { history: [write([0, 1], 1), read([2, 3], null)], offending: 1 },
  'a write applied twice': {
    history: [write([0, 1], 1), write([2, 3], 2), read([4, 5], 2), read([6, 7], 1)],
    offending: 3,
  },
  'an unknown write applied twice': {
    history: [
      write([0, unknown], 1),
      read([1, 2], 1),
      write([3, 4], 2),
      read([5, 6], 2),
      read([7, 8], 1),
    ],
    offending: 4,
  },
  'reads that go back during a write': {
    history: [write([0, 100], 1), read([1, 2], 1), read([3, 4], null)],
    offending: 2,
  },
  'a value from nowhere': { history: [write([0, 1], 1), read([0, 3], 5)], offending: 1 },
  'a value from the future': { history: [read([0, 1], 1), write([2, 3], 1)], offending: 0 },
  'a cas that two clients win': {
    history: [write([0, 1], 1), cas([2, 9], [1, 2], true), cas([3, 8], [1, 3], true)],
    offending: 1,
  },
  'an unknown write that had not begun when it was read': {
    history: [read([0, 1], 1), write([2, unknown], 1)],
    offending: 0,
  },
  'two readers that see two writes in different orders': {
    history: [
      write([0, 100], 1),
      write([0, 100], 2),
      read([1, 2], 1),
      read([3, 4], 2),
      read([5, 6], 1),
    ],
    offending: 4,
  },
};

describe('the linearizability checker', () => {
  for (const [name, history] of Object.entries(good))
    it(`accepts ${name}`, () => {
      expect(check(registers, history).outcome).toBe('linearizable');
      expect(() => requireLinearizable(registers, history)).not.toThrow();
    });

  for (const [name, { history, offending }] of Object.entries(bad))
    it(`refuses ${name} and names the operation`, () => {
      const verdict = check(registers, history);
      if (verdict.outcome !== 'violation') throw new Error(verdict.outcome);
      expect(history.indexOf(verdict.offending)).toBe(offending);
      expect(isLinearizable(registers, verdict.prefix)).toBe(true);
      expect(() => requireLinearizable(registers, history)).toThrow(/no order explains this/);
    });

  it('gives an order that explains the history', () => {
    const history = sequentialHistory(
      { operations: 300, clients: 6, keys: 1, values: 4, unknown: 0.02 },
      seededRandom(7),
    );
    const verdict = check(registers, history);
    if (verdict.outcome !== 'linearizable') throw new Error(verdict.outcome);
    let state = registers.initial;
    let latestBegin = 0;
    for (const { input, invokedAt, result } of verdict.order) {
      const next = registers.step(state, input, result?.output);
      if (next === undefined) throw new Error('the order is wrong');
      state = next;
      expect(result === undefined || result.at >= latestBegin).toBe(true);
      latestBegin = Math.max(latestBegin, invokedAt);
    }
    expect(history.every((each) => !each.result || verdict.order.includes(each))).toBe(true);
  });

  it('says that a search is undecided instead of filling the memory', () => {
    const writes = Array.from({ length: 20 }, (_, value) => write([0, 100], value));
    const history = [...writes, read([200, 201], 99)];
    const verdict = check(registers, history, { statesMax: 1_000 });
    if (verdict.outcome !== 'undecided') throw new Error(verdict.outcome);
    expect(verdict.text).toMatch(/client/);
  });

  it('refuses an operation that ends before it begins', () => {
    expect(() => check(registers, [write([3, 2], 1)])).toThrow(/answered before it began/);
  });

  it('agrees with brute force on thousands of short histories, changed at random', () => {
    const counts = { linearizable: 0, violation: 0, undecided: 0 };
    for (let seed = 1; seed <= 3_000; seed += 1) {
      const random = seededRandom(seed);
      const shape = { operations: 7, clients: 3, keys: 2, values: 3, unknown: 0.2 };
      const sane = sequentialHistory(shape, random);
      expect(check(registers, sane).outcome, `seed ${seed}, unchanged`).toBe('linearizable');
      const changed = mutated(mutated(sane, shape, random), shape, random);
      const expected = isLinearizable(
        { ...registers, step: stepOfAll, initial: noValues, key: () => '' },
        changed,
      );
      const { outcome } = check(registers, changed);
      counts[outcome] += 1;
      expect(outcome, `seed ${seed}`).toBe(expected ? 'linearizable' : 'violation');
    }
    expect(Math.min(counts.linearizable, counts.violation)).toBeGreaterThan(500);
  });

  it('finds the place of a long read among many writes whose outcome is unknown', () => {
    const history: RegisterOperation[] = [write([0, 1], 1), read([2, 2_000], 1)];
    for (let value = 2; value < 150; value += 1) {
      const at = 10 * value;
      history.push(write([at, at + 25], value), write([at, unknown], 1_000 + value));
      if (value % 5 === 0) history.push(read([at + 3, at + 4], 1_000 + value));
    }
    const verdict = check(registers, history, { statesMax: 100_000 });
    expect(verdict.outcome).toBe('linearizable');
  });

  it('checks ten thousand operations with few states beyond one for each', () => {
    const shape = { operations: 10_000, clients: 8, keys: 1, values: 1_000, unknown: 0.001 };
    const history = sequentialHistory(shape, seededRandom(11));
    const verdict = check(registers, history, { statesMax: 40 * history.length });
    expect(verdict.outcome).toBe('linearizable');
  });
});

const noValues: ReadonlyMap<string, { value: number | null }> = new Map();

/** The registers as one object, so that brute force knows nothing of independence. */
function stepOfAll(
  state: ReadonlyMap<string, { value: number | null }>,
  input: RegisterInput,
  output: RegisterOutput | undefined,
): ReadonlyMap<string, { value: number | null }> | undefined {
  const next = registers.step(state.get(input.key) ?? registers.initial, input, output);
  return next === undefined ? undefined : new Map(state).set(input.key, next);
}

describe('account balances as one object', () => {
  const model = balanceModel(
    new Map([
      ['a', 100n],
      ['b', 0n],
    ]),
  );
  const transfer = (interval: Interval, [from, to]: string, amount: bigint, done = true) =>
    operation<BalanceInput, BalanceOutput>(
      { kind: 'transfer', from: String(from), to: String(to), amount, fee: 1n },
      interval,
      done,
    );
  const balances = (interval: Interval, a: bigint, b: bigint) =>
    operation<BalanceInput, BalanceOutput>({ kind: 'read', accounts: ['a', 'b'] }, interval, [
      a,
      b,
    ]);

  it('accepts a transfer that takes the amount and the fee', () => {
    requireLinearizable(model, [transfer([0, 1], 'ab', 40n), balances([2, 3], 59n, 40n)]);
  });

  it('refuses a read that sees one half of a transfer', () => {
    const history = [transfer([0, 9], 'ab', 40n), balances([1, 2], 100n, 40n)];
    expect(check(model, history).outcome).toBe('violation');
  });

  it('refuses a transfer made twice', () => {
    const history = [transfer([0, 1], 'ab', 40n), balances([2, 3], 18n, 80n)];
    expect(check(model, history).outcome).toBe('violation');
  });

  it('accepts a refusal only of what is not covered', () => {
    requireLinearizable(model, [transfer([0, 1], 'ab', 100n, false)]);
    expect(check(model, [transfer([0, 1], 'ab', 99n, false)]).outcome).toBe('violation');
  });

  it('lets a transfer of unknown outcome take effect once, at any later time, or never', () => {
    const lost = transfer([0, undefined], 'ab', 10n);
    const before = balances([1, 2], 100n, 0n);
    const after = balances([3, 4], 89n, 10n);
    requireLinearizable(model, [lost, before]);
    requireLinearizable(model, [lost, before, after]);
    const back = balances([5, 6], 100n, 0n);
    expect(check(model, [lost, before, after, back]).outcome).toBe('violation');
  });

  it('agrees with brute force on short histories of transfers and reads', () => {
    const names = ['a', 'b', 'c'];
    const counts = { linearizable: 0, violation: 0, undecided: 0 };
    for (let seed = 1; seed <= 1_000; seed += 1) {
      const random = seededRandom(seed);
      const pick = (count: number) => Math.floor(random() * count);
      const start = new Map(names.map((name) => [name, BigInt(pick(4))]));
      const three = balanceModel(start);
      let state = three.initial;
      const history = Array.from({ length: 6 }, (_, position) => {
        const [from, to] = [names[pick(3)]!, names[pick(3)]!];
        const input: BalanceInput =
          random() < 0.5
            ? { kind: 'read', accounts: [from] }
            : { kind: 'transfer', from, to, amount: BigInt(1 + pick(2)), fee: 0n };
        const output = answer(state, input, random() < 0.1);
        if (random() < 0.9) state = three.step(state, input, undefined) ?? state;
        const at = 10 * position;
        const endsAt = random() < 0.3 ? undefined : at + pick(30);
        return operation<BalanceInput, BalanceOutput>(input, [at - pick(30), endsAt], output);
      });
      const { outcome } = check(three, history);
      counts[outcome] += 1;
      const expected = isLinearizable(three, history) ? 'linearizable' : 'violation';
      expect(outcome, `seed ${seed}`).toBe(expected);
    }
    expect(Math.min(counts.linearizable, counts.violation)).toBeGreaterThan(300);
  });
});

function answer(
  balances: ReadonlyMap<string, bigint>,
  input: BalanceInput,
  isWrong: boolean,
): BalanceOutput {
  const has = (account: string) => balances.get(account) ?? 0n;
  if (input.kind === 'read')
    return input.accounts.map((account) => has(account) + (isWrong ? 1n : 0n));
  return has(input.from) >= input.amount + input.fee !== isWrong;
}
