import { describe, expect, test } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { BlockBudget, invalidTransaction } from '../../../src/execution/block_rules.ts';
import { INIT_CODE_BYTES_MAX } from '../../../src/execution/fees.ts';
import type { Account } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { decodeTransaction, type Transaction } from '../../../src/types/transaction.ts';
import type { ConsensusParameters } from '../../../src/types/validator.ts';
import { address, CHAIN_ID, rawTransaction } from './fixture.ts';

const ALICE = address(1);
const BOB = address(2);
const CONTRACT = address(3);

const parameters: ConsensusParameters = {
  blockGasLimit: 100_000n,
  blockBytesMax: 60_000,
  transactionBytesMax: 55_000,
  segmentTransactions: 64,
  baseFeeInitial: 10n,
  baseFeeFloor: 7n,
  clockSkewMsMax: 500,
  forks: [
    { name: 'cancun', height: 0 },
    { name: 'prague', height: 10 },
  ],
};

const accounts: readonly [Uint8Array, Account][] = [
  [ALICE, { nonce: 5n, balance: 10_000_000n, codeHash: EMPTY_CODE_HASH }],
  [CONTRACT, { nonce: 1n, balance: 10_000_000n, codeHash: keccak256(Uint8Array.of(0)) }],
];

function accountOf(wanted: Uint8Array): Account | undefined {
  return accounts.find(([known]) => Buffer.from(known).equals(wanted))?.[1];
}

/** A transfer of Alice's that costs 21,000 gas at 100 wei at most. */
function transaction(fields: Partial<Transaction> = {}, sender = ALICE) {
  const raw = rawTransaction({ nonce: 5n, to: BOB, gasLimit: 21_000n, ...fields });
  return { raw, sender, transaction: decodeTransaction(raw) };
}

function check(transactions: ReturnType<typeof transaction>[], height = 1) {
  return invalidTransaction(
    { chainId: CHAIN_ID, height, baseFeePerGas: 10n, parameters, transactions },
    accountOf,
  );
}

describe('static validity of a block', () => {
  test('consecutive affordable transactions are valid', () => {
    expect(check([])).toBeUndefined();
    expect(check([transaction(), transaction({ nonce: 6n }), transaction({ nonce: 7n })])).toBe(
      undefined,
    );
    expect(check([transaction({ value: 7_900_000n })])).toBeUndefined();
  });

  test.each([
    ['WRONG_CHAIN_ID', { chainId: 9n }],
    ['WRONG_CHAIN_ID', { type: 0, chainId: undefined }],
    ['TRANSACTION_TOO_LARGE', { data: new Uint8Array(55_000), gasLimit: 1_000_000n }],
    ['INIT_CODE_TOO_LARGE', { to: undefined, data: new Uint8Array(INIT_CODE_BYTES_MAX + 1) }],
    ['GAS_LIMIT_TOO_LOW', { gasLimit: 20_999n }],
    ['GAS_LIMIT_TOO_LOW', { to: undefined, gasLimit: 52_999n }],
    ['PRIORITY_FEE_ABOVE_CAP', { maxPriorityFeePerGas: 101n }],
    ['NONCE_TOO_HIGH', { nonce: (1n << 64n) - 1n }],
    ['FEE_CAP_BELOW_BASE_FEE', { maxFeePerGas: 9n }],
    ['BLOCK_GAS_EXCEEDED', { gasLimit: 100_001n, maxFeePerGas: 10n }],
    ['NONCE_TOO_LOW', { nonce: 4n }],
    ['NONCE_GAP', { nonce: 6n }],
    ['INSUFFICIENT_FUNDS', { value: 7_900_001n }],
  ] as const)('%s: %o', (reason, fields) => {
    expect(check([transaction(fields)])).toEqual({ index: 0, reason });
  });

  test('a stranger has nothing to pay with, and contracts do not sign', () => {
    expect(check([transaction({ nonce: 0n }, BOB)])?.reason).toBe('INSUFFICIENT_FUNDS');
    expect(check([transaction({ nonce: 1n }, CONTRACT)])?.reason).toBe('SENDER_HAS_CODE');
  });

  test('what earlier transactions claim is gone for later ones', () => {
    const costly = { value: 5_000_000n };
    expect(check([transaction(costly), transaction({ nonce: 6n, ...costly })])).toEqual({
      index: 1,
      reason: 'INSUFFICIENT_FUNDS',
    });
    const wide = { gasLimit: 50_000n, maxFeePerGas: 10n };
    const three = [5n, 6n, 7n].map((nonce) => transaction({ nonce, ...wide }));
    expect(check(three)).toEqual({ index: 2, reason: 'BLOCK_GAS_EXCEEDED' });
    const long = { data: new Uint8Array(1_000) };
    const bulky = Array.from({ length: 3 }, (_, index) =>
      transaction({ nonce: 5n + BigInt(index), gasLimit: 33_000n, maxFeePerGas: 10n, ...long }),
    );
    expect(check(bulky)).toBeUndefined();
  });

  test('the bytes of a block are limited', () => {
    const budget = new BlockBudget(
      { baseFeePerGas: 0n, blockGasLimit: 10n, blockBytesMax: 5 },
      accountOf,
    );
    const added = (nonce: bigint, bytes: number) =>
      budget.tryAdd({
        sender: ALICE,
        nonce,
        gasLimit: 1n,
        maxFeePerGas: 0n,
        worstCaseCost: 0n,
        raw: new Uint8Array(bytes),
      });
    expect([added(5n, 3), added(6n, 3), added(6n, 2), added(7n, 1)]).toEqual([
      'ACCEPTED',
      'BLOCK_BYTES_EXCEEDED',
      'ACCEPTED',
      'BLOCK_BYTES_EXCEEDED',
    ]);
    expect(budget.gasLeft).toBe(8n);
  });

  test('the rule set of the height decides', () => {
    const data = transaction({ data: new Uint8Array(50).fill(1), gasLimit: 22_000n });
    expect(check([data], 9)).toBeUndefined();
    expect(check([data], 10)).toEqual({ index: 0, reason: 'GAS_LIMIT_TOO_LOW' });
  });
});
