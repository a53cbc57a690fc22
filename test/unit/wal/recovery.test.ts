import { describe, expect, test } from 'vitest';
import { PREPARED_NAME, SEGMENT_HEADER_BYTES } from '../../../src/wal/segment.ts';
import type { Wal } from '../../../src/wal/wal.ts';
import { SECTOR_BYTES, SimulatedFileSystem, SystemError } from './simulated_file_system.ts';
import {
  allEntries,
  DIRECTORY,
  entry,
  entryRange,
  FIRST_SEGMENT,
  IDENTITY,
  openWal,
} from './wal_fixture.ts';

const NAME = '0000000001.wal';
const CORRUPT = { name: 'WalError', code: 'CORRUPT' };

/** Where the bytes that are not zero end. */
function usedEnd(disk: SimulatedFileSystem, name = NAME): number {
  const bytes = disk.bytesOf(DIRECTORY, name);
  let end = bytes.length;
  while (bytes[end - 1] === 0) end -= 1;
  return end;
}

/**
 * A disk with what the appends leave, each in a batch of its own, and where each batch ends in
 * the first segment.
 */
async function diskWith(
  appends: readonly Parameters<Wal['append']>[0][],
): Promise<{ disk: SimulatedFileSystem; ends: number[] }> {
  const disk = new SimulatedFileSystem();
  const wal = await openWal(disk);
  const ends: number[] = [];
  for (const append of appends) {
    await wal.append(append);
    ends.push(usedEnd(disk));
  }
  await wal.close();
  return { disk, ends };
}

/** The same disk with other bytes in its first segment. */
function copyWith(
  original: SimulatedFileSystem,
  change: (bytes: Uint8Array) => Uint8Array,
): SimulatedFileSystem {
  const copy = original.clone();
  copy.tamper(FIRST_SEGMENT, change);
  return copy;
}

function flip(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return bytes;
}

describe('a torn tail', () => {
  test('scenarios 70 and 72: torn at any byte, the rest is kept and the tear is zeroed', async () => {
    const { disk, ends } = await diskWith([
      { hardState: { term: 3, vote: 1 }, entries: entryRange(1, 4, 3) },
      { entries: [entry(5, 3, 700)] },
    ]);
    const [start = 0, end = 0] = ends;
    for (let at = start; at < end; at += 1) {
      for (const tear of [
        (bytes: Uint8Array) => bytes.fill(0, at),
        (bytes: Uint8Array) => bytes.slice(0, at),
      ]) {
        const torn = copyWith(disk, tear);
        const wal = await openWal(torn);
        expect(allEntries(wal)).toEqual(entryRange(1, 4, 3));
        expect(wal.hardState).toEqual({ term: 3, vote: 1 });
        expect(usedEnd(torn)).toBe(start);
        await wal.append({ entries: entryRange(5, 6, 4) });
        const again = await openWal(torn);
        expect(allEntries(again)).toEqual([...entryRange(1, 4, 3), ...entryRange(5, 6, 4)]);
      }
    }
  });

  test('scenario 77: of the last batch any sector may be missing; what was acknowledged stays', async () => {
    const { disk, ends } = await diskWith([
      { entries: entryRange(1, 3, 1) },
      { entries: entryRange(4, 9, 1, 600) },
    ]);
    const [start = 0, end = 0] = ends;
    const first = Math.floor(start / SECTOR_BYTES);
    const last = Math.floor((end - 1) / SECTOR_BYTES);
    for (let sector = first; sector <= last; sector += 1) {
      const from = Math.max(start, sector * SECTOR_BYTES);
      const torn = copyWith(disk, (bytes) => bytes.fill(0, from, (sector + 1) * SECTOR_BYTES));
      const wal = await openWal(torn);
      expect(wal.lastIndex).toBeGreaterThanOrEqual(3);
      expect(wal.lastIndex).toBeLessThan(9);
      expect(allEntries(wal)).toEqual([
        ...entryRange(1, 3, 1),
        ...entryRange(4, wal.lastIndex, 1, 600),
      ]);
      await wal.append({ entries: [entry(wal.lastIndex + 1, 2)] });
      expect((await openWal(torn)).lastIndex).toBe(wal.lastIndex);
    }
  });

  test('a sector that is missing in a batch before the last is damage', async () => {
    const { disk, ends } = await diskWith([
      { entries: entryRange(1, 3, 1) },
      { entries: entryRange(4, 9, 1, 600) },
      { entries: [entry(10, 1)] },
    ]);
    const [start = 0, end = 0] = ends;
    const first = Math.ceil(start / SECTOR_BYTES);
    for (let sector = first; (sector + 1) * SECTOR_BYTES <= end; sector += 1) {
      const from = sector * SECTOR_BYTES;
      const damaged = copyWith(disk, (bytes) => bytes.fill(0, from, from + SECTOR_BYTES));
      await expect(openWal(damaged)).rejects.toMatchObject(CORRUPT);
    }
  });

  test('remains after the end are zeroed before anything is appended', async () => {
    const { disk } = await diskWith([{ entries: entryRange(1, 3, 1) }]);
    const end = usedEnd(disk);
    const dirty = copyWith(disk, (bytes) => flip(bytes, end + 3000, 2));
    const wal = await openWal(dirty);
    expect(allEntries(wal)).toEqual(entryRange(1, 3, 1));
    expect(usedEnd(dirty)).toBe(end);
  });
});

describe('damage', () => {
  test('scenario 71: a bit that flips anywhere is refused, and nothing is changed', async () => {
    const { disk } = await diskWith([
      { hardState: { term: 3, vote: 1 }, entries: entryRange(1, 2, 3, 40) },
      { entries: [{ index: 3, term: 3, type: 'noop', data: new Uint8Array(0) }] },
      { hardState: { term: 4, vote: undefined }, entries: [] },
      { entries: [entry(4, 4, 600)] },
    ]);
    const end = usedEnd(disk);
    for (let at = 0; at < end; at += 1) {
      const damaged = copyWith(disk, (bytes) => flip(bytes, at, at % 8));
      const before = damaged.bytesOf(DIRECTORY, NAME);
      await expect(openWal(damaged), `byte ${at}`).rejects.toMatchObject(CORRUPT);
      expect(damaged.bytesOf(DIRECTORY, NAME)).toEqual(before);
    }
  });

  test('an error names the file, the offset and what to do', async () => {
    const { disk, ends } = await diskWith([{ entries: [entry(1, 1)] }, { entries: [entry(2, 1)] }]);
    const damaged = copyWith(disk, (bytes) => flip(bytes, SEGMENT_HEADER_BYTES + 50, 0));
    await expect(openWal(damaged)).rejects.toMatchObject({
      ...CORRUPT,
      fields: { path: FIRST_SEGMENT, offset: SEGMENT_HEADER_BYTES },
      message: expect.stringMatching(
        new RegExp(`at byte ${SEGMENT_HEADER_BYTES}.*${ends[0]}.*members replace`),
      ),
    });
  });

  test('scenario 73: a huge length is bounded by the file', async () => {
    const { disk, ends } = await diskWith([{ entries: [entry(1, 1)] }, { entries: [entry(2, 1)] }]);
    for (const at of [SEGMENT_HEADER_BYTES, ends[0] ?? 0]) {
      const damaged = copyWith(disk, (bytes) => bytes.fill(0xff, at, at + 4));
      await expect(openWal(damaged)).rejects.toMatchObject(CORRUPT);
    }
  });

  test('in a segment that is complete, and between segments', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    for (let index = 1; index <= 300; index += 1) await wal.append({ entries: [entry(index, 1)] });
    await wal.close();
    const second = `${DIRECTORY}/0000000002.wal`;

    const flipped = disk.clone();
    const end = usedEnd(disk);
    flipped.tamper(FIRST_SEGMENT, (bytes) => flip(bytes, end - 1, 0));
    await expect(openWal(flipped)).rejects.toMatchObject(CORRUPT);

    const torn = disk.clone();
    torn.tamper(FIRST_SEGMENT, (bytes) => bytes.slice(0, end - 100));
    await expect(openWal(torn)).rejects.toMatchObject(CORRUPT);

    const missing = disk.clone();
    missing.removeBehindTheBack(second);
    await expect(openWal(missing)).rejects.toMatchObject({ ...CORRUPT, fields: { path: second } });

    const swapped = disk.clone();
    const content = disk.bytesOf(DIRECTORY, '0000000003.wal');
    swapped.tamper(second, () => content);
    await expect(openWal(swapped)).rejects.toMatchObject(CORRUPT);

    const behindTheEnd = disk.clone();
    behindTheEnd.tamper(FIRST_SEGMENT, (bytes) => flip(bytes, end + 1, 0));
    expect((await openWal(behindTheEnd)).lastIndex).toBe(300);
  });

  test('found when an entry is read back later', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk, { cacheBytesMax: 0 });
    await wal.append({ entries: entryRange(1, 3, 1) });
    disk.tamper(FIRST_SEGMENT, (bytes) => flip(bytes, SEGMENT_HEADER_BYTES + 50, 0));
    expect(() => wal.entries(1, 3, 1e6)).toThrow(/entry 1 cannot be read back/);
    expect(wal.entries(2, 3, 1e6)).toEqual(entryRange(2, 3, 1));
  });
});

describe('what belongs to somebody else', () => {
  test('another cluster or member is refused', async () => {
    const { disk } = await diskWith([{ entries: [entry(1, 1)] }]);
    for (const identity of [
      { ...IDENTITY, clusterId: 'cluster-b' },
      { ...IDENTITY, memberId: 3 },
    ])
      await expect(openWal(disk, { identity })).rejects.toMatchObject({
        name: 'WalError',
        code: 'IDENTITY_MISMATCH',
        fields: { foundMemberId: 2, foundClusterId: 'cluster-a' },
      });
    expect((await openWal(disk)).lastIndex).toBe(1);
  });
});

describe('a failing disk', () => {
  test('scenario 75: a sync that fails is final for all appends and is never repeated', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    await wal.append({ entries: [entry(1, 1)] });
    let syncs = 0;
    disk.onOperation = (operation) => {
      if (operation !== 'fdatasync') return;
      syncs += 1;
      throw new SystemError('EIO');
    };
    const first = wal.append({ entries: [entry(2, 1)] });
    const outcomes = Promise.allSettled([first, wal.append({ entries: [entry(3, 1)] })]);
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { name: 'WalFailedError', code: 'WAL_FAILED', cause: { code: 'EIO' } },
      });
    disk.onOperation = () => undefined;
    await expect(wal.append({ entries: [entry(4, 1)] })).rejects.toMatchObject({
      code: 'WAL_FAILED',
    });
    expect(syncs).toBe(1);
    expect([wal.lastIndex, allEntries(wal)]).toEqual([1, [entry(1, 1)]]);
    await wal.close();
  });

  test('scenario 76: a full disk is a clear error; what was acknowledged is there later', async () => {
    const disk = new SimulatedFileSystem();
    disk.capacityBytes = 40 * 1024;
    const wal = await openWal(disk);
    let acknowledged = 0;
    const fill = async (): Promise<void> => {
      for (let index = 1; ; index += 1) {
        await wal.append({ entries: [entry(index, 1)] });
        acknowledged = index;
      }
    };
    await expect(fill()).rejects.toMatchObject({
      code: 'WAL_FAILED',
      cause: { code: 'ENOSPC' },
      message: expect.stringMatching(/free space/),
    });
    expect(acknowledged).toBeGreaterThan(100);
    await wal.close();
    disk.crash(() => true);
    disk.capacityBytes = 400 * 1024;
    const reopened = await openWal(disk);
    expect(allEntries(reopened)).toEqual(entryRange(1, acknowledged, 1));
    await reopened.append({ entries: entryRange(acknowledged + 1, acknowledged + 200, 2) });
    expect((await openWal(disk)).lastIndex).toBe(acknowledged + 200);
  });

  test('scenario 76: a full disk in the middle of a batch', async () => {
    const disk = new SimulatedFileSystem();
    disk.capacityBytes = 30 * 1024;
    const wal = await openWal(disk);
    await wal.append({ entries: entryRange(1, 3, 1) });
    const appends = [entryRange(4, 9, 1), [entry(10, 1, 30_000)]].map((entries) =>
      wal.append({ entries }),
    );
    expect((await Promise.allSettled(appends)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
    ]);
    await wal.close();
    expect(allEntries(await openWal(disk))).toEqual(entryRange(1, 9, 1));
  });

  test('a disk that is full from the start is refused until it has room', async () => {
    const disk = new SimulatedFileSystem();
    disk.capacityBytes = 1000;
    await expect(openWal(disk)).rejects.toMatchObject({ name: 'WalError', code: 'UNUSABLE' });
    disk.capacityBytes = 1e6;
    expect((await openWal(disk)).lastIndex).toBe(0);
    expect(await disk.list(DIRECTORY)).not.toContain(PREPARED_NAME);
  });
});
