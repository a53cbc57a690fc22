import { expect, test } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { genesisDelta } from '../../../src/execution/genesis_state.ts';
import type { Genesis, GenesisAccount } from '../../../src/types/genesis.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { address, word } from './fixture.ts';

const NOTHING = new Uint8Array(0);
const CODE = Uint8Array.of(0x60, 0, 0);

function genesis(accounts: readonly GenesisAccount[]): Genesis {
  return {
    chainId: 1n,
    timestampMs: 0,
    parameters: {
      blockGasLimit: 1n,
      blockBytesMax: 1,
      transactionBytesMax: 1,
      segmentTransactions: 1,
      baseFeeInitial: 1n,
      baseFeeFloor: 1n,
      clockSkewMsMax: 1,
      forks: [{ name: 'cancun', height: 0 }],
    },
    validators: [],
    accounts,
  };
}

function account(number: number, fields: Partial<GenesisAccount>): GenesisAccount {
  return {
    address: address(number),
    balance: 0n,
    nonce: 0n,
    code: NOTHING,
    storage: [],
    ...fields,
  };
}

test('accounts, code and storage become the first delta', () => {
  const storage = [{ slot: word(1n), value: Uint8Array.of(4) }];
  const delta = genesisDelta(
    genesis([
      account(1, { balance: 8n }),
      account(2, {}),
      account(3, { code: CODE, storage }),
      account(4, { nonce: 2n, code: CODE }),
    ]),
  );
  const codeHash = keccak256(CODE);
  expect(delta).toEqual({
    accounts: [
      {
        address: address(1),
        account: { nonce: 0n, balance: 8n, codeHash: EMPTY_CODE_HASH },
        slots: [],
      },
      { address: address(3), account: { nonce: 0n, balance: 0n, codeHash }, slots: storage },
      { address: address(4), account: { nonce: 2n, balance: 0n, codeHash }, slots: [] },
    ],
    codes: [{ codeHash, code: CODE }],
  });
});

test('storage without code or nonce is refused', () => {
  const storage = [{ slot: word(1n), value: Uint8Array.of(4) }];
  expect(() => genesisDelta(genesis([account(1, { balance: 8n, storage })]))).toThrow(
    expect.objectContaining({ code: 'BAD_GENESIS' }),
  );
});
