import { keccak_256 } from '@noble/hashes/sha3.js';
import { describe, expect, it } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { SeededRandom } from './random.ts';

describe('keccak256', () => {
  it('equals the reference for every length around the block size, and for long input', () => {
    const random = new SeededRandom(1);
    const lengths = [...Array.from({ length: 300 }, (_, length) => length), 16_384, 100_001];
    for (const length of lengths) {
      const bytes = random.bytes(length);
      expect(keccak256(bytes), `length ${length}`).toEqual(keccak_256(bytes));
    }
  });

  it('hashes nothing to the empty code hash', () => {
    expect(keccak256(new Uint8Array(0))).toEqual(EMPTY_CODE_HASH);
  });

  it('gives a result that later calls leave alone, and reads views where they start', () => {
    const whole = new SeededRandom(2).bytes(64);
    const first = keccak256(whole.subarray(8, 40));
    const copy = first.slice();
    keccak256(whole);
    expect(first).toEqual(copy);
    expect(first).toEqual(keccak_256(whole.slice(8, 40)));
    expect(keccak256(Buffer.from(whole))).toEqual(keccak_256(whole));
  });
});
