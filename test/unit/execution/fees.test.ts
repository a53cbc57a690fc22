import { describe, expect, test } from 'vitest';
import {
  effectiveGasPrice,
  floorGas,
  forkAt,
  gasShape,
  intrinsicGas,
  minimumGasLimitFor,
  nextBaseFee,
  worstCaseCost,
} from '../../../src/execution/fees.ts';
import { address, bytes, word } from './fixture.ts';

const plain = { to: address(1), data: new Uint8Array(0), accessList: [] };

describe('gas before execution', () => {
  test.each([
    ['a transfer', plain, 21_000n],
    [
      'zero and other bytes of data',
      { ...plain, data: bytes('0x00ff00ff01') },
      21_000n + 2n * 4n + 3n * 16n,
    ],
    [
      'an access list',
      { ...plain, accessList: [{ address: address(2), slots: [word(1n), word(2n)] }] },
      21_000n + 2_400n + 2n * 1_900n,
    ],
    [
      'a creation with 33 bytes of init code',
      { ...plain, to: undefined, data: new Uint8Array(33).fill(1) },
      53_000n + 33n * 16n + 2n * 2n,
    ],
  ])('%s', (_, transaction, gas) => {
    expect(intrinsicGas(gasShape(transaction))).toBe(gas);
  });

  test('EIP-7623 sets a floor for data from Prague on', () => {
    const shape = gasShape({ ...plain, data: bytes('0x00ff') });
    expect(floorGas(shape, 'cancun')).toBe(0n);
    expect(floorGas(shape, 'prague')).toBe(21_000n + 10n * 5n);
    expect(minimumGasLimitFor(shape, 'cancun')).toBe(21_020n);
    expect(minimumGasLimitFor(shape, 'prague')).toBe(21_050n);
  });

  test('the rule set is that of the last fork reached', () => {
    const forks = [
      { name: 'cancun', height: 0 },
      { name: 'prague', height: 10 },
    ] as const;
    expect([0, 9, 10, 11].map((height) => forkAt(forks, height))).toEqual([
      'cancun',
      'cancun',
      'prague',
      'prague',
    ]);
    expect(() => forkAt([], 3)).toThrow('no rule set');
  });
});

describe('prices', () => {
  test('the effective price is the base fee and the tip, up to the cap', () => {
    const price = (maxFeePerGas: bigint, maxPriorityFeePerGas: bigint) =>
      effectiveGasPrice({ maxFeePerGas, maxPriorityFeePerGas }, 10n);
    expect(price(100n, 3n)).toBe(13n);
    expect(price(12n, 3n)).toBe(12n);
    expect(price(10n, 10n)).toBe(10n);
  });

  test('the worst case is value and gas limit at the cap', () => {
    expect(worstCaseCost({ value: 5n, gasLimit: 21_000n, maxFeePerGas: 3n })).toBe(63_005n);
  });

  const parent = { baseFeePerGas: 1_000n, gasLimit: 20_000n, floor: 7n };
  test.each([
    ['stays at the target', 10_000n, 1_000n],
    ['rises by an eighth when full', 20_000n, 1_125n],
    ['falls by an eighth when empty', 0n, 875n],
    ['moves in proportion', 9_000n, 988n],
  ])('the base fee %s', (_, gasUsed, next) => {
    expect(nextBaseFee({ ...parent, gasUsed })).toBe(next);
  });

  test('the base fee rises by at least one and never falls below its floor', () => {
    expect(nextBaseFee({ ...parent, baseFeePerGas: 7n, gasUsed: 10_001n })).toBe(8n);
    expect(nextBaseFee({ ...parent, baseFeePerGas: 8n, gasUsed: 0n })).toBe(7n);
    expect(nextBaseFee({ ...parent, baseFeePerGas: 7n, gasUsed: 0n })).toBe(7n);
  });
});
