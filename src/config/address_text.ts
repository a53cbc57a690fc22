import { keccak_256 } from '@noble/hashes/sha3.js';
import { fromHex, toHex, utf8 } from '../lib/bytes.ts';
import { ADDRESS_BYTES, type Address } from '../types/primitives.ts';

/** The 0x form with the checksum of EIP-55 in its letters' case. */
export function addressText(address: Address): string {
  const digits = toHex(address);
  const digest = toHex(keccak_256(utf8(digits)));
  const cased = [...digits].map((digit, position) =>
    Number.parseInt(digest[position] ?? '0', 16) >= 8 ? digit.toUpperCase() : digit,
  );
  return `0x${cased.join('')}`;
}

/** Reads 0x and 40 hex digits; mixed case must be the checksum of EIP-55. A string result says what is wrong. */
export function parseAddress(text: string): Address | string {
  const address = text.startsWith('0x') ? fromHex(text) : undefined;
  if (address?.length !== ADDRESS_BYTES) return 'must be an address: 0x and 40 hex digits';
  const digits = text.slice(2);
  const isMixed = digits !== digits.toLowerCase() && digits !== digits.toUpperCase();
  const expected = addressText(address);
  if (isMixed && text !== expected)
    return `has a wrong checksum (EIP-55): check each digit; these digits would be ${expected}`;
  return address;
}
