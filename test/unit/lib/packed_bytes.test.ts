import { describe, expect, it } from 'vitest';
import { packBytes, unpackAllBytes, unpackBytes } from '../../../src/lib/packed_bytes.ts';

describe('packed bytes', () => {
  it('keep every string in its place: empty, absent, and a view of something larger', () => {
    const whole = Uint8Array.of(1, 2, 3, 4, 5);
    const strings = [whole.subarray(1, 3), undefined, new Uint8Array(0), Buffer.from('abc')];
    expect(unpackBytes(packBytes(strings))).toEqual([
      Uint8Array.of(2, 3),
      undefined,
      new Uint8Array(0),
      Uint8Array.of(97, 98, 99),
    ]);
    expect(unpackBytes(packBytes([]))).toEqual([]);
    expect(unpackAllBytes(packBytes([whole]))).toEqual([whole]);
    expect(() => unpackAllBytes(packBytes([whole, undefined]))).toThrow('absent');
  });
});
