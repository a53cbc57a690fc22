import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { AssertionError } from '../../../src/lib/assert.ts';
import type { FileSystem } from '../../../src/wal/file_system.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import { SimulatedFileSystem } from './simulated_file_system.ts';
import { allEntries, DIRECTORY, entry, entryRange, IDENTITY, openWal } from './wal_fixture.ts';

describe('a log on a healthy disk', () => {
  test('is empty at first', async () => {
    const wal = await openWal(new SimulatedFileSystem());
    expect([wal.firstIndex, wal.lastIndex, wal.term(0)]).toEqual([1, 0, 0]);
    expect(wal.hardState).toEqual({ term: 0, vote: undefined });
  });

  test('has a folder that outlasts a loss of power before it takes a vote', async () => {
    const disk = new SimulatedFileSystem();
    const steps: string[] = [];
    const sync = disk.syncDirectory.bind(disk);
    const fileSystem: FileSystem = Object.assign(disk, {
      createDirectory: async (path: string) => void steps.push(`make ${path}`),
      syncDirectory: (path: string) => {
        steps.push(`sync ${path}`);
        return sync(path);
      },
    });
    await openWal(fileSystem);
    expect(steps.slice(0, 2)).toEqual([`make ${DIRECTORY}`, 'sync /']);
  });

  test('gives back entries and hard state, from memory and after reopening', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    const entries = [
      { index: 1, term: 1, type: 'noop', data: new Uint8Array(0) } as const,
      ...entryRange(2, 9, 1),
      ...entryRange(10, 12, 4, 7),
    ];
    await wal.append({ hardState: { term: 4, vote: 3 }, entries });
    expect(allEntries(wal)).toEqual(entries);
    await wal.close();

    const reopened = await openWal(disk);
    expect(allEntries(reopened)).toEqual(entries);
    expect(reopened.hardState).toEqual({ term: 4, vote: 3 });
    expect([reopened.term(1), reopened.term(9), reopened.term(10), reopened.term(12)]).toEqual([
      1, 1, 4, 4,
    ]);
    await reopened.append({ hardState: { term: 5, vote: undefined }, entries: [entry(13, 5)] });
    expect(reopened.hardState).toEqual({ term: 5, vote: undefined });
    expect(reopened.entries(12, 13, 1e6)).toEqual([entry(12, 4, 7), entry(13, 5)]);
  });

  test('keeps terms and indexes beyond 32 bits', async () => {
    const disk = new SimulatedFileSystem();
    const term = Number.MAX_SAFE_INTEGER;
    await (await openWal(disk)).append({
      hardState: { term, vote: term - 1 },
      entries: [entry(1, term)],
    });
    const wal = await openWal(disk);
    expect(wal.hardState).toEqual({ term, vote: term - 1 });
    expect(wal.term(1)).toBe(term);
  });

  test('bounds what it returns by bytes, but returns at least one entry', async () => {
    const disk = new SimulatedFileSystem();
    await (await openWal(disk)).append({ entries: entryRange(1, 10, 1, 100) });
    for (const wal of [await openWal(disk), await openWal(disk, { cacheBytesMax: 0 })]) {
      expect(wal.entries(3, 10, 0)).toHaveLength(1);
      expect(wal.entries(3, 10, 250)).toEqual(entryRange(3, 4, 1, 100));
      expect(wal.entries(3, 5, 1e9)).toEqual(entryRange(3, 5, 1, 100));
    }
  });

  test('reads from the disk what the cache has dropped', async () => {
    const wal = await openWal(new SimulatedFileSystem(), { cacheBytesMax: 1000 });
    for (let index = 1; index <= 200; index += 1)
      await wal.append({ hardState: { term: index, vote: 1 }, entries: [entry(index, index)] });
    const expected = Array.from({ length: 200 }, (_, at) => entry(at + 1, at + 1));
    expect(allEntries(wal)).toEqual(expected);
    expect(wal.entries(50, 60, 1e6)).toEqual(expected.slice(49, 60));
  });

  test('replaces a suffix, in memory and after reopening', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    await wal.append({ entries: entryRange(1, 300, 1) });
    await wal.append({ entries: entryRange(120, 130, 2) });
    await wal.append({ entries: entryRange(125, 126, 3) });
    const expected = [
      ...entryRange(1, 119, 1),
      ...entryRange(120, 124, 2),
      ...entryRange(125, 126, 3),
    ];
    for (const log of [wal, await openWal(disk)]) {
      expect(log.lastIndex).toBe(126);
      expect(allEntries(log)).toEqual(expected);
      expect([log.term(119), log.term(120), log.term(126)]).toEqual([1, 2, 3]);
    }
  });

  test('replaces everything', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    await wal.append({ entries: entryRange(1, 5, 1) });
    await wal.append({ entries: [entry(1, 9)] });
    for (const log of [wal, await openWal(disk)]) expect(allEntries(log)).toEqual([entry(1, 9)]);
  });

  test('spreads over segments and gives a large entry one of its own size', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    const entries = [...entryRange(1, 400, 1), entry(401, 1, 50_000), ...entryRange(402, 500, 2)];
    for (const one of entries) await wal.append({ entries: [one] });
    await wal.close();
    expect(
      (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.wal')).length,
    ).toBeGreaterThan(3);
    const reopened = await openWal(disk);
    expect(allEntries(reopened)).toEqual(entries);
  });

  test('holds many entries and terms', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk, { segmentBytes: 1024 * 1024 });
    const count = 40_000;
    const entries = Array.from({ length: count }, (_, at) =>
      entry(at + 1, 1 + Math.floor(at / 10), 5),
    );
    await wal.append({ entries });
    await wal.append({ entries: [entry(20_001, 5_000, 5)] });
    const reopened = await openWal(disk);
    expect(reopened.lastIndex).toBe(20_001);
    for (const index of [1, 10, 11, 16_384, 16_385, 20_000])
      expect(reopened.term(index)).toBe(1 + Math.floor((index - 1) / 10));
    expect(reopened.entries(16_380, 16_390, 1e6)).toEqual(entries.slice(16_379, 16_390));
  });
});

describe('group commit', () => {
  test('joins appends of one turn in one write and one fdatasync, in their order', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    const before = { syncs: disk.syncCount, writes: disk.writeCount };
    const done: number[] = [];
    await Promise.all([
      wal.append({ entries: entryRange(1, 3, 1) }).then(() => done.push(1)),
      wal.append({ hardState: { term: 2, vote: 1 }, entries: [] }).then(() => done.push(2)),
      wal.append({ entries: entryRange(3, 5, 2) }).then(() => done.push(3)),
    ]);
    expect(done).toEqual([1, 2, 3]);
    expect(disk.syncCount - before.syncs).toBe(1);
    expect(disk.writeCount - before.writes).toBe(1);
    expect(allEntries(wal)).toEqual([...entryRange(1, 2, 1), ...entryRange(3, 5, 2)]);
  });

  test('gathers what arrives during a sync into the next batch', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk, { segmentBytes: 64 * 1024 });
    const gate = Promise.withResolvers<void>();
    disk.onSync = () => gate.promise;
    const before = disk.syncCount;
    const appends = [wal.append({ entries: [entry(1, 1)] })];
    await new Promise(setImmediate);
    for (let index = 2; index <= 50; index += 1)
      appends.push(wal.append({ entries: [entry(index, 1)] }));
    await new Promise(setImmediate);
    expect(wal.lastIndex).toBe(0);
    gate.resolve();
    await Promise.all(appends);
    expect(disk.syncCount - before).toBe(2);
    expect(wal.lastIndex).toBe(50);
  });

  test('scenarios 78 and 81: nothing is acknowledged or visible while a sync stalls', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    const gate = Promise.withResolvers<void>();
    disk.onSync = () => gate.promise;
    let acknowledged = false;
    const append = wal.append({ hardState: { term: 7, vote: 2 }, entries: [entry(1, 7)] });
    const watched = append.then(() => {
      acknowledged = true;
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect([acknowledged, wal.lastIndex, wal.hardState.term]).toEqual([false, 0, 0]);
    gate.resolve();
    await watched;
    expect([wal.lastIndex, wal.hardState.term]).toEqual([1, 7]);
  });

  test('an empty append costs nothing', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk);
    const before = disk.syncCount;
    await wal.append({ entries: [] });
    expect(disk.syncCount).toBe(before);
  });
});

describe('misuse by the owner', () => {
  test('is stopped by assertions', async () => {
    const wal = await openWal(new SimulatedFileSystem(), { recordBytesMax: 200 });
    await wal.append({ entries: entryRange(1, 3, 1) });
    expect(() => wal.append({ entries: [entry(5, 1)] })).toThrow(AssertionError);
    expect(() => wal.append({ entries: [entry(0, 1)] })).toThrow(AssertionError);
    expect(() => wal.append({ entries: [entry(4, 1), entry(6, 1)] })).toThrow(AssertionError);
    expect(() => wal.append({ entries: [entry(4, 1, 201)] })).toThrow(AssertionError);
    expect(() => wal.entries(0, 1, 10)).toThrow(AssertionError);
    expect(() => wal.entries(1, 4, 10)).toThrow(AssertionError);
    expect(() => wal.term(4)).toThrow(AssertionError);
    await wal.append({ entries: [entry(4, 1)] });
    await wal.close();
    expect(() => wal.append({ entries: [entry(5, 1)] })).toThrow(AssertionError);
  });
});

describe('the real disk', () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  test('keeps a log over several lives and segments', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'blockraft-wal-'));
    folders.push(folder);
    const directory = join(folder, 'log', 'segments');
    const options = { directory, segmentBytes: 64 * 1024, cacheBytesMax: 4096 };
    const expected = [];
    for (let life = 1; life <= 4; life += 1) {
      const wal = await openWal(nodeFileSystem, options);
      expect(allEntries(wal)).toEqual(expected);
      const appends = [];
      for (let at = 0; at < 200; at += 1) {
        const next = entry(expected.length + 1, life, 300);
        expected.push(next);
        appends.push(wal.append({ entries: [next] }));
      }
      await Promise.all(appends);
      await wal.append({ hardState: { term: life, vote: life }, entries: [] });
      expect(allEntries(wal)).toEqual(expected);
      expect(wal.hardState).toEqual({ term: life, vote: life });
      await wal.close();
    }
    expect(
      (await readdir(directory)).filter((name) => name.endsWith('.wal')).length,
    ).toBeGreaterThan(3);
  });

  test('an unusable folder is a typed error', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'blockraft-wal-'));
    folders.push(folder);
    await nodeFileSystem.open(join(folder, 'file'), 'create').then((file) => file.close());
    await expect(
      openWal(nodeFileSystem, { directory: join(folder, 'file'), identity: IDENTITY }),
    ).rejects.toMatchObject({ name: 'WalError', code: 'UNUSABLE' });
  });
});
