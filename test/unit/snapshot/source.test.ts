import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { utf8 } from '../../../src/lib/bytes.ts';
import { SnapshotSource } from '../../../src/snapshot/snapshot_source.ts';
import {
  type ChunkResponse,
  decodeResponse,
  encodeRequest,
  type OpenedResponse,
  type SnapshotResponse,
} from '../../../src/snapshot/wire.ts';
import type { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import {
  bytesOf,
  CHAIN,
  fillState,
  head,
  makeSource,
  openState,
  putHead,
  RANGES,
  random,
  readHead,
  silentLogger,
  TestClock,
} from './fixture.ts';

let folder: string;
let database: Database;
let clock: TestClock;
let source: SnapshotSource;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-source-'));
  database = await openState(folder, 'state');
  await fillState(database, { head: head(50, 2), seed: 3 });
  clock = new TestClock();
  source = makeSource(database, { clock });
});

afterEach(async () => {
  await source.stop();
  await database.close();
  await rm(folder, { recursive: true });
});

async function askToOpen(atLeastIndex: number, at = source): Promise<SnapshotResponse> {
  return decodeResponse(await at.handle(encodeRequest({ type: 'open', atLeastIndex })));
}

async function opened(atLeastIndex: number): Promise<OpenedResponse> {
  const response = await askToOpen(atLeastIndex);
  if (response.type !== 'opened') throw new Error(JSON.stringify(response));
  return response;
}

async function ask(
  snapshotId: Uint8Array,
  number: number,
  start: { key: Uint8Array; offset: number },
): Promise<SnapshotResponse> {
  const request = encodeRequest({ type: 'chunk', snapshotId, number, start });
  return decodeResponse(await source.handle(request));
}

async function advance(index: number): Promise<void> {
  const batch = new WriteBatch();
  putHead(batch, head(index, 2));
  await database.write(batch);
}

const refused = (refusal: string): unknown => ({ type: 'refused', refusal });

test('serves a young snapshot to whoever asks, and takes another when it is too old or too low', async () => {
  const first = await opened(10);
  await advance(60);
  expect(await opened(50)).toEqual(first);
  const second = await opened(51);
  expect(second.header.index).toBe(60);
  expect(second.snapshotId).not.toEqual(first.snapshotId);
  await advance(70);
  clock.pass(10_001);
  expect((await opened(10)).header.index).toBe(70);
});

test('scenario 52: whoever asks while a snapshot is being taken gets one that is new enough', async () => {
  let release: () => void = () => undefined;
  let taken = 0;
  const slow = new SnapshotSource(
    { chain: CHAIN, ranges: RANGES },
    {
      database,
      readHead: async (reader) => {
        taken += 1;
        if (taken === 1) await new Promise<void>((resolve) => (release = resolve));
        return readHead(reader);
      },
      clock,
      random,
      logger: silentLogger,
    },
  );
  const first = askToOpen(10, slow);
  const same = askToOpen(50, slow);
  await advance(60);
  const newer = askToOpen(60, slow);
  release();
  expect(await first).toMatchObject({ header: { index: 50 } });
  expect(await same).toMatchObject({ header: { index: 50 } });
  expect(await newer).toMatchObject({ header: { index: 60 } });
  expect(taken).toBe(2);
  await slow.stop();
});

test('leaves nothing behind when it stops while a snapshot is being taken', async () => {
  const taking = askToOpen(10);
  const stopping = source.stop();
  await taking;
  await stopping;
  expect(clock.waiting.size).toBe(0);
  expect(source.pinnedIndex).toBeUndefined();
});

test('keeps the log above the lowest snapshot that somebody may still need', async () => {
  expect(source.pinnedIndex).toBeUndefined();
  const taking = askToOpen(10);
  expect(source.pinnedIndex).toBe(0);
  await taking;
  expect(source.pinnedIndex).toBe(50);
  await advance(60);
  await opened(60);
  expect(source.pinnedIndex).toBe(50);
  clock.pass(300_001);
  clock.pass(300_001);
  await new Promise(setImmediate);
  expect(source.pinnedIndex).toBeUndefined();
});

test('closes what nobody asks for, not what is being fetched', async () => {
  const first = await opened(10);
  await advance(60);
  const second = await opened(60);
  for (let time = 0; time < 3; time += 1) {
    clock.pass(299_000);
    expect(await ask(first.snapshotId, 0, first.start)).toMatchObject({ type: 'chunk' });
  }
  expect(await ask(second.snapshotId, 0, second.start)).toEqual(refused('unknown-snapshot'));
});

test.each([
  [1_000_000, 2_000_000],
  [20_000_000, 3_600_000],
])(
  'keeps one that was in use for %i ms another %i ms, while its receiver installs it',
  async (usedMs, keptMs) => {
    const { snapshotId, start } = await opened(10);
    for (let time = 0; time < usedMs; time += 200_000) {
      clock.pass(200_000);
      expect(await ask(snapshotId, 0, start)).toMatchObject({ type: 'chunk' });
    }
    for (let time = 100_000; time < keptMs; time += 100_000) clock.pass(100_000);
    await new Promise(setImmediate);
    expect(source.pinnedIndex).toBe(50);
    clock.pass(100_000);
    await new Promise(setImmediate);
    expect(source.pinnedIndex).toBeUndefined();
  },
);

test('holds few snapshots: a third takes the place of an idle one, or waits', async () => {
  const first = await opened(10);
  await advance(60);
  await opened(60);
  await advance(70);
  expect(await askToOpen(70)).toEqual(refused('busy'));
  clock.pass(5_000);
  expect(await askToOpen(70)).toMatchObject({ header: { index: 70 } });
  expect(await ask(first.snapshotId, 0, first.start)).toEqual(refused('unknown-snapshot'));
});

test('scenario 50: gives any chunk again as it was, to several receivers at once', async () => {
  const { snapshotId, start } = await opened(10);
  const chunks: ChunkResponse[] = [];
  const starts = [start];
  for (let number = 0; ; number += 1) {
    const from = starts[number];
    if (from === undefined) break;
    const both = await Promise.all([ask(snapshotId, number, from), ask(snapshotId, number, from)]);
    expect(both[0]).toEqual(both[1]);
    const chunk = both[0] as ChunkResponse;
    chunks.push(chunk);
    if (!('digest' in chunk.next)) starts.push(chunk.next);
  }
  expect(chunks.length).toBeGreaterThan(20);
  for (const [number, chunk] of [...chunks.entries()].reverse())
    expect(await ask(snapshotId, number, starts[number] as typeof start)).toEqual(chunk);
});

test('refuses what it did not offer, and serves the others as before', async () => {
  const { snapshotId, start } = await opened(10);
  const inside = { key: utf8('o\0\0\0\0\0\0\0\x03'), offset: 5 };
  for (const [number, from] of [
    [1, start],
    [0, { key: utf8('Lfolder'), offset: 0 }],
    [0, { key: utf8('zzz'), offset: 0 }],
    [0, inside],
    [7, inside],
  ] as const)
    expect(await ask(snapshotId, number, from)).toEqual(refused('unknown-snapshot'));
  expect(await ask(bytesOf(8, 1), 0, start)).toEqual(refused('unknown-snapshot'));
  expect(await ask(snapshotId, 0, start)).toMatchObject({ type: 'chunk', number: 0 });
  const nonsense = await source.handle(bytesOf(40, 3));
  expect(decodeResponse(nonsense)).toEqual(refused('malformed'));
});

test('says that it is behind, and when it stops', async () => {
  expect(await askToOpen(51)).toEqual(refused('behind'));
  const { snapshotId, start } = await opened(50);
  const asked = ask(snapshotId, 0, start);
  await source.stop();
  expect(['chunk', 'refused']).toContain((await asked).type);
  expect(await askToOpen(10)).toEqual(refused('stopping'));
  expect(source.pinnedIndex).toBeUndefined();
});

test('keeps no snapshot of the database that it does not serve: each would hold back what is deleted', async () => {
  let open = 0;
  const take = database.snapshot.bind(database);
  database.snapshot = () => {
    open += 1;
    const taken = take();
    const close = taken.close.bind(taken);
    taken.close = () => {
      open -= 1;
      return close();
    };
    return taken;
  };
  expect(await askToOpen(51)).toEqual(refused('behind'));
  expect(open).toBe(0);
  const failing = makeSource(database, { clock, readHead: () => Promise.reject(new Error('no')) });
  expect(await askToOpen(10, failing)).toEqual(refused('damaged'));
  expect(open).toBe(0);
  await opened(10);
  expect(open).toBe(1);
});

test('a database without a state has nothing to serve', async () => {
  const empty = await openState(folder, 'empty');
  const unready = makeSource(empty);
  expect(await askToOpen(0, unready)).toEqual(refused('behind'));
  await unready.stop();
  await empty.close();
});
