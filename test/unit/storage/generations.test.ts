import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeFolderFiles } from '../../../src/storage/folder_files.ts';
import {
  beginGeneration,
  commitGeneration,
  openGeneration,
  removeOtherGenerations,
} from '../../../src/storage/generations.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-generations-'));
});

afterEach(() => rm(folder, { recursive: true }));

const current = () => openGeneration(folder, nodeFolderFiles);

test('a member folder gets its first generation once', async () => {
  const first = await current();
  expect(first).toEqual({
    number: 1,
    directory: join(folder, 'generation-1'),
    stateDirectory: join(folder, 'generation-1', 'state'),
    logDirectory: join(folder, 'generation-1', 'log'),
  });
  expect(await readFile(join(folder, 'CURRENT'), 'utf8')).toBe('generation-1\n');
  await mkdir(first.stateDirectory);
  expect(await current()).toEqual(first);
});

test('the next one is in force once it is committed, and the others go', async () => {
  const first = await current();
  const unfinished = await beginGeneration(folder, first, nodeFolderFiles);
  await mkdir(unfinished.stateDirectory);
  expect(await current()).toEqual(first);
  const second = await beginGeneration(folder, first, nodeFolderFiles);
  expect(await readdir(second.directory)).toEqual([]);
  await commitGeneration(folder, second, nodeFolderFiles);
  expect((await current()).number).toBe(2);
  await writeFile(join(folder, 'IDENTITY'), 'x');
  await mkdir(join(folder, 'generation-x'));
  await removeOtherGenerations(folder, second, nodeFolderFiles);
  expect((await readdir(folder)).sort()).toEqual([
    'CURRENT',
    'IDENTITY',
    'generation-2',
    'generation-x',
  ]);
});

test('scenario 47: the folder and all names in it are durable before CURRENT says so', async () => {
  const first = await current();
  const next = await beginGeneration(folder, first, nodeFolderFiles);
  const done: string[] = [];
  await commitGeneration(folder, next, {
    ...nodeFolderFiles,
    syncFolder: async (path) => void done.push(`sync ${path}`),
    writeText: async (path) => void done.push(`write ${path}`),
    rename: async (_from, to) => void done.push(`rename to ${to}`),
  });
  expect(done).toEqual([
    `sync ${next.directory}`,
    `sync ${folder}`,
    `write ${join(folder, 'CURRENT.tmp')}`,
    `rename to ${join(folder, 'CURRENT')}`,
    `sync ${folder}`,
  ]);
});

test('scenario 47: a name that a killed process left in the cache is durable before anything rests on it', async () => {
  const first = await current();
  const next = await beginGeneration(folder, first, nodeFolderFiles);
  // The rename was done, the process died before the folder was synced.
  await writeFile(join(folder, 'CURRENT'), 'generation-2\n');
  const synced: string[] = [];
  const found = await openGeneration(folder, {
    ...nodeFolderFiles,
    syncFolder: async (path) => void synced.push(path),
  });
  expect(found).toEqual(next);
  expect(synced).toEqual([folder]);
});

test('nothing is made anew beside data whose CURRENT is missing or wrong', async () => {
  const first = await current();
  await mkdir(first.stateDirectory);
  for (const text of [
    undefined,
    '',
    'generation-1',
    'generation-2\n',
    'generation-01\n',
    '../x\n',
  ]) {
    await rm(join(folder, 'CURRENT'));
    if (text !== undefined) await writeFile(join(folder, 'CURRENT'), text);
    await expect(current()).rejects.toMatchObject({ name: 'StorageError', code: 'CORRUPT' });
    await writeFile(join(folder, 'CURRENT'), 'generation-1\n');
  }
  expect(await current()).toEqual(first);
});

test('a crash while the first one is made leaves nothing that is in the way', async () => {
  await mkdir(join(folder, 'generation-1'));
  await writeFile(join(folder, 'CURRENT.tmp'), 'gener');
  expect((await current()).number).toBe(1);
});

test('what the system refuses is typed', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  await expect(openGeneration(file, nodeFolderFiles)).rejects.toMatchObject({
    name: 'StorageError',
    code: 'UNUSABLE',
  });
});
