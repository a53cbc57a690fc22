import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOrVerifyDataFolder } from '../../../src/storage/data_folder.ts';

const IDENTITY = { genesisHash: `0x${'ab'.repeat(32)}`, clusterId: 'cluster-a', memberId: 2 };

let folder: string;
let directory: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-folder-'));
  directory = join(folder, 'member', '2');
});

afterEach(() => rm(folder, { recursive: true }));

function use(identity = IDENTITY): Promise<{ created: boolean }> {
  return createOrVerifyDataFolder({ directory, identity });
}

test('a folder is made once and recognised afterwards', async () => {
  expect(await use()).toEqual({ created: true });
  expect(await use()).toEqual({ created: false });
  expect((await readdir(directory)).sort()).toEqual(['IDENTITY', 'VERSION']);
  expect(JSON.parse(await readFile(join(directory, 'IDENTITY'), 'utf8'))).toEqual({
    formatVersion: 2,
    ...IDENTITY,
  });
});

test('another chain, cluster or member is refused with what was expected and found', async () => {
  await use();
  const others = {
    genesisHash: `0x${'cd'.repeat(32)}`,
    clusterId: 'cluster-b',
    memberId: 3,
  };
  for (const field of ['genesisHash', 'clusterId', 'memberId'] as const) {
    await expect(use({ ...IDENTITY, [field]: others[field] })).rejects.toMatchObject({
      name: 'StorageError',
      code: 'IDENTITY_MISMATCH',
      fields: { path: directory, field, expected: others[field], found: IDENTITY[field] },
    });
  }
  expect(await use()).toEqual({ created: false });
});

test('another format version is refused', async () => {
  await use();
  await writeFile(join(directory, 'VERSION'), '1\n');
  await expect(use()).rejects.toMatchObject({
    code: 'VERSION_MISMATCH',
    fields: { expected: 2, found: '1' },
  });
});

test('data without an identity is refused and left alone', async () => {
  await mkdir(join(directory, 'wal'), { recursive: true });
  await writeFile(join(directory, 'wal', '0000000001.wal'), 'x');
  await expect(use()).rejects.toMatchObject({
    code: 'NO_IDENTITY',
    fields: { path: join(directory, 'wal') },
  });
  expect(await readdir(directory)).toEqual(['wal']);
});

test('a folder that a crash left half-made is completed', async () => {
  await mkdir(join(directory, 'state'), { recursive: true });
  await mkdir(join(directory, 'lost+found'));
  await writeFile(join(directory, 'VERSION'), '2\n');
  await writeFile(join(directory, 'IDENTITY.tmp'), '{"gene');
  expect(await use()).toEqual({ created: true });
  expect(await use()).toEqual({ created: false });
});

test('an identity that cannot be read is refused', async () => {
  await use();
  for (const text of ['', '{"memberId":2}', 'null', '[]']) {
    await writeFile(join(directory, 'IDENTITY'), text);
    await expect(use()).rejects.toMatchObject({ name: 'StorageError', code: 'CORRUPT' });
  }
});

test('a file in the way is refused', async () => {
  await mkdir(join(folder, 'member'));
  await writeFile(directory, 'something');
  await expect(use()).rejects.toMatchObject({ code: 'UNUSABLE', fields: { path: directory } });
  directory = join(directory, 'deeper');
  await expect(use()).rejects.toMatchObject({ code: 'UNUSABLE' });
});
