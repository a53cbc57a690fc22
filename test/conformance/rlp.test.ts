import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bigIntToBytes, fromHex, toPrefixedHex, utf8 } from '../../src/lib/bytes.ts';
import { CodecError, decodeRlp, encodeRlp, type RlpItem } from '../../src/types/rlp.ts';
import { findEthereumTests, jsonFiles, readJson } from './ethereum_tests.ts';

type Input = string | number | Input[];
type Vectors = Record<string, { in: Input; out: string }>;

/** Numbers are scalars, also those written as #decimal; other text is bytes. */
function itemOf(input: Input): RlpItem {
  if (Array.isArray(input)) return input.map(itemOf);
  if (typeof input === 'number') return bigIntToBytes(BigInt(input));
  return input.startsWith('#') ? bigIntToBytes(BigInt(input.slice(1))) : utf8(input);
}

const { path, absent } = findEthereumTests('RLPTests');

describe('official RLPTests', () => {
  if (absent !== undefined) it.skip(absent, () => {});
  for (const file of absent === undefined ? jsonFiles(path) : []) {
    for (const [name, vector] of Object.entries(readJson<Vectors>(join(path, file)))) {
      it(`${file} ${name}`, () => {
        const encoded = fromHex(vector.out)!;
        if (vector.in === 'INVALID') {
          expect(() => decodeRlp(encoded)).toThrow(CodecError);
          return;
        }
        if (vector.in !== 'VALID') {
          expect(toPrefixedHex(encodeRlp(itemOf(vector.in)))).toBe(vector.out.toLowerCase());
          expect(decodeRlp(encoded)).toEqual(itemOf(vector.in));
        }
        expect(encodeRlp(decodeRlp(encoded))).toEqual(encoded);
      });
    }
  }
});
