import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AssertionError } from '../../../src/lib/assert.ts';
import { uint64Bytes, utf8 } from '../../../src/lib/bytes.ts';
import { Database } from '../../../src/storage/database.ts';
import { keyAfter, prefixRange } from '../../../src/storage/keys.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';

const WRITER = fileURLToPath(new URL('./batch_writer.ts', import.meta.url));

let folder: string;
let directory: string;
const databases: Database[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-database-'));
  directory = join(folder, 'state');
});

afterEach(async () => {
  for (const database of databases.splice(0)) await database.close();
  await rm(folder, { recursive: true });
});

async function open(path = directory): Promise<Database> {
  const database = await Database.open({ directory: path });
  databases.push(database);
  return database;
}

async function close(database: Database): Promise<void> {
  databases.splice(databases.indexOf(database), 1);
  await database.close();
}

function batchOf(pairs: Record<string, string>): WriteBatch {
  const batch = new WriteBatch();
  for (const [key, value] of Object.entries(pairs)) batch.put(utf8(key), utf8(value));
  return batch;
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

async function keysOf(pairs: AsyncIterable<[Uint8Array, Uint8Array]>): Promise<string> {
  const keys: (string | undefined)[] = [];
  for await (const [key] of pairs) keys.push(text(key));
  return keys.join(' ');
}

describe('reading and writing', () => {
  test('gives back what was put, after reopening too', async () => {
    const first = await open();
    const batch = batchOf({ a: '1', b: '' });
    batch.put(utf8('big'), new Uint8Array(1_000_000).fill(7));
    expect([batch.count, batch.sizeBytes]).toEqual([3, 1_000_006]);
    await first.write(batch);
    await close(first);
    const database = await open();
    expect(text(await database.get(utf8('a')))).toBe('1');
    expect(await database.get(utf8('b'))).toEqual(new Uint8Array(0));
    expect(await database.get(utf8('absent'))).toBeUndefined();
    expect((await database.get(utf8('big')))?.length).toBe(1_000_000);
    expect((await database.get(utf8('a')))?.constructor).toBe(Uint8Array);
  });

  test('many keys keep their order, absent ones included', async () => {
    const database = await open();
    const batch = new WriteBatch();
    for (let at = 0; at < 3000; at += 2) batch.put(uint64Bytes(at), utf8(String(at)));
    await database.write(batch);
    const keys = Array.from({ length: 3000 }, (_, at) => uint64Bytes(at));
    const expected = keys.map((_, at) => (at % 2 === 0 ? String(at) : undefined));
    expect((await database.getMany(keys)).map(text)).toEqual(expected);
    const single = await Promise.all(keys.map((key) => database.get(key)));
    expect(single.map(text)).toEqual(expected);
    expect(await database.getMany([])).toEqual([]);
  });

  test('the later change wins, within a batch and among batches', async () => {
    const database = await open();
    const batch = batchOf({ a: '1', b: '1', c: '1' });
    batch.delete(utf8('a'));
    batch.deleteRange(utf8('b'), utf8('c'));
    batch.put(utf8('b'), utf8('2'));
    const writes = [database.write(batch)];
    for (let at = 0; at < 100; at += 1) writes.push(database.write(batchOf({ last: String(at) })));
    await Promise.all(writes);
    expect((await database.getMany(['a', 'b', 'c', 'last'].map(utf8))).map(text)).toEqual([
      undefined,
      '2',
      '1',
      '99',
    ]);
    await database.write(new WriteBatch());
  });

  test('a range is deleted from its start up to but without its end', async () => {
    const database = await open();
    await database.write(batchOf({ a: '', b: '', ba: '', c: '', d: '' }));
    const batch = new WriteBatch();
    batch.deleteRange(utf8('b'), utf8('c'));
    await database.write(batch);
    await database.flush();
    expect(await keysOf(database.iterate({ gte: utf8('a'), lt: utf8('z') }))).toBe('a c d');
  });
});

describe('iteration', () => {
  test('keeps its bounds, direction and limit', async () => {
    const database = await open();
    await database.write(batchOf({ a: '', b1: '', b2: '', b3: '', c: '' }));
    const range = prefixRange(utf8('b'));
    expect(await keysOf(database.iterate(range))).toBe('b1 b2 b3');
    expect(await keysOf(database.iterate({ ...range, reverse: true }))).toBe('b3 b2 b1');
    expect(await keysOf(database.iterate({ ...range, limit: 2 }))).toBe('b1 b2');
    expect(await keysOf(database.iterate({ ...range, limit: 2, reverse: true }))).toBe('b3 b2');
    expect(await keysOf(database.iterate({ ...range, limit: 0 }))).toBe('');
    expect(await keysOf(database.iterate({ gte: utf8('b2'), lt: utf8('c') }))).toBe('b2 b3');
    expect(await keysOf(database.iterate({ gte: new Uint8Array(0), lt: utf8('b') }))).toBe('a');
    expect(await keysOf(database.iterate({ gte: utf8('x'), lt: utf8('y') }))).toBe('');
  });

  test('a prefix of 0xff bytes has its successor one byte earlier', () => {
    expect(prefixRange(Uint8Array.of(1, 0xff)).lt).toEqual(Uint8Array.of(2));
    expect(prefixRange(Uint8Array.of(1, 2)).lt).toEqual(Uint8Array.of(1, 3));
    expect(() => prefixRange(Uint8Array.of(0xff))).toThrow(AssertionError);
  });

  test('crosses many fetches, sees one moment, and can be left early', async () => {
    const database = await open();
    const batch = new WriteBatch();
    for (let at = 0; at < 1000; at += 1) batch.put(uint64Bytes(at), uint64Bytes(at * 2));
    await database.write(batch);
    const range = { gte: uint64Bytes(0), lt: uint64Bytes(5000) };
    let count = 0;
    for await (const [key, value] of database.iterate(range)) {
      if (count === 0) {
        const more = new WriteBatch();
        more.deleteRange(uint64Bytes(500), uint64Bytes(600));
        more.put(uint64Bytes(2000), utf8('new'));
        await database.write(more);
      }
      expect([key, value]).toEqual([uint64Bytes(count), uint64Bytes(count * 2)]);
      count += 1;
    }
    expect(count).toBe(1000);
    for await (const _ of database.iterate(range)) break;
  });

  test('is ended by a close', async () => {
    const database = await open();
    const batch = new WriteBatch();
    for (let at = 0; at < 1000; at += 1) batch.put(uint64Bytes(at), utf8('x'));
    await database.write(batch);
    const pairs = database.iterate({ gte: uint64Bytes(0), lt: uint64Bytes(5000) });
    const iterator = pairs[Symbol.asyncIterator]();
    await iterator.next();
    await close(database);
    const rest = async (): Promise<void> => {
      while (!(await iterator.next()).done);
    };
    await expect(rest()).rejects.toMatchObject({ name: 'StorageError', code: 'CLOSED' });
  });
});

describe('a snapshot', () => {
  test('does not see later writes', async () => {
    const database = await open();
    await database.write(batchOf({ a: 'old', b: 'old' }));
    const snapshot = database.snapshot();
    const change = batchOf({ a: 'new', c: 'new' });
    change.delete(utf8('b'));
    await database.write(change);
    await database.flush();
    const keys = ['a', 'b', 'c'].map(utf8);
    expect((await snapshot.getMany(keys)).map(text)).toEqual(['old', 'old', undefined]);
    expect(text(await snapshot.get(utf8('a')))).toBe('old');
    expect(await keysOf(snapshot.iterate({ gte: utf8('a'), lt: utf8('z') }))).toBe('a b');
    expect((await database.getMany(keys)).map(text)).toEqual(['new', undefined, 'new']);
    await snapshot.close();
    await snapshot.close();
    expect(() => snapshot.get(utf8('a'))).toThrow(AssertionError);
  });

  test('does not keep the database from closing', async () => {
    const database = await open();
    database.snapshot();
    await close(database);
    expect(() => database.get(utf8('a'))).toThrow(AssertionError);
    expect(() => database.write(new WriteBatch())).toThrow(AssertionError);
    await open();
  });
});

describe('what cannot be opened', () => {
  test('a folder that is open already, in this process or in another', async () => {
    const database = await open();
    const locked = { name: 'StorageError', code: 'LOCKED', fields: { path: directory } };
    await expect(Database.open({ directory })).rejects.toMatchObject(locked);
    await close(database);
    const child = spawn(process.execPath, [WRITER, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(createInterface(child.stdout), 'line');
      await expect(Database.open({ directory })).rejects.toMatchObject(locked);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await open();
  });

  test('a file in the way, a folder below a file', async () => {
    await writeFile(directory, 'something');
    for (const path of [directory, join(directory, 'deeper')])
      await expect(Database.open({ directory: path })).rejects.toMatchObject({
        name: 'StorageError',
        code: 'UNUSABLE',
      });
  });

  test.skipIf(process.getuid?.() === 0)('a folder without permission to write', async () => {
    await mkdir(directory);
    await chmod(directory, 0o500);
    await expect(Database.open({ directory })).rejects.toMatchObject({ code: 'UNUSABLE' });
  });

  test('damaged files', async () => {
    const database = await open();
    const batch = new WriteBatch();
    for (let at = 0; at < 1000; at += 1) batch.put(uint64Bytes(at), new Uint8Array(100).fill(at));
    await database.write(batch);
    await database.flush();
    await close(database);
    const corrupt = { name: 'StorageError', code: 'CORRUPT' };

    const table = (await readdir(directory)).find((name) => name.endsWith('.sst')) ?? '';
    const bytes = await readFile(join(directory, table));
    bytes[2000] = (bytes[2000] ?? 0) ^ 1;
    await writeFile(join(directory, table), bytes);
    const damaged = await open();
    const keys = Array.from({ length: 1000 }, (_, at) => uint64Bytes(at));
    await expect(damaged.getMany(keys)).rejects.toMatchObject(corrupt);
    await expect(Promise.all(keys.map((key) => damaged.get(key)))).rejects.toMatchObject(corrupt);
    const range = { gte: uint64Bytes(0), lt: uint64Bytes(5000) };
    await expect(keysOf(damaged.iterate(range))).rejects.toMatchObject(corrupt);
    await close(damaged);

    const current = await readFile(join(directory, 'CURRENT'));
    await writeFile(join(directory, 'CURRENT'), 'damaged');
    await expect(Database.open({ directory })).rejects.toMatchObject(corrupt);
    await writeFile(join(directory, 'CURRENT'), current);
    const manifest = (await readdir(directory)).find((name) => name.startsWith('MANIFEST')) ?? '';
    await rm(join(directory, manifest));
    await expect(Database.open({ directory })).rejects.toMatchObject(corrupt);
  });
});

describe('a process killed while it writes', () => {
  test('79: applied index and data always agree, and no finished batch is lost', async () => {
    let floor = 0;
    for (let life = 0; life < 6; life += 1) {
      const child = spawn(process.execPath, [WRITER, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let finished = 0;
      const lines = createInterface(child.stdout);
      const enough = Promise.withResolvers<void>();
      lines.on('line', (line) => {
        finished = Number(line);
        if (finished >= floor + 20 + life * 7) enough.resolve();
      });
      const ended = once(lines, 'close');
      await enough.promise;
      child.kill('SIGKILL');
      await ended;

      const database = await open();
      const applied = Number(text(await database.get(utf8('applied'))));
      expect(applied).toBeGreaterThanOrEqual(finished);
      const expected = uint64Bytes(applied);
      const slots = await database.getMany(
        Array.from({ length: 50 }, (_, at) => utf8(`slot${at}`)),
      );
      for (const slot of slots) expect(slot).toEqual(expected);
      let next = 0;
      for await (const [key] of database.iterate(prefixRange(utf8('n')))) {
        next += 1;
        expect(key).toEqual(Uint8Array.from([...utf8('n'), ...uint64Bytes(next)]));
      }
      expect(next).toBe(applied);
      floor = applied;
      await close(database);
    }
  });
});

describe('pages', () => {
  test('give the pairs of a range in order, each as it was in the snapshot', async () => {
    const database = await open();
    const batch = new WriteBatch();
    for (let at = 0; at < 2_500; at += 1) batch.put(uint64Bytes(at), utf8(`value ${at}`));
    await database.write(batch);
    const snapshot = database.snapshot();
    await database.write(batchOf({ a: 'later' }));
    const found: string[] = [];
    let gte: Uint8Array = uint64Bytes(3);
    for (;;) {
      const range = { gte, lt: uint64Bytes(2_400), pairsMax: 100 };
      const pairs = await snapshot.page(range);
      found.push(...pairs.map(([, value]) => text(value) ?? ''));
      const last = pairs.at(-1);
      if (last === undefined || pairs.length < range.pairsMax) break;
      gte = keyAfter(last[0]);
    }
    expect(found).toEqual(Array.from({ length: 2_397 }, (_, at) => `value ${at + 3}`));
    expect(await snapshot.page({ ...prefixRange(utf8('a')), pairsMax: 5 })).toEqual([]);
    expect((await database.page({ ...prefixRange(utf8('a')), pairsMax: 5 })).length).toBe(1);
    await snapshot.close();
  });

  test('scenario 53: a bit that flipped on the disk is an error, never the end of a range', async () => {
    const database = await open();
    const batch = new WriteBatch();
    for (let at = 0; at < 5_000; at += 1) batch.put(uint64Bytes(at), uint64Bytes(at * 7_919));
    await database.write(batch);
    await database.flush();
    await close(database);
    for (const name of await readdir(directory)) {
      if (!name.endsWith('.sst')) continue;
      const bytes = await readFile(join(directory, name));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(join(directory, name), bytes);
    }
    const damaged = await open();
    const range = { gte: uint64Bytes(0), lt: uint64Bytes(5_000), pairsMax: 10_000 };
    await expect(damaged.page(range)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('end with the snapshot', async () => {
    const database = await open();
    await database.write(batchOf({ a: '1' }));
    const snapshot = database.snapshot();
    const page = snapshot.page({ ...prefixRange(utf8('a')), pairsMax: 5 });
    await snapshot.close();
    await expect(page).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
