import { describe, expect, test } from 'vitest';
import { EntryCache } from '../../../src/wal/entry_cache.ts';

describe('EntryCache', () => {
  test('keeps nothing alive but the data of its entries', () => {
    const cache = new EntryCache({ bytesMax: 1_000_000 });
    // As they come over the network: views of the buffer that one read filled.
    const received = Buffer.alloc(65_536, 7);
    for (let index = 1; index <= 3; index += 1) {
      const data = received.subarray(index * 100, index * 100 + 50);
      cache.push({ index, term: 1, type: 'command', data });
    }
    for (let index = 1; index <= 3; index += 1) {
      const data = cache.get(index)?.data;
      expect(data).toEqual(new Uint8Array(50).fill(7));
      expect(data?.buffer.byteLength).toBe(50);
    }
  });

  test('drops the oldest when its bytes exceed the limit', () => {
    const cache = new EntryCache({ bytesMax: 10_000 });
    for (let index = 1; index <= 5; index += 1)
      cache.push({ index, term: 1, type: 'command', data: new Uint8Array(3_000) });
    expect([1, 2, 3, 4, 5].filter((index) => cache.get(index) !== undefined)).toEqual([4, 5]);
  });

  test('forgets what an entry at an earlier index cuts off', () => {
    const cache = new EntryCache({ bytesMax: 10_000 });
    for (let index = 1; index <= 4; index += 1)
      cache.push({ index, term: 1, type: 'command', data: new Uint8Array(10) });
    cache.push({ index: 3, term: 2, type: 'noop', data: new Uint8Array(0) });
    expect(cache.get(2)?.term).toBe(1);
    expect(cache.get(3)?.term).toBe(2);
    expect(cache.get(4)).toBeUndefined();
  });
});
