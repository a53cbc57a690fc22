import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { shortCrc32 } from '../../../src/wal/short_crc32.ts';
import { seededRandom } from './wal_fixture.ts';

test('the checksum of a short range is that of zlib', () => {
  const random = seededRandom(1);
  for (let length = 0; length < 100; length += 1) {
    const bytes = Uint8Array.from({ length: length + 7 }, () => Math.floor(random() * 256));
    const seed = Math.floor(random() * 2 ** 32);
    expect(shortCrc32(bytes, 3, 3 + length, seed)).toBe(crc32(bytes.subarray(3, 3 + length), seed));
  }
});
