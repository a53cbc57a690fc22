import { getAddress, parseEther } from 'ethers';
import { expect, test } from 'vitest';
import { addressText, parseAddress } from '../../../src/config/address_text.ts';
import { parseAmount } from '../../../src/config/amount.ts';
import { isDialableHost, isLoopbackHost } from '../../../src/lib/host.ts';

test('addresses are written and read as EIP-55 says, like another library', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const address = Uint8Array.from({ length: 20 }, (_, index) => (seed * 89 + index * 37) % 256);
    const text = addressText(address);
    expect(text).toBe(getAddress(`0x${Buffer.from(address).toString('hex')}`));
    for (const form of [text, text.toLowerCase(), `0x${text.slice(2).toUpperCase()}`])
      expect(parseAddress(form)).toEqual(address);
  }
});

test.each(['', '0x', '5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', `0x${'0'.repeat(41)}`, '0xzz'])(
  '"%s" is no address',
  (text) => {
    expect(parseAddress(text)).toBe('must be an address: 0x and 40 hex digits');
  },
);

test('amounts are exact', () => {
  expect(parseAmount('1000 ether')).toBe(parseEther('1000'));
  expect(parseAmount('0.000000000000000001 ether')).toBe(1n);
  expect(parseAmount('1.5 gwei')).toBe(1_500_000_000n);
  expect(parseAmount('7')).toBe(7n);
  expect(parseAmount('7wei')).toBe(7n);
  for (const text of ['', '-1', '1.5', '1.5 wei', '1 eth', '1  ether', '1e3', '.5 ether', '0x1'])
    expect(parseAmount(text)).toBeUndefined();
});

test('hosts that others can dial', () => {
  const good = ['localhost', '127.0.0.1', '::1', 'fd00::1', 'a.example', 'node-1', '10.0.0.1'];
  const bad = ['', '0.0.0.0', '::', '[::1]', 'a:1', 'a b', '-a', 'a..b', '300.1.1.1', 'a_b'];
  expect(good.filter(isDialableHost)).toEqual(good);
  expect(bad.filter(isDialableHost)).toEqual([]);
  const loopback = ['localhost', 'LOCALHOST', '127.0.0.1', '127.255.0.3', '::1'];
  expect([...loopback, '10.0.0.1', 'fd00::1', '127.example'].filter(isLoopbackHost)).toEqual(
    loopback,
  );
});
