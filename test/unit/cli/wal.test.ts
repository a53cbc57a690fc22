import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Database } from '../../../src/storage/database.ts';
import type { Entry } from '../../../src/types/entry.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import { Wal } from '../../../src/wal/wal.ts';
import { blockraft, temporaryFolder } from './cli_fixture.ts';

const IDENTITY = { clusterId: 'cluster-a', memberId: 2 };
const silentLogger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const SEGMENT_BYTES = 16 * 1024;
/** Entries 41 to 400 of 100 bytes each, a batch of its own for each. */
const COUNT = 400;
const BASE = 40;

function command(index: number): Entry {
  return { index, term: 2, type: 'command', data: new Uint8Array(100).fill(1 + (index % 250)) };
}

function openLog(directory: string, identity = IDENTITY): Promise<Wal> {
  return Wal.open(
    { directory, identity, segmentBytes: SEGMENT_BYTES },
    { fileSystem: nodeFileSystem, logger: silentLogger },
  );
}

/** The data folder of a stopped member with a compacted log. */
async function stoppedMember(identity = IDENTITY): Promise<{ folder: string; log: string }> {
  const folder = join(await temporaryFolder(), 'member-2');
  const log = join(folder, 'generation-3', 'log');
  await mkdir(log, { recursive: true });
  await writeFile(join(folder, 'CURRENT'), 'generation-3\n');
  await writeFile(join(folder, 'IDENTITY'), JSON.stringify({ genesisHash: '0x0', ...IDENTITY }));
  const wal = await openLog(log, identity);
  await wal.append({ hardState: { term: 2, vote: 3 }, entries: [] });
  const noop = { index: 1, term: 2, type: 'noop', data: new Uint8Array(0) } as const;
  await wal.append({ entries: [noop] });
  for (let index = 2; index <= COUNT; index += 1) await wal.append({ entries: [command(index)] });
  await wal.compact(BASE);
  await wal.close();
  return { folder, log };
}

async function segmentsOf(log: string): Promise<string[]> {
  const names = (await readdir(log)).filter((name) => name.endsWith('.wal'));
  return names.sort().map((name) => join(log, name));
}

async function flipBit(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 4;
  await file.write(byte, 0, 1, position);
  await file.close();
}

async function contentOf(log: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const name of await readdir(log))
    content[name] = (await readFile(join(log, name))).toString('base64');
  return content;
}

describe('a sound log', () => {
  test('is shown and verified, by member folder or log folder, and not changed', async () => {
    const { folder, log } = await stoppedMember();
    const before = await contentOf(log);
    for (const path of [folder, log]) {
      const verified = await blockraft(['wal', 'verify', path]);
      expect(verified).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/: sound, [\d,]+ records in \d+ segments, entries 41 to 400/),
      });
      const shown = await blockraft(['wal', 'inspect', path]);
      expect(shown.code).toBe(0);
      expect(shown.stdout).toMatch(/member 2 of cluster cluster-a/);
      expect(shown.stdout).toMatch(/base +entry 40 of term 2/);
      expect(shown.stdout).toMatch(/entries +41 to 400, the last of term 2 \(/);
      expect(shown.stdout).toMatch(/hard state +term 2, vote 3/);
      expect(shown.stdout).not.toMatch(/damage/);
    }
    const { stdout } = await blockraft(['wal', 'inspect', folder, '--json']);
    const segments = await segmentsOf(log);
    expect(JSON.parse(stdout)).toMatchObject({
      identity: IDENTITY,
      base: { index: BASE, term: 2 },
      firstIndex: BASE + 1,
      lastIndex: COUNT,
      lastTerm: 2,
      hardState: { term: 2, vote: 3 },
      entries: { noop: 0, command: COUNT - BASE, configuration: 0 },
      segments: segments.map((path) => ({ path })),
      tail: { path: segments.at(-1), remainsBytes: 0 },
      damage: [],
    });
    expect(JSON.parse(stdout).lastRecords.at(-1).record).toMatchObject({ index: COUNT, term: 2 });
    expect(await contentOf(log)).toEqual(before);
  });

  test('scenario 70: may end in a write that never finished', async () => {
    const { folder, log } = await stoppedMember();
    const last = (await segmentsOf(log)).at(-1)!;
    const { tail } = JSON.parse((await blockraft(['wal', 'inspect', folder, '--json'])).stdout);
    await truncate(last, tail.offset - 20);
    const shown = await blockraft(['wal', 'inspect', folder]);
    expect(shown.stdout).toMatch(/bytes of a write that never finished/);
    const verified = await blockraft(['wal', 'verify', folder, '--json']);
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ sound: true, lastIndex: COUNT - 1 });
    expect(JSON.parse(verified.stdout).unfinishedBytes).toBeGreaterThan(0);
    const told = await blockraft(['wal', 'verify', folder]);
    expect(told.stdout).toMatch(/: sound, .*, then \d+ bytes of a write that never finished/);
    const reopened = await openLog(log);
    expect(reopened.lastIndex).toBe(COUNT - 1);
    await reopened.close();
  });
});

describe('a damaged log', () => {
  /** Both commands must find the same damage, and the member must refuse to start. */
  async function expectDamage(
    folder: string,
    damage: readonly object[],
    refusal = 'CORRUPT',
  ): Promise<{ lastIndex: number }> {
    const verified = await blockraft(['wal', 'verify', folder]);
    expect(verified).toMatchObject({ code: 1, stdout: '' });
    expect(verified.stderr).toMatch(/blockraft members replace/);
    const asJson = await blockraft(['wal', 'verify', folder, '--json']);
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ sound: false, damage });
    const shown = await blockraft(['wal', 'inspect', folder, '--json']);
    expect(shown.code).toBe(0);
    const report = JSON.parse(shown.stdout);
    expect(report).toMatchObject({ damage });
    await expect(openLog(report.directory)).rejects.toMatchObject({ code: refusal });
    return report;
  }

  test('scenario 71: a bit that flipped in the middle is found at its byte', async () => {
    const { folder, log } = await stoppedMember();
    const [, second = '', third = ''] = await segmentsOf(log);
    // The third record of the segment, and the tenth of the next one.
    await flipBit(second, 4096 + 2 * 144 + 60);
    await flipBit(third, 4096 + 9 * 144 + 60);
    const { lastIndex } = await expectDamage(folder, [
      { path: second, offset: 4096 + 2 * 144 },
      { path: third, offset: 4096 + 9 * 144 },
    ]);
    expect(lastIndex).toBeGreaterThan(BASE);
    expect(lastIndex).toBeLessThan(COUNT);
  });

  test('scenario 71: what had been synced at the end is not taken for an unfinished write', async () => {
    const { folder, log } = await stoppedMember();
    const last = (await segmentsOf(log)).at(-1)!;
    await flipBit(last, 4096 + 60);
    await expectDamage(folder, [{ path: last, offset: 4096 }]);
  });

  test('scenario 48: a segment that is missing is named, at the base and later', async () => {
    for (const missing of [0, 1]) {
      const { folder, log } = await stoppedMember();
      const path = (await segmentsOf(log))[missing]!;
      await rm(path);
      await expectDamage(folder, [{ path, offset: 0, problem: 'this segment is missing' }]);
    }
  });

  test('a damaged base or header', async () => {
    const { folder, log } = await stoppedMember();
    await flipBit(join(log, 'base'), 24);
    await expectDamage(folder, [{ path: join(log, 'base'), offset: 0 }]);
    const other = await stoppedMember();
    const [, second = ''] = await segmentsOf(other.log);
    await flipBit(second, 30);
    await expectDamage(other.folder, [{ path: second, offset: 0 }]);
  });

  test('a segment of another cluster', async () => {
    const { folder, log } = await stoppedMember();
    const stranger = await stoppedMember({ clusterId: 'cluster-b', memberId: 2 });
    const [, second = ''] = await segmentsOf(log);
    const [, theirs = ''] = await segmentsOf(stranger.log);
    await copyFile(theirs, second);
    await expectDamage(
      folder,
      [{ path: second, problem: expect.stringMatching(/member 2 of cluster cluster-b/) }],
      'IDENTITY_MISMATCH',
    );
    // The whole log of another cluster in this member's folder.
    const { code, stderr } = await blockraft(['wal', 'verify', stranger.folder]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/cluster-b, not to member 2/)]);
  });
});

describe('a folder that cannot be examined', () => {
  test('is told in one line', async () => {
    const folder = await temporaryFolder();
    expect(await blockraft(['wal', 'inspect', folder])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^blockraft: .* holds no log\n$/),
    });
    expect((await blockraft(['wal', 'verify', join(folder, 'none')])).code).toBe(2);
    await writeFile(join(folder, 'CURRENT'), '../elsewhere\n');
    expect(await blockraft(['wal', 'verify', folder])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not name a generation/),
    });
  });

  test.runIf(process.platform === 'linux')(
    'of a member that runs: inspect says so, verify refuses',
    async () => {
      const { folder } = await stoppedMember();
      const database = await Database.open({ directory: join(folder, 'generation-3', 'state') });
      try {
        expect(await blockraft(['wal', 'inspect', folder])).toMatchObject({
          code: 0,
          stderr: expect.stringMatching(/its newest records may be missing/),
        });
        expect(await blockraft(['wal', 'verify', folder])).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/stop it first/),
        });
      } finally {
        await database.close();
      }
      expect((await blockraft(['wal', 'verify', folder])).code).toBe(0);
    },
  );
});
