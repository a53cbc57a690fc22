import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../../src/lib/bytes.ts';
import { PairAssembler } from '../../../src/snapshot/chunk.ts';
import type { SnapshotSource } from '../../../src/snapshot/snapshot_source.ts';
import { readStagedChunks, readStagedManifest } from '../../../src/snapshot/staging.ts';
import { decodeRequest, encodeRequest } from '../../../src/snapshot/wire.ts';
import type { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import { seededRandom } from '../wal/wal_fixture.ts';
import {
  bytesOf,
  CHAIN,
  contentOf,
  fillState,
  head,
  makeFetch,
  makeSource,
  never,
  openState,
  putHead,
  TestClock,
} from './fixture.ts';

let folder: string;
let memberFolder: string;
let database: Database;
let source: SnapshotSource;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-snapshot-'));
  memberFolder = join(folder, 'receiver');
  await mkdir(memberFolder);
  database = await open('source');
  await fillState(database, { head: head(50, 2), seed: 3 });
  source = serve(database);
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(folder, { recursive: true });
});

async function open(name: string): Promise<Database> {
  const opened = await openState(folder, name);
  closing.push(() => opened.close());
  return opened;
}

function serve(from: Database, options: Parameters<typeof makeSource>[1] = {}): SnapshotSource {
  const served = makeSource(from, options);
  closing.push(() => served.stop());
  return served;
}

/** Counts the requests, and lets the test do something before one of them is answered. */
class Link {
  readonly asked: string[] = [];
  before: (count: number) => void | Promise<void> = () => undefined;
  to: SnapshotSource;

  constructor(to: SnapshotSource) {
    this.to = to;
  }

  request = async (_to: number, payload: Uint8Array): Promise<Uint8Array> => {
    const request = decodeRequest(payload);
    this.asked.push(request.type === 'open' ? 'open' : String(request.number));
    await this.before(this.asked.length);
    return this.to.handle(payload);
  };
}

/** What is staged, as a state would hold it. */
async function stagedContent(): Promise<Map<string, string>> {
  const manifest = await readStagedManifest(memberFolder, nodeFileSystem);
  if (manifest === undefined) throw new Error('nothing is staged');
  const content = new Map<string, string>();
  const pairs = new PairAssembler();
  for await (const payload of readStagedChunks({ memberFolder, manifest }, nodeFileSystem))
    pairs.add(payload, (key, value) =>
      content.set(Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')),
    );
  pairs.finish();
  return content;
}

async function advance(index: number): Promise<void> {
  const batch = new WriteBatch();
  putHead(batch, head(index, 5));
  await database.write(batch);
}

const wanted = { from: 1, atLeastIndex: 10, signal: never };

describe('a transfer', () => {
  test('brings the state of one moment while writes go on, and nothing of the member itself', async () => {
    const before = await contentOf(database);
    const link = new Link(source);
    link.before = async (count) => {
      const batch = new WriteBatch();
      putHead(batch, head(50 + count, 2));
      batch.put(utf8(`a-new-${count}`), bytesOf(50, count));
      batch.deleteRange(utf8('o'), utf8('p'));
      if (count > 1) await database.write(batch);
    };
    const fetch = makeFetch(memberFolder, link.request);
    const staged = await fetch.fetch(wanted);
    expect(staged).toMatchObject({ ...CHAIN, ...head(50, 2) });
    expect(staged.chunkCount).toBe(link.asked.length - 1);
    expect(staged.chunkCount).toBeGreaterThan(20);
    const content = await stagedContent();
    expect(content).toEqual(before);
    expect([...content.keys()].some((key) => key.startsWith('4c'))).toBe(false);
    expect(fetch.progress).toBeUndefined();
    // It is there already.
    expect(await fetch.fetch(wanted)).toEqual(staged);
    expect(link.asked.length).toBe(staged.chunkCount + 1);
  });

  test('carries values larger than many chunks, and an empty state', async () => {
    const large = await open('large');
    const sizes = [16 * 1024 * 1024, 256 * 1024, 256 * 1024 - 20, 0, 3_000_000];
    await fillState(large, { head: head(60), seed: 8, pairs: 0, sizes });
    const link = new Link(serve(large, { limits: {} }));
    const staged = await makeFetch(memberFolder, link.request).fetch(wanted);
    expect(staged.chunkCount).toBe(78);
    expect(await stagedContent()).toEqual(await contentOf(large));
    const empty = await open('empty');
    await fillState(empty, { head: head(70), seed: 8, pairs: 0, sizes: [] });
    link.to = serve(empty);
    await makeFetch(memberFolder, link.request).fetch({ ...wanted, atLeastIndex: 70 });
    expect(await stagedContent()).toEqual(await contentOf(empty));
  });

  test('scenario 51: one receiver that stops in the middle keeps no other waiting', async () => {
    const stalled = new Link(source);
    let release: () => void = () => undefined;
    stalled.before = (count) =>
      count < 5 ? undefined : new Promise<void>((resolve) => (release = resolve));
    const abort = new AbortController();
    const first = makeFetch(join(memberFolder, '..', 'source'), stalled.request).fetch({
      ...wanted,
      signal: abort.signal,
    });
    first.catch(() => undefined);
    const second = makeFetch(memberFolder, new Link(source).request);
    await second.fetch(wanted);
    expect(await stagedContent()).toEqual(await contentOf(database));
    abort.abort();
    release();
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' });
  });

  test('of another cluster, another chain, or below what is needed is refused', async () => {
    for (const chain of [
      { ...CHAIN, clusterId: 'cluster-b' },
      { ...CHAIN, genesisHash: bytesOf(32, 1) },
    ]) {
      const link = new Link(serve(database, { chain }));
      const fetched = makeFetch(memberFolder, link.request).fetch(wanted);
      await expect(fetched).rejects.toMatchObject({ code: 'FOREIGN', fields: { from: 1 } });
    }
    const link = new Link(source);
    const fetched = makeFetch(memberFolder, link.request).fetch({ ...wanted, atLeastIndex: 51 });
    await expect(fetched).rejects.toMatchObject({
      code: 'REFUSED',
      fields: { refusal: 'behind' },
    });
    expect(await readdir(memberFolder)).toEqual([]);
  });
});

describe('scenario 50: chunks lost, duplicated, late or damaged, and leaders that change', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'through a link that does everything wrong, seed %i',
    async (seed) => {
      const random = seededRandom(seed);
      const sent: Uint8Array[] = [];
      const request = async (_to: number, payload: Uint8Array): Promise<Uint8Array> => {
        const response = await source.handle(payload);
        sent.push(response);
        const dice = random();
        if (dice < 0.1) throw new Error('the response was lost');
        if (dice < 0.2) return sent[Math.floor(random() * sent.length)] as Uint8Array;
        if (dice < 0.25) return (await source.handle(payload)).subarray(0, random() * 100);
        if (dice > 0.3) return response;
        const flipped = response.slice();
        const at = Math.floor(random() * flipped.length);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
        return flipped;
      };
      // No seed here fails six times in a row: one call is enough, and nothing wrong is ever taken.
      await makeFetch(memberFolder, request).fetch(wanted);
      expect(await stagedContent()).toEqual(await contentOf(database));
    },
  );

  test('a lost connection in the middle costs no chunk', async () => {
    const link = new Link(source);
    link.before = (count) => {
      if (count > 8) throw new Error('connection lost');
    };
    const fetch = makeFetch(memberFolder, link.request);
    await expect(fetch.fetch(wanted)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(new Set(link.asked)).toEqual(new Set(['open', '0', '1', '2', '3', '4', '5', '6', '7']));
    link.before = () => undefined;
    link.asked.length = 0;
    const staged = await fetch.fetch(wanted);
    expect(link.asked[0]).toBe('7');
    expect(link.asked.length).toBe(staged.chunkCount - 7);
    expect(await stagedContent()).toEqual(await contentOf(database));
  });

  test('the chunks of one leader are never mixed with those of the next', async () => {
    const other = await open('other');
    await fillState(other, { head: head(55, 3), seed: 4 });
    const link = new Link(source);
    link.before = (count) => {
      if (count > 8) throw new Error('connection lost');
    };
    const fetch = makeFetch(memberFolder, link.request);
    await expect(fetch.fetch(wanted)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const next = new Link(serve(other));
    const staged = await makeFetch(memberFolder, next.request).fetch({ ...wanted, from: 2 });
    expect(next.asked.slice(0, 2)).toEqual(['open', '0']);
    expect(staged).toMatchObject(head(55, 3));
    expect(await stagedContent()).toEqual(await contentOf(other));
  });

  test('a source that lost the snapshot is asked for another from the start', async () => {
    const link = new Link(source);
    const restarted = serve(database);
    link.before = (count) => {
      if (count === 9) link.to = restarted;
    };
    const staged = await makeFetch(memberFolder, link.request).fetch(wanted);
    expect(link.asked.slice(8, 11)).toEqual(['7', 'open', '0']);
    expect(link.asked.length).toBe(staged.chunkCount + 10);
    expect(await stagedContent()).toEqual(await contentOf(database));
  });
});

describe('a receiver that restarts', () => {
  async function fetchUntil(count: number): Promise<void> {
    const link = new Link(source);
    link.before = (asked) => {
      if (asked > count) throw new Error('the process ended');
    };
    const fetched = makeFetch(memberFolder, link.request).fetch(wanted);
    await expect(fetched).rejects.toMatchObject({ code: 'UNREACHABLE' });
  }

  test('goes on behind the last chunk that is intact, wherever the file was torn', async () => {
    await fetchUntil(13);
    const part = join(memberFolder, 'incoming', 'part-00000001');
    const whole = await readFile(part);
    const expected = await contentOf(database);
    const random = seededRandom(5);
    for (let round = 0; round < 8; round += 1) {
      const link = new Link(source);
      await writeFile(part, whole);
      await truncate(part, Math.floor(random() * whole.length));
      await rm(join(memberFolder, 'incoming', 'manifest'), { force: true });
      await makeFetch(memberFolder, link.request).fetch(wanted);
      expect(link.asked).not.toContain('open');
      expect(await stagedContent()).toEqual(expected);
    }
  });

  test('scenario 53: a bit that flips in a stored chunk costs that chunk and those behind it', async () => {
    await fetchUntil(13);
    const part = join(memberFolder, 'incoming', 'part-00000001');
    const damaged = await readFile(part);
    damaged[5 * 4_200] = (damaged[5 * 4_200] ?? 0) ^ 4;
    await writeFile(part, damaged);
    const link = new Link(source);
    await makeFetch(memberFolder, link.request).fetch(wanted);
    expect(Number(link.asked[0])).toBeGreaterThan(3);
    expect(Number(link.asked[0])).toBeLessThan(6);
    expect(await stagedContent()).toEqual(await contentOf(database));
  });

  test('begins anew when it no longer knows what it was fetching', async () => {
    await fetchUntil(13);
    await truncate(join(memberFolder, 'incoming', 'source'), 20);
    const link = new Link(source);
    await makeFetch(memberFolder, link.request).fetch(wanted);
    expect(link.asked.slice(0, 2)).toEqual(['open', '0']);
    expect(await stagedContent()).toEqual(await contentOf(database));
  });
});

describe('scenario 44: two snapshots in quick succession', () => {
  test('the newer one wins, over one that is under way and over one that is complete', async () => {
    const clock = new TestClock();
    const link = new Link(serve(database, { clock }));
    const fetch = makeFetch(memberFolder, link.request);
    let second: ReturnType<typeof fetch.fetch> | undefined;
    link.before = async (count) => {
      if (count !== 6) return;
      await advance(90);
      second = fetch.fetch({ ...wanted, atLeastIndex: 80 });
    };
    await expect(fetch.fetch(wanted)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await second).toMatchObject(head(90, 5));
    await advance(120);
    clock.pass(10_000);
    expect(await fetch.fetch({ ...wanted, atLeastIndex: 100 })).toMatchObject(head(120, 5));
    expect(await stagedContent()).toEqual(await contentOf(database));
  });

  test('asking again for what is under way goes on with it', async () => {
    const link = new Link(source);
    const fetch = makeFetch(memberFolder, link.request);
    let again: ReturnType<typeof fetch.fetch> | undefined;
    link.before = (count) => {
      if (count === 6) again = fetch.fetch(wanted);
    };
    await expect(fetch.fetch(wanted)).rejects.toMatchObject({ code: 'ABORTED' });
    await again;
    expect(link.asked.filter((what) => what === 'open').length).toBe(1);
    expect(await stagedContent()).toEqual(await contentOf(database));
  });
});

describe('a source that offers less than was asked for', () => {
  test('is not followed: what it has would be asked for again as soon as it is installed', async () => {
    const modest = (_to: number, payload: Uint8Array): Promise<Uint8Array> => {
      const request = decodeRequest(payload);
      return source.handle(
        request.type === 'open' ? encodeRequest({ type: 'open', atLeastIndex: 1 }) : payload,
      );
    };
    const fetched = makeFetch(memberFolder, modest).fetch({ ...wanted, atLeastIndex: 51 });
    await expect(fetched).rejects.toMatchObject({ code: 'REFUSED', fields: { refusal: 'behind' } });
    expect(await readStagedManifest(memberFolder, nodeFileSystem)).toBeUndefined();
  });
});

describe('scenario 53: a disk that fails', () => {
  test('at the source: it says so, and another member is asked', async () => {
    await database.close();
    const directory = join(folder, 'source');
    for (const name of await readdir(directory)) {
      if (!name.endsWith('.sst')) continue;
      const path = join(directory, name);
      const bytes = await readFile(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(path, bytes);
    }
    const damaged = await open('source');
    const fetched = makeFetch(memberFolder, new Link(serve(damaged)).request).fetch(wanted);
    await expect(fetched).rejects.toMatchObject({ code: 'DAMAGED', fields: { from: 1 } });
    const sound = await open('sound');
    await fillState(sound, { head: head(52, 2), seed: 3 });
    const link = new Link(serve(sound));
    await makeFetch(memberFolder, link.request).fetch({ ...wanted, from: 2 });
    expect(await stagedContent()).toEqual(await contentOf(sound));
  });

  test('at the receiver: the error is typed, and what was stored serves later', async () => {
    let writes = 0;
    const full = {
      ...nodeFileSystem,
      open: async (path: string, mode: Parameters<typeof nodeFileSystem.open>[1]) => {
        writes += 1;
        if (writes > 1) throw new Error('No space left on device');
        return nodeFileSystem.open(path, mode);
      },
    };
    const link = new Link(source);
    const refused = makeFetch(memberFolder, link.request, full).fetch(wanted);
    await expect(refused).rejects.toMatchObject({ name: 'SnapshotError', code: 'UNUSABLE' });
    await makeFetch(memberFolder, link.request).fetch(wanted);
    expect(await stagedContent()).toEqual(await contentOf(database));
  });

  test('a chunk that passes its checksum but is another is found by the digest of all', async () => {
    const other = await open('other');
    await fillState(other, { head: head(50, 2), seed: 4, pairs: 30, sizes: [] });
    // One source whose chunks come from a state that is not the one that its digest is of.
    const lying = async (_to: number, payload: Uint8Array): Promise<Uint8Array> => {
      const response = (await source.handle(payload)).slice();
      const marker = Buffer.from(response).indexOf(Buffer.from(bytesOf(20 + 3 * 7, 10)));
      if (marker < 0) return response;
      response[marker] = (response[marker] ?? 0) ^ 1;
      const { crc32 } = await import('node:zlib');
      new DataView(response.buffer).setUint32(0, crc32(response.subarray(4)));
      return response;
    };
    const fetched = makeFetch(memberFolder, lying).fetch(wanted);
    await expect(fetched).rejects.toMatchObject({ code: 'DAMAGED' });
    expect(await readdir(join(memberFolder, 'incoming'))).toEqual([]);
  });
});
