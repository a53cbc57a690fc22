import { keccak_256 } from '@noble/hashes/sha3.js';
import { describe, expect, it } from 'vitest';
import { bloomMayContain, logsBloom, unionBlooms } from '../../../src/crypto/bloom.ts';
import { bytesToBigInt } from '../../../src/lib/bytes.ts';
import { SeededRandom } from './random.ts';

const SEED = 31;

describe('logs bloom', () => {
  it(`holds every address and topic, and little else (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const logs = Array.from({ length: 8 }, (_, index) => ({
      address: random.bytes(20),
      topics: Array.from({ length: index % 5 }, () => random.bytes(32)),
      data: random.bytes(10),
    }));
    const bloom = logsBloom(logs);
    for (const { address, topics } of logs)
      for (const bytes of [address, ...topics]) expect(bloomMayContain(bloom, bytes)).toBe(true);
    const strangers = Array.from({ length: 200 }, () => random.bytes(20));
    expect(strangers.filter((bytes) => bloomMayContain(bloom, bytes)).length).toBeLessThan(10);
    const parts = logs.map((log) => logsBloom([log]));
    expect(unionBlooms(parts)).toEqual(bloom);
    expect(logsBloom([])).toEqual(new Uint8Array(256));
  });

  it('sets the bits of the yellow paper: the 11 low bits of the first three pairs of the hash', () => {
    const address = new SeededRandom(SEED).bytes(20);
    const hash = keccak_256(address);
    let expected = 0n;
    for (const at of [0, 2, 4]) expected |= 1n << (bytesToBigInt(hash.slice(at, at + 2)) & 0x7ffn);
    const bloom = logsBloom([{ address, topics: [], data: new Uint8Array(0) }]);
    expect(bytesToBigInt(bloom)).toBe(expected);
  });
});
