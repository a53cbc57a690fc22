import { describe, expect, test } from 'vitest';
import { contractAddress } from '../../../src/crypto/transaction.ts';
import { executeBlock } from '../../../src/execution/executor.ts';
import type { StateReader } from '../../../src/execution/state_reader.ts';
import { assignSigners, deriveSigner } from '../../../src/lab/signer.ts';
import { type GeneratorOptions, generateWorkload } from '../../../src/lab/workload_generator.ts';
import { WorkloadModel } from '../../../src/lab/workload_model.ts';
import { type Operation, touchedKeys } from '../../../src/lab/workload_operation.ts';
import {
  CALL_GAS_LIMIT,
  CONTRACT_OF,
  type SignedTransaction,
  signCreation,
  signOperations,
  slotOf,
} from '../../../src/lab/workload_transactions.ts';
import { bytesToBigInt, toHex } from '../../../src/lib/bytes.ts';
import type { Account, Delta, Outcome } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH, ZERO_HASH } from '../../../src/types/primitives.ts';
import { decodeTransaction } from '../../../src/types/transaction.ts';

const TERMS = { chainId: 1n, maxFeePerGas: 100n, maxPriorityFeePerGas: 0n };
const BALANCE = 10n ** 30n;

/** State in maps, on which the real executor runs blocks. */
class MapState implements StateReader {
  readonly #accounts = new Map<string, Account>();
  readonly #slots = new Map<string, Uint8Array>();
  readonly #codes = new Map<string, Uint8Array>();
  #height = 0;

  fund(address: Uint8Array): void {
    this.#accounts.set(toHex(address), { nonce: 0n, balance: BALANCE, codeHash: EMPTY_CODE_HASH });
  }

  slot(address: Uint8Array, slot: Uint8Array): bigint {
    return bytesToBigInt(this.#slots.get(toHex(address) + toHex(slot)) ?? new Uint8Array(0));
  }

  async run(transactions: readonly SignedTransaction[]): Promise<Outcome> {
    this.#height += 1;
    const context = {
      chainId: 1n,
      height: this.#height,
      timestampMs: this.#height * 1000,
      coinbase: new Uint8Array(20).fill(9),
      baseFeePerGas: 1n,
      gasLimit: 10n ** 12n,
      prevRandao: ZERO_HASH,
      forks: [{ name: 'cancun' as const, height: 0 }],
    };
    const outcome = await executeBlock({ blockId: ZERO_HASH, context, transactions }, this);
    this.#apply(outcome.delta);
    return outcome;
  }

  #apply(delta: Delta): void {
    for (const { address, account, slots } of delta.accounts) {
      if (account !== null) this.#accounts.set(toHex(address), account);
      for (const { slot, value } of slots) this.#slots.set(toHex(address) + toHex(slot), value);
    }
    for (const { codeHash, code } of delta.codes) this.#codes.set(toHex(codeHash), code);
  }

  async accounts(addresses: readonly Uint8Array[]): Promise<(Account | undefined)[]> {
    return addresses.map((address) => this.#accounts.get(toHex(address)));
  }

  async slots(keys: readonly { address: Uint8Array; slot: Uint8Array }[]): Promise<Uint8Array[]> {
    return keys.map(
      ({ address, slot }) => this.#slots.get(toHex(address) + toHex(slot)) ?? new Uint8Array(0),
    );
  }

  async code(codeHash: Uint8Array): Promise<Uint8Array> {
    return this.#codes.get(toHex(codeHash)) ?? new Uint8Array(0);
  }

  async blockHash(): Promise<undefined> {
    return undefined;
  }
}

const base: GeneratorOptions = {
  family: 'wallet',
  transactions: 400,
  conflictPercent: 10,
  seed: 11,
  orderSensitive: false,
};

async function execute(options: GeneratorOptions) {
  const workload = generateWorkload(options);
  const issuer = deriveSigner('issuer');
  const signers = assignSigners(workload, { issuer, seed: 'test', signersMax: 8 });
  const state = new MapState();
  for (const { address } of [issuer, ...signers.all]) state.fund(address);
  const contract = contractAddress(issuer.address, 0n);
  const name = CONTRACT_OF[options.family];
  if (name !== undefined) {
    const created = await state.run([signCreation(name, issuer, TERMS)]);
    expect(created.receipts[0]?.succeeded).toBe(true);
  }
  const operations = [...workload.setup, ...workload.operations];
  const signed = signOperations(operations, { signers, contract, terms: TERMS });
  const outcome = await state.run(signed);
  const model = new WorkloadModel();
  const succeeded = operations.map((operation) => model.apply(operation));
  return { workload, signers, state, contract, signed, outcome, model, succeeded, issuer };
}

describe.each([false, true])('order-sensitive: %s', (orderSensitive) => {
  test.each(['wallet', 'voting', 'token'] as const)(
    'the %s contract does exactly what the model says',
    async (family) => {
      const run = await execute({ ...base, family, orderSensitive });
      expect(run.outcome.receipts.map(({ succeeded }) => succeeded)).toEqual(run.succeeded);
      expect(run.succeeded.includes(false)).toBe(orderSensitive);
      const { model, state, contract } = run;
      for (const [account, value] of model.wallets)
        expect(state.slot(contract, slotOf.wallet(account))).toBe(value);
      for (const [voter, value] of model.voters)
        expect(state.slot(contract, slotOf.voter(voter))).toBe(value);
      for (const [candidate, value] of model.candidates)
        expect(state.slot(contract, slotOf.candidate(candidate))).toBe(value);
      if (family === 'token')
        for (const [holder, value] of model.tokens)
          expect(state.slot(contract, slotOf.token(run.signers.holder(holder).address))).toBe(
            value,
          );
    },
  );
});

test.each(['wallet', 'voting', 'token', 'payments'] as const)(
  '%s access lists name exactly the slots that an operation touches',
  async (family) => {
    const { signed, workload, contract } = await execute({ ...base, family });
    const operations: Operation[] = [...workload.setup, ...workload.operations];
    for (const [index, { raw }] of signed.entries()) {
      const { accessList } = decodeTransaction(raw);
      const slots = accessList.flatMap((entry) => entry.slots);
      if (family === 'payments') expect(accessList).toEqual([]);
      else {
        expect(accessList.map(({ address }) => toHex(address))).toEqual([toHex(contract)]);
        expect(slots.length).toBe(touchedKeys(operations[index] as Operation).length);
      }
    }
  },
);

test('the gas limit of calls is above what any of them uses, and not by far', async () => {
  for (const family of ['wallet', 'voting', 'token'] as const) {
    const { outcome } = await execute({ ...base, family });
    let before = 0n;
    let most = 0n;
    for (const { cumulativeGasUsed } of outcome.receipts) {
      const used = cumulativeGasUsed - before;
      before = cumulativeGasUsed;
      if (used > most) most = used;
    }
    expect(most).toBeLessThan(CALL_GAS_LIMIT);
    expect(most).toBeGreaterThan(CALL_GAS_LIMIT / 2n);
  }
});

test('while there are enough, every payer has a signer of its own', () => {
  const workload = generateWorkload(base);
  const issuer = deriveSigner('issuer');
  const payers = new Set(
    workload.operations.map((operation) => ('from' in operation ? operation.from : '')),
  );
  const own = assignSigners(workload, { issuer, seed: 'x', signersMax: 1000 });
  const chosen = new Set(workload.operations.map((operation) => own.signerOf(operation)));
  expect(chosen.size).toBe(payers.size);
  const shared = assignSigners(workload, { issuer, seed: 'x', signersMax: 3 });
  expect(shared.all.length).toBe(3);
  expect(shared.all[0]?.secretKey).toEqual(own.all[0]?.secretKey);
  const other = assignSigners(workload, { issuer, seed: 'y', signersMax: 3 });
  expect(other.all[0]?.secretKey).not.toEqual(own.all[0]?.secretKey);
});
