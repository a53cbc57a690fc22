import { expect, test } from 'vitest';
import {
  packAccounts,
  packAddresses,
  packBytes,
  packSlotKeys,
  unpackAccounts,
  unpackAddresses,
  unpackBytes,
  unpackSlotKeys,
} from '../../../src/execution/packing.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { SeededRandom } from '../crypto/random.ts';
import { address, word } from './fixture.ts';

test('what is packed is unpacked again', () => {
  const random = new SeededRandom(7);
  for (const count of [0, 1, 50]) {
    const parts = Array.from({ length: count }, () => random.bytes(random.below(70)));
    expect(unpackBytes(packBytes(parts))).toEqual(parts);
    const addresses = Array.from({ length: count }, () => random.bytes(20));
    expect(unpackAddresses(packAddresses(addresses))).toEqual(addresses);
    const keys = addresses.map((holder) => ({ address: holder, slot: random.bytes(32) }));
    expect(unpackSlotKeys(packSlotKeys(keys))).toEqual(keys);
  }
});

test('accounts keep the whole range of their numbers', () => {
  const accounts = [
    undefined,
    { nonce: 0n, balance: 0n, codeHash: EMPTY_CODE_HASH },
    { nonce: (1n << 64n) - 1n, balance: (1n << 256n) - 1n, codeHash: word(9n) },
    { nonce: 5n, balance: 1n << 200n, codeHash: word(1n << 255n) },
    undefined,
  ];
  expect(unpackAccounts(packAccounts(accounts))).toEqual(accounts);
});

test('a key of the wrong length is our own mistake', () => {
  expect(() => packAddresses([address(1).slice(1)])).toThrow('20 bytes');
});
