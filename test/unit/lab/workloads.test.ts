import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseOperations, readWorkloadFile } from '../../../src/lab/workload_file.ts';
import {
  conflictShape,
  type GeneratorOptions,
  generateWorkload,
} from '../../../src/lab/workload_generator.ts';
import { replay, WorkloadModel } from '../../../src/lab/workload_model.ts';
import { conflictPercentOf, type Operation } from '../../../src/lab/workload_operation.ts';

const PUBLISHED = fileURLToPath(new URL('../../../../shared/workloads/', import.meta.url));

describe('the published format', () => {
  test('tabs, CRLF, blank lines and a missing last newline are read', () => {
    const text =
      './walletClientMain\tdeposit\tA1\tpass\t100000\t\r\n\r\n' +
      './walletClientMain transfer A1 pass B2 pass 5\n  \n' +
      'walletClientMain   withdraw A1 pass 7';
    expect(parseOperations(text, 'here')).toEqual([
      { kind: 'deposit', account: 'A1pass', amount: 100_000n },
      { kind: 'transfer', from: 'A1pass', to: 'B2pass', amount: 5n },
      { kind: 'withdraw', account: 'A1pass', amount: 7n },
    ]);
  });

  test('voting operations are read', () => {
    const text =
      './votingClientMain registerVoter X\n./votingClientMain registerCandidate Y\n' +
      './votingClientMain castVote X Y\n./votingClientMain transferVote X Z 3';
    expect(parseOperations(text, 'here')).toEqual([
      { kind: 'registerVoter', voter: 'X' },
      { kind: 'registerCandidate', candidate: 'Y' },
      { kind: 'castVote', voter: 'X', candidate: 'Y' },
      { kind: 'transferVote', from: 'X', to: 'Z', amount: 3n },
    ]);
  });

  test.each([
    ['./walletClientMain steal A pass 5', 'f.txt:2: "walletClientMain steal" is unknown'],
    ['./walletClientMain deposit A pass', 'f.txt:2: walletClientMain deposit takes'],
    ['./walletClientMain deposit A pass -5', 'f.txt:2: "-5" is not an amount'],
    ['./walletClientMain deposit A pass 1e9', 'f.txt:2: "1e9" is not an amount'],
  ])('%s is refused with its line', (line, message) => {
    expect(() => parseOperations(`\n${line}\n`, 'f.txt')).toThrow(message);
  });

  test('a missing file is a typed error', () => {
    expect(() => readWorkloadFile('/nowhere/1-1.txt')).toThrow('cannot read workload');
  });
});

describe('the model', () => {
  test('what cannot be paid changes nothing', () => {
    const model = new WorkloadModel();
    const failed = replay(model, [
      { kind: 'deposit', account: 'a', amount: 5n },
      { kind: 'transfer', from: 'a', to: 'b', amount: 6n },
      { kind: 'withdraw', account: 'a', amount: 6n },
      { kind: 'castVote', voter: 'x', candidate: 'y' },
      { kind: 'transferVote', from: 'x', to: 'z', amount: 1n },
    ]);
    expect(failed).toBe(4);
    expect([...model.wallets]).toEqual([['a', 5n]]);
    expect(model.voters.size + model.candidates.size).toBe(0);
  });

  test('a transfer to oneself changes nothing', () => {
    const model = new WorkloadModel();
    model.apply({ kind: 'deposit', account: 'a', amount: 5n });
    expect(model.apply({ kind: 'transfer', from: 'a', to: 'a', amount: 3n })).toBe(true);
    expect(model.wallets.get('a')).toBe(5n);
  });
});

describe.skipIf(!existsSync(PUBLISHED))('the published files', () => {
  test.each([
    ['wallet/1000-3.txt', '91771c7205e361f6eb5420f2591e879d'],
    ['wallet/4000-0.txt', 'e208961ccac8eeb268969e69c846db54'],
    ['wallet/4000-3.txt', '1bce40f5a5d7c79d07126f6a5c51c41a'],
    ['wallet/4000-100.txt', '2df64dfae58647f01b5de263796f2a92'],
    ['voting/1000-3.txt', '138f6422890c89b820fe729ad8289e40'],
    ['voting/4000-0.txt', 'd783bc4a83a4820ba6228fd468a6d68c'],
    ['voting/4000-3.txt', '9a2757a898d06c17844ea99c302bc624'],
    ['voting/4000-100.txt', '2e0854371ae0feb05fb858c2da04e44a'],
  ])('%s replays to the published final state', (file, digest) => {
    const workload = readWorkloadFile(PUBLISHED + file);
    const model = new WorkloadModel();
    expect(replay(model, workload.setup) + replay(model, workload.operations)).toBe(0);
    expect(model.digest()).toBe(digest);
  });

  test.each(
    existsSync(PUBLISHED)
      ? readdirSync(`${PUBLISHED}wallet`).filter((file) => /^\d+-\d+\.txt$/.test(file))
      : [],
  )('wallet/%s has about the conflicts that its name says', (file) => {
    const named = Number(/-(\d+)/.exec(file)?.[1]);
    const measured = conflictPercentOf(readWorkloadFile(`${PUBLISHED}wallet/${file}`).operations);
    expect(Math.abs(measured - named)).toBeLessThanOrEqual(Math.max(0.5, named * 0.05));
  });
});

describe('the generator', () => {
  const base: GeneratorOptions = {
    family: 'wallet',
    transactions: 2000,
    conflictPercent: 3,
    seed: 7,
    orderSensitive: false,
  };

  test('equal options give equal workloads, another seed another one', () => {
    expect(generateWorkload(base)).toEqual(generateWorkload(base));
    expect(generateWorkload({ ...base, seed: 8 }).operations).not.toEqual(
      generateWorkload(base).operations,
    );
  });

  test.each([[0.1], [1], [2], [3], [5], [20], [40], [100]])(
    '%d %% of conflicts comes out for each family',
    (conflictPercent) => {
      for (const family of ['wallet', 'voting', 'payments', 'token'] as const) {
        const { operations } = generateWorkload({ ...base, family, conflictPercent });
        expect(operations.length).toBe(base.transactions);
        const measured = conflictPercentOf(operations);
        expect(Math.abs(measured - conflictPercent) / conflictPercent).toBeLessThan(0.25);
      }
    },
  );

  test.each(['wallet', 'voting', 'token'] as const)(
    'no %s operation fails in any order',
    (family) => {
      const workload = generateWorkload({
        ...base,
        family,
        transactions: 5000,
        conflictPercent: 20,
      });
      for (const order of [workload.operations, workload.operations.toReversed()]) {
        const model = new WorkloadModel();
        expect(replay(model, workload.setup) + replay(model, order)).toBe(0);
      }
    },
  );

  test.each(['wallet', 'voting', 'token'] as const)(
    'order decides what fails in an order-sensitive %s workload',
    (family) => {
      const workload = generateWorkload({ ...base, family, orderSensitive: true });
      const outcomes = [workload.operations, workload.operations.toReversed()].map((order) => {
        const model = new WorkloadModel();
        replay(model, workload.setup);
        const failed = replay(model, order);
        expect(failed).toBeGreaterThan(0);
        expect(failed).toBeLessThan(order.length);
        return family === 'token' ? [...model.tokens].sort().join() : model.digest();
      });
      expect(outcomes[0]).not.toBe(outcomes[1]);
    },
  );

  test('nobody pays itself', () => {
    const isSelf = (operation: Operation): boolean =>
      'from' in operation && operation.from === operation.to;
    for (const family of ['wallet', 'voting', 'payments', 'token'] as const) {
      const { operations } = generateWorkload({ ...base, family, conflictPercent: 100 });
      expect(operations.some(isSelf)).toBe(false);
    }
  });

  test('total conflict takes three accounts, no conflict many', () => {
    expect(conflictShape(100)).toEqual({ groups: 1, accountsPerGroup: 3 });
    expect(conflictShape(0).accountsPerGroup * conflictShape(0).groups).toBeGreaterThan(3000);
  });

  test.each([
    [{ transactions: 0 }, 'transactions must be'],
    [{ conflictPercent: 101 }, 'the conflict percentage must be'],
    [{ seed: 1.5 }, 'the seed must be'],
    [{ family: 'payments' as const, orderSensitive: true }, 'payments never run dry'],
    [{ family: 'voting' as const, conflictPercent: 100, transactions: 100_000 }, 'have spent'],
  ])('%j is refused', (change, message) => {
    expect(() => generateWorkload({ ...base, ...change })).toThrow(message);
  });
});
