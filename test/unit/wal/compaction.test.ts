import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../src/lib/assert.ts';
import { Wal } from '../../../src/wal/wal.ts';
import { SimulatedFileSystem } from './simulated_file_system.ts';
import { DIRECTORY, entry, entryRange, IDENTITY, openWal, retainedEntries } from './wal_fixture.ts';

const SEGMENT_BYTES = 8 * 1024;

async function segmentNames(disk: SimulatedFileSystem): Promise<string[]> {
  return (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.wal')).sort();
}

/** A log of entries 1 to `count` in term 3, a few in each segment. */
async function logOf(
  disk: SimulatedFileSystem,
  count: number,
  options: { cacheBytesMax?: number } = {},
): Promise<Wal> {
  const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES, ...options });
  await wal.append({ hardState: { term: 3, vote: 2 }, entries: [] });
  for (let index = 1; index <= count; index += 1) await wal.append({ entries: [entry(index, 3)] });
  return wal;
}

describe('compaction', () => {
  test('drops what lies at or below the base, in memory and after reopening', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 200);
    const before = await segmentNames(disk);
    const bytesBefore = wal.retainedBytes;
    await wal.compact(120);
    const after = await segmentNames(disk);
    expect(after.length).toBeLessThan(before.length);
    expect(after).toEqual(before.slice(-after.length));
    expect(wal.segmentCount).toBe(after.length);
    expect(wal.retainedBytes).toBe((bytesBefore * 80) / 200);
    await wal.append({ entries: entryRange(201, 210, 4) });
    const expected = [...entryRange(121, 200, 3), ...entryRange(201, 210, 4)];
    for (const log of [wal, await openWal(disk, { cacheBytesMax: 0 })]) {
      expect([log.base, log.firstIndex, log.lastIndex]).toEqual([
        { index: 120, term: 3 },
        121,
        210,
      ]);
      expect([log.term(120), log.term(121)]).toEqual([3, 3]);
      expect(retainedEntries(log)).toEqual(expected);
      expect(() => log.term(119)).toThrow(AssertionError);
      expect(() => log.entries(120, 121, 1)).toThrow(AssertionError);
    }
  });
});

describe('a log that begins at a base', () => {
  test('has the base and the hard state that it was given', async () => {
    const disk = new SimulatedFileSystem();
    const start = { base: { index: 500, term: 7 }, hardState: { term: 9, vote: 3 } };
    const options = { directory: DIRECTORY, identity: IDENTITY, segmentBytes: SEGMENT_BYTES };
    await Wal.create(options, start, { fileSystem: disk });
    disk.crash(() => false);
    const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
    expect([wal.base, wal.firstIndex, wal.lastIndex, wal.term(500)]).toEqual([
      { index: 500, term: 7 },
      501,
      500,
      7,
    ]);
    expect(wal.hardState).toEqual({ term: 9, vote: 3 });
    expect(wal.retainedBytes).toBe(0);
    await wal.append({ hardState: { term: 10, vote: 1 }, entries: entryRange(501, 600, 10) });
    const reopened = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
    expect(retainedEntries(reopened)).toEqual(entryRange(501, 600, 10));
    expect(reopened.hardState).toEqual({ term: 10, vote: 1 });
  });
});
