import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../../src/lib/bytes.ts';
import { installStaged } from '../../../src/snapshot/install.ts';
import type { SnapshotHead } from '../../../src/snapshot/manifest.ts';
import { readStagedManifest } from '../../../src/snapshot/staging.ts';
import { Database } from '../../../src/storage/database.ts';
import { nodeFolderFiles } from '../../../src/storage/folder_files.ts';
import { openGeneration } from '../../../src/storage/generations.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import type { HardState } from '../../../src/types/entry.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import { Wal } from '../../../src/wal/wal.ts';
import { entryRange, seededRandom } from '../wal/wal_fixture.ts';
import { Crash, FaultyDisk } from './faulty_disk.ts';
import {
  CHAIN,
  CONFIGURATION,
  contentOf,
  fillState,
  head,
  makeFetch,
  makeSource,
  never,
  OWN_KEYS,
  openState,
  RANGES,
  readHead,
  silentLogger,
} from './fixture.ts';

const OPTIONS = {
  memberId: 2,
  clusterId: CHAIN.clusterId,
  ownKeys: OWN_KEYS,
  wal: { segmentBytes: 16 * 1024 },
};
const IDENTITY = { clusterId: CHAIN.clusterId, memberId: 2 };
const JOINT = {
  index: 48,
  configuration: { ...CONFIGURATION, voters: [1, 2], outgoing: [1, 2, 3] },
};
const NEW_HEAD: SnapshotHead = { index: 50, term: 6, configuration: JOINT };

let folder: string;
let memberFolder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-install-'));
  memberFolder = join(folder, 'member');
  await mkdir(memberFolder);
});

afterEach(() => rm(folder, { recursive: true }));

interface Found {
  content: Map<string, string>;
  own: Map<string, string>;
  hardState: HardState;
  base: { index: number; term: number };
  lastIndex: number;
}

/** What the member would start with. */
async function found(): Promise<Found> {
  const generation = await openGeneration(memberFolder, nodeFolderFiles);
  const database = await Database.open({ directory: generation.stateDirectory });
  const wal = await openLog(generation.logDirectory);
  try {
    return {
      content: await contentOf(database),
      own: await contentOf(database, [OWN_KEYS]),
      hardState: wal.hardState,
      base: wal.base,
      lastIndex: wal.lastIndex,
    };
  } finally {
    await wal.close();
    await database.close();
  }
}

function openLog(directory: string): Promise<Wal> {
  return Wal.open(
    { directory, identity: IDENTITY, ...OPTIONS.wal },
    { fileSystem: nodeFileSystem, logger: silentLogger },
  );
}

/** A member that has applied up to an index; its log ends at another. */
async function makeMember(options: {
  applied: SnapshotHead;
  logTerms: readonly [upTo: number, term: number][];
  hardState: HardState;
}): Promise<void> {
  const generation = await openGeneration(memberFolder, nodeFolderFiles);
  const database = await Database.open({ directory: generation.stateDirectory });
  await fillState(database, { head: options.applied, seed: 11, pairs: 40, sizes: [10] });
  await database.close();
  const wal = await openLog(generation.logDirectory);
  let from = 1;
  for (const [upTo, term] of options.logTerms) {
    await wal.append({ entries: entryRange(from, upTo, term) });
    from = upTo + 1;
  }
  await wal.append({ hardState: options.hardState, entries: [] });
  await wal.close();
}

const BEHIND = {
  applied: head(20, 4),
  logTerms: [[30, 4]] as [number, number][],
  hardState: { term: 7, vote: 3 },
};

/** Stages the snapshot of a source's state; gives what that state is. */
async function stage(
  newHead = NEW_HEAD,
  options: Parameters<typeof makeSource>[1] & { sizes?: readonly number[] } = {},
  disk = new FaultyDisk({}),
): Promise<Map<string, string>> {
  const database = await openState(folder, 'source');
  const { sizes = [0, 1, 5_000, 70_000], ...serving } = options;
  await fillState(database, { head: newHead, seed: 12, sizes });
  const source = makeSource(database, serving);
  const { fileSystem } = disk;
  const fetch = makeFetch(memberFolder, (_to, payload) => source.handle(payload), fileSystem);
  await fetch.fetch({ from: 1, atLeastIndex: newHead.index, signal: never });
  await source.stop();
  const content = await contentOf(database);
  await database.close();
  return content;
}

/** The start after a crash may end at any step as well. */
async function dieAgain(crashAt: number, possible: readonly Found[]): Promise<void> {
  await install(new FaultyDisk({ crashAt })).catch((thrown) =>
    expect(thrown.cause).toBeInstanceOf(Crash),
  );
  expect(possible).toContainEqual(await found());
}

function install(disk = new FaultyDisk({})): Promise<boolean> {
  return installStaged(
    { ...OPTIONS, memberFolder },
    {
      files: disk.files,
      fileSystem: disk.fileSystem,
      openDatabase: async (directory) => disk.database(await Database.open({ directory })),
      readHead,
      logger: silentLogger,
    },
  );
}

describe('an install', () => {
  test('scenario 49: replaces state and log, with a joint configuration, and keeps what is the member’s own', async () => {
    await makeMember(BEHIND);
    const before = await found();
    const content = await stage();
    expect(await install()).toBe(true);
    expect(await found()).toEqual({
      content,
      own: before.own,
      hardState: { term: 7, vote: 3 },
      base: { index: 50, term: 6 },
      lastIndex: 50,
    });
    const database = await Database.open({
      directory: join(memberFolder, 'generation-2', 'state'),
    });
    expect(await readHead(database)).toEqual(NEW_HEAD);
    await database.close();
    expect((await readdir(memberFolder)).sort()).toEqual(['CURRENT', 'generation-2', 'incoming']);
    expect(await readdir(join(memberFolder, 'incoming'))).toEqual([]);
    expect(await install()).toBe(false);
  });

  test('keeps all keys that are the member’s own, however many', async () => {
    await makeMember(BEHIND);
    const { stateDirectory } = await openGeneration(memberFolder, nodeFolderFiles);
    const database = await Database.open({ directory: stateDirectory });
    const batch = new WriteBatch();
    for (let at = 0; at < 600; at += 1) batch.put(utf8(`Lpeer${1_000 + at}`), Uint8Array.of(at));
    await database.write(batch);
    await database.close();
    const { own } = await found();
    expect(own.size).toBeGreaterThan(600);
    await stage();
    expect(await install()).toBe(true);
    expect((await found()).own).toEqual(own);
  });

  test('writes a state of many batches', async () => {
    await makeMember(BEHIND);
    const sizes = [5_000_000, 3_000_000, 1_000_000, 4_200_000, 10];
    const content = await stage(NEW_HEAD, { sizes, limits: {} });
    expect(await install()).toBe(true);
    expect((await found()).content).toEqual(content);
  });

  test('a second one follows the first', async () => {
    await makeMember(BEHIND);
    await stage();
    expect(await install()).toBe(true);
    await rm(join(folder, 'source'), { recursive: true });
    const content = await stage(head(90, 9));
    expect(await install()).toBe(true);
    expect(await found()).toMatchObject({
      content,
      hardState: { term: 9, vote: undefined },
      base: { index: 90, term: 9 },
    });
    expect((await readdir(memberFolder)).sort()).toEqual(['CURRENT', 'generation-3', 'incoming']);
  });

  test('makes everything durable before it takes effect', async () => {
    await makeMember(BEHIND);
    await stage();
    const atCommit: string[][] = [];
    const onRename = (to: string, unsynced: readonly string[]): void => {
      const old = join(memberFolder, 'generation-1');
      if (to.endsWith('CURRENT')) atCommit.push(unsynced.filter((path) => !path.startsWith(old)));
    };
    await install(new FaultyDisk({}, { onRename }));
    // The name of the new CURRENT itself is synced right after.
    expect(atCommit).toEqual([[memberFolder]]);
  });

  test('without a complete snapshot changes nothing', async () => {
    expect(await install()).toBe(false);
    expect(await readdir(memberFolder)).toEqual([]);
    await makeMember(BEHIND);
    await stage();
    await rm(join(memberFolder, 'incoming', 'manifest'));
    const before = await found();
    expect(await install()).toBe(false);
    expect(await found()).toEqual(before);
  });
});

describe('scenario 47: a crash at each step of an install', () => {
  test('boots with the old or the new, and the next start ends the work', {
    timeout: 120_000,
  }, async () => {
    await makeMember(BEHIND);
    const old = await found();
    const content = await stage();
    const template = join(folder, 'template');
    await cp(memberFolder, template, { recursive: true });
    const whole = new FaultyDisk({});
    expect(await install(whole)).toBe(true);
    const renewed = await found();
    expect(renewed.content).toEqual(content);
    expect(whole.count).toBeGreaterThan(20);
    const random = seededRandom(1);
    const outcomes = { old: 0, renewed: 0 };
    for (let crashAt = 1; crashAt <= whole.count; crashAt += 1) {
      await rm(memberFolder, { recursive: true });
      await cp(template, memberFolder, { recursive: true });
      await expect(install(new FaultyDisk({ crashAt }))).rejects.toThrow(/operation/);
      const after = await found();
      const isNew = after.base.index === 50;
      expect(after).toEqual(isNew ? renewed : old);
      outcomes[isNew ? 'renewed' : 'old'] += 1;
      if (crashAt % 4 === 0) await dieAgain(1 + Math.floor(random() * whole.count), [old, renewed]);
      await install();
      expect(await found()).toEqual(renewed);
      expect(await readdir(join(memberFolder, 'incoming'))).toEqual([]);
    }
    expect(outcomes.old).toBeGreaterThan(15);
    expect(outcomes.renewed).toBeGreaterThan(5);
  });

  test('a fetched snapshot is durable before it counts as complete', async () => {
    const atManifest: string[][] = [];
    const onRename = (to: string, unsynced: readonly string[]): void => {
      if (to.endsWith('manifest')) atManifest.push([...unsynced]);
    };
    await stage(NEW_HEAD, {}, new FaultyDisk({}, { onRename }));
    expect(atManifest).toEqual([[join(memberFolder, 'incoming')]]);
  });

  test('a killed fetch is never taken for a complete snapshot', async () => {
    await makeMember(BEHIND);
    const old = await found();
    const database = await openState(folder, 'source');
    await fillState(database, { head: NEW_HEAD, seed: 12, pairs: 20, sizes: [9_000] });
    const source = makeSource(database);
    for (let crashAt = 1; ; crashAt += 1) {
      const disk = new FaultyDisk({ crashAt });
      const fetch = makeFetch(
        memberFolder,
        (_to, payload) => source.handle(payload),
        disk.fileSystem,
      );
      const fetched = await fetch.fetch({ from: 1, atLeastIndex: 50, signal: never }).then(
        () => true,
        (thrown) => {
          expect(thrown.cause).toBeInstanceOf(Crash);
          return false;
        },
      );
      const isComplete = (await readStagedManifest(memberFolder, nodeFileSystem)) !== undefined;
      expect(await install()).toBe(isComplete);
      if (fetched || isComplete) break;
      expect(await found()).toEqual(old);
      if (crashAt % 3 === 0) await rm(join(memberFolder, 'incoming'), { recursive: true });
    }
    expect((await found()).content).toEqual(await contentOf(database));
    await source.stop();
    await database.close();
  });
});

describe('what an install refuses', () => {
  test('scenario 45: a snapshot that the state has reached, and it is gone', async () => {
    for (const index of [50, 60]) {
      await makeMember({
        applied: head(index, 6),
        logTerms: [[70, 6]],
        hardState: { term: 7, vote: 3 },
      });
      const before = await found();
      await stage();
      expect(await install()).toBe(false);
      expect(await found()).toEqual(before);
      expect(await readdir(join(memberFolder, 'incoming'))).toEqual([]);
      await rm(memberFolder, { recursive: true });
      await rm(join(folder, 'source'), { recursive: true });
      await mkdir(memberFolder);
    }
  });

  test('scenario 45: a log that holds the last entry keeps those behind it: they may be acknowledged', async () => {
    await makeMember({
      ...BEHIND,
      logTerms: [
        [30, 4],
        [70, 6],
      ],
    });
    const before = await found();
    await stage();
    expect(await install()).toBe(false);
    expect(await found()).toEqual(before);
  });

  test('a longer log of another term gives way: what is committed is in the snapshot', async () => {
    await makeMember({ ...BEHIND, logTerms: [[70, 4]] });
    await stage();
    expect(await install()).toBe(true);
    expect(await found()).toMatchObject({ base: { index: 50, term: 6 }, lastIndex: 50 });
  });

  test('scenario 46: another term where this member has committed stops it', async () => {
    await makeMember({ ...BEHIND, applied: head(60, 5), logTerms: [[70, 5]] });
    const before = await found();
    await stage();
    await expect(install()).rejects.toMatchObject({ name: 'SnapshotError', code: 'CONFLICT' });
    expect(await found()).toEqual(before);
  });

  test('the term never falls: a vote of an older term is given up for that of the snapshot', async () => {
    await makeMember({ ...BEHIND, hardState: { term: 5, vote: 3 } });
    await stage();
    expect(await install()).toBe(true);
    expect((await found()).hardState).toEqual({ term: 6, vote: undefined });
  });

  test.each([
    ['the log', 'log'],
    ['the state', 'state'],
  ])('a member that lost %s does not get a new one without its votes', async (_what, name) => {
    await makeMember(BEHIND);
    await stage();
    await rm(join(memberFolder, 'generation-1', name), { recursive: true });
    await expect(install()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });

  test('a member whose log ends below its state does not either', async () => {
    await makeMember({ ...BEHIND, logTerms: [[10, 4]] });
    await stage();
    await expect(install()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });

  test('while another process of the member runs', async () => {
    await makeMember(BEHIND);
    await stage();
    const running = await Database.open({
      directory: join(memberFolder, 'generation-1', 'state'),
    });
    await expect(install()).rejects.toMatchObject({ code: 'LOCKED' });
    await running.close();
    expect(await install()).toBe(true);
  });
});

describe('a source that is not what it says', () => {
  test.each([
    ['another head than its state has', { readHead: async () => ({ ...NEW_HEAD, term: 7 }) }],
    ['keys of its own', { ranges: [...RANGES, { ...OWN_KEYS, pairsMax: 10 }] }],
  ])('with %s changes nothing here', async (_what, options) => {
    await makeMember(BEHIND);
    const before = await found();
    await stage(NEW_HEAD, options);
    expect(await install()).toBe(false);
    expect(await found()).toEqual(before);
    expect((await readdir(memberFolder)).sort()).toEqual(['CURRENT', 'generation-1', 'incoming']);
    expect(await readdir(join(memberFolder, 'incoming'))).toEqual([]);
  });
});

describe('scenario 53: a bit that flips in a staged snapshot', () => {
  test.each([1, 2, 3])(
    'is found, the old state stays, and the rest is fetched again, seed %i',
    async (seed) => {
      await makeMember(BEHIND);
      const before = await found();
      const content = await stage();
      const part = join(memberFolder, 'incoming', 'part-00000001');
      const bytes = await readFile(part);
      const random = seededRandom(seed);
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      await writeFile(part, bytes);
      expect(await install()).toBe(false);
      expect(await found()).toEqual(before);
      expect((await readdir(memberFolder)).sort()).toEqual(['CURRENT', 'generation-1', 'incoming']);
      await rm(join(folder, 'source'), { recursive: true });
      expect(await stage()).toEqual(content);
      expect(await install()).toBe(true);
      expect((await found()).content).toEqual(content);
    },
  );
});
