import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../src/lib/assert.ts';
import { decodeBase, writeBase } from '../../../src/wal/base.ts';
import { EntryIndex } from '../../../src/wal/entry_index.ts';
import { Wal } from '../../../src/wal/wal.ts';
import { SimulatedFileSystem, SystemError } from './simulated_file_system.ts';
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

  test('lets go of the files that it removes, which take room on the disk as long as one is open', async () => {
    const disk = new SimulatedFileSystem();
    const open = new Set<string>();
    const openReader = disk.openReader.bind(disk);
    disk.openReader = (path) => {
      open.add(path);
      const reader = openReader(path);
      return { ...reader, close: () => open.delete(path) };
    };
    const wal = await logOf(disk, 200, { cacheBytesMax: 0 });
    expect(wal.entries(1, 200, Number.MAX_SAFE_INTEGER)).toHaveLength(200);
    expect(open.size).toBeGreaterThan(2);
    await wal.compact(200);
    const names = await segmentNames(disk);
    expect([...open].filter((path) => !names.some((name) => path.endsWith(name)))).toEqual([]);
    await wal.close();
    expect(open.size).toBe(0);
  });

  test('ends before the log is closed', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 100);
    const gate = Promise.withResolvers<void>();
    disk.onSync = (path) => (path.includes('base') ? gate.promise : Promise.resolve());
    const compaction = wal.compact(90);
    let isClosed = false;
    const closing = wal.close().then(() => {
      isClosed = true;
    });
    await new Promise(setImmediate);
    expect(isClosed).toBe(false);
    gate.resolve();
    await Promise.all([compaction, closing]);
    expect((await openWal(disk)).base.index).toBe(90);
  });

  test('of everything leaves an empty log that goes on', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 50);
    await wal.compact(50);
    expect([wal.lastIndex, wal.firstIndex, wal.retainedBytes]).toEqual([50, 51, 0]);
    for (const log of [await openWal(disk, { segmentBytes: SEGMENT_BYTES }), wal]) {
      expect([log.lastIndex, log.term(50), retainedEntries(log)]).toEqual([50, 3, []]);
      expect(log.hardState).toEqual({ term: 3, vote: 2 });
    }
    await wal.append({ entries: entryRange(51, 52, 3) });
    expect(retainedEntries(await openWal(disk))).toEqual(entryRange(51, 52, 3));
  });

  test('keeps what replaced entries on both sides of the base', async () => {
    for (const to of [55, 56, 58, 70]) {
      const disk = new SimulatedFileSystem();
      const wal = await openWal(disk);
      await wal.append({ entries: entryRange(1, 60, 1) });
      await wal.append({ entries: entryRange(55, to, 2) });
      await wal.compact(Math.min(to, 56));
      const expected = to > 56 ? entryRange(57, to, 2) : [];
      for (const log of [wal, await openWal(disk)]) {
        expect([log.lastIndex, log.base.term]).toEqual([to, 2]);
        expect(retainedEntries(log)).toEqual(expected);
      }
    }
  });

  test('does not hold up appends, nor is it held up by them', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 100);
    const gate = Promise.withResolvers<void>();
    disk.onSync = (path) => (path.includes('base') ? gate.promise : Promise.resolve());
    let isCompacted = false;
    const compaction = wal.compact(90).then(() => {
      isCompacted = true;
    });
    for (let index = 101; index <= 200; index += 1)
      await wal.append({ entries: [entry(index, 3)] });
    expect([isCompacted, wal.firstIndex, wal.lastIndex]).toEqual([false, 1, 200]);
    expect(() => wal.append({ entries: [entry(90, 4)] })).toThrow(AssertionError);
    gate.resolve();
    await compaction;
    expect(wal.firstIndex).toBe(91);
    const stuck = Promise.withResolvers<void>();
    disk.onSync = (path) => (path.endsWith('.wal') ? stuck.promise : Promise.resolve());
    const append = wal.append({ entries: [entry(201, 3)] });
    await wal.compact(150);
    expect([wal.firstIndex, wal.lastIndex]).toEqual([151, 200]);
    stuck.resolve();
    await append;
    expect(retainedEntries(await openWal(disk))).toEqual(entryRange(151, 201, 3));
  });

  test('takes requests in any order and closes only when it is done', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 100);
    const done = [wal.compact(80), wal.compact(20), wal.compact(80), wal.compact(90)];
    await wal.close();
    await Promise.all(done);
    const reopened = await openWal(disk);
    expect(reopened.base.index).toBe(90);
    await reopened.compact(90);
  });

  test('gives memory back', () => {
    const index = new EntryIndex({ index: 0, term: 0 });
    const put = (at: number) =>
      index.put({ index: at, term: Math.ceil(at / 1000), sequence: 1, offset: at, length: 8 });
    let peak = 0;
    for (let at = 1; at <= 200_000; at += 1) {
      put(at);
      if (at % 1000 === 0) index.compact(at - 500);
      peak = Math.max(peak, index.memoryBytes);
    }
    expect(peak).toBeLessThan(200_000);
    expect([index.term(199_500), index.offset(199_501), index.term(200_000)]).toEqual([
      200, 199_501, 200,
    ]);
    index.compact(200_000);
    expect(index.memoryBytes).toBeLessThan(60_000);
    put(200_001);
    expect([index.term(200_000), index.term(200_001)]).toEqual([200, 201]);
  });

  test('scenario 75: a disk that refuses it is final for appends too', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 100);
    disk.onOperation = (operation, path) => {
      if (operation === 'rename' && path.includes('base')) throw new SystemError('EIO');
    };
    const append = wal.append({ entries: [entry(101, 3)] }).catch(() => undefined);
    await expect(wal.compact(80)).rejects.toMatchObject({ code: 'WAL_FAILED' });
    await append;
    disk.onOperation = () => undefined;
    await expect(wal.compact(80)).rejects.toMatchObject({ code: 'WAL_FAILED' });
    await expect(wal.append({ entries: [entry(102, 3)] })).rejects.toMatchObject({
      code: 'WAL_FAILED',
    });
    await wal.close();
    const reopened = await openWal(disk);
    expect(retainedEntries(reopened)).toEqual(entryRange(1, reopened.lastIndex, 3));
    expect(reopened.lastIndex).toBeGreaterThanOrEqual(100);
  });

  test('is asked for what can be given up, or stopped by an assertion', async () => {
    const wal = await logOf(new SimulatedFileSystem(), 20);
    await wal.compact(10);
    expect(() => wal.compact(9)).toThrow(AssertionError);
    expect(() => wal.compact(21)).toThrow(AssertionError);
    const replaced = wal.append({ entries: entryRange(15, 16, 4) });
    expect(() => wal.compact(15)).toThrow(AssertionError);
    await replaced;
    expect(() => wal.append({ entries: [entry(10, 4)] })).toThrow(AssertionError);
    await wal.compact(15);
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

describe('damage to a log with a base', () => {
  async function damaged(): Promise<SimulatedFileSystem> {
    const disk = new SimulatedFileSystem();
    const wal = await logOf(disk, 200);
    await wal.compact(120);
    await wal.close();
    return disk;
  }

  const CORRUPT = { name: 'WalError', code: 'CORRUPT' };
  const HOW_TO_GO_ON =
    /"blockraft wal inspect \/log".*"blockraft wal verify \/log".*members replace"/;

  test('scenario 48: a gap between the base and the first segment is refused', async () => {
    const disk = await damaged();
    const [first = ''] = await segmentNames(disk);
    disk.removeBehindTheBack(`${DIRECTORY}/${first}`);
    await expect(openWal(disk)).rejects.toMatchObject({
      ...CORRUPT,
      message: expect.stringMatching(HOW_TO_GO_ON),
      fields: { path: `${DIRECTORY}/${first}` },
    });
  });

  test('scenario 48: a base without any segment is refused: the entries behind it are gone', async () => {
    const compacted = await damaged();
    const made = new SimulatedFileSystem();
    const start = { base: { index: 500, term: 7 }, hardState: { term: 9, vote: 3 } };
    await Wal.create({ directory: DIRECTORY, identity: IDENTITY }, start, { fileSystem: made });
    for (const disk of [compacted, made]) {
      for (const name of await segmentNames(disk)) disk.removeBehindTheBack(`${DIRECTORY}/${name}`);
      await expect(openWal(disk)).rejects.toMatchObject(CORRUPT);
    }
  });

  test('scenario 46: a base of another term than its entry is refused', async () => {
    const disk = await damaged();
    const { base } = decodeBase('base', disk.bytesOf(DIRECTORY, 'base'), IDENTITY);
    const other = { ...base, term: 2 };
    await writeBase({ directory: DIRECTORY, identity: IDENTITY, base: other }, disk);
    await expect(openWal(disk)).rejects.toMatchObject({
      ...CORRUPT,
      message: expect.stringMatching(/entry 120 has term 3 here and term 2/),
    });
  });

  test('scenario 48: a base that is lost is refused', async () => {
    const disk = await damaged();
    disk.removeBehindTheBack(`${DIRECTORY}/base`);
    await expect(openWal(disk)).rejects.toMatchObject({
      ...CORRUPT,
      message: expect.stringMatching(HOW_TO_GO_ON),
    });
    const made = new SimulatedFileSystem();
    const start = { base: { index: 500, term: 7 }, hardState: { term: 9, vote: 3 } };
    await Wal.create({ directory: DIRECTORY, identity: IDENTITY }, start, { fileSystem: made });
    made.removeBehindTheBack(`${DIRECTORY}/base`);
    await expect(openWal(made)).rejects.toMatchObject(CORRUPT);
  });

  test('scenario 48: an older base under a log that went on is refused', async () => {
    const disk = await damaged();
    const base = disk.bytesOf(DIRECTORY, 'base');
    const wal = await openWal(disk);
    await wal.compact(190);
    await wal.close();
    disk.tamper(`${DIRECTORY}/base`, () => base);
    await expect(openWal(disk)).rejects.toMatchObject(CORRUPT);
  });

  test('scenario 71: a bit that flips anywhere in the base is refused', async () => {
    const disk = await damaged();
    for (let at = 0; at < disk.bytesOf(DIRECTORY, 'base').length; at += 1) {
      const copy = disk.clone();
      copy.flip(`${DIRECTORY}/base`, at, 1 << (at % 8));
      await expect(openWal(copy), `byte ${at}`).rejects.toMatchObject(CORRUPT);
    }
    disk.tamper(`${DIRECTORY}/base`, (bytes) => bytes.slice(0, 100));
    await expect(openWal(disk)).rejects.toMatchObject(CORRUPT);
  });

  test('scenario 71: a log that ends below its base is refused', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    for (const index of [1, 2, 3]) await wal.append({ entries: [entry(index, 1)] });
    await wal.compact(3);
    await wal.close();
    // The write of entry 3 looks as if it had never ended; or none was ever made.
    for (const last of [2, 0]) {
      disk.tamper(`${DIRECTORY}/0000000001.wal`, (bytes) => bytes.fill(0, 4096 + last * 144));
      await expect(openWal(disk)).rejects.toMatchObject({
        ...CORRUPT,
        message: expect.stringContaining(`end with entry ${last}, though entry 3 had been synced`),
      });
    }
  });

  test('the base of another cluster or member is refused', async () => {
    const disk = await damaged();
    const other = new SimulatedFileSystem();
    const identity = { ...IDENTITY, clusterId: 'cluster-b' };
    const start = { base: { index: 120, term: 3 }, hardState: { term: 3, vote: 2 } };
    await Wal.create({ directory: DIRECTORY, identity }, start, { fileSystem: other });
    disk.tamper(`${DIRECTORY}/base`, () => other.bytesOf(DIRECTORY, 'base'));
    await expect(openWal(disk)).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  });
});
