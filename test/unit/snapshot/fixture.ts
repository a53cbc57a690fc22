import { join } from 'node:path';
import { concatBytes, uint64Bytes, utf8 } from '../../../src/lib/bytes.ts';
import type { Clock, Logger } from '../../../src/lib/environment.ts';
import type { ChainIdentity, HeadReader, SnapshotHead } from '../../../src/snapshot/manifest.ts';
import { SnapshotFetch } from '../../../src/snapshot/snapshot_fetch.ts';
import {
  SnapshotSource,
  type SnapshotSourceLimits,
} from '../../../src/snapshot/snapshot_source.ts';
import { Database } from '../../../src/storage/database.ts';
import { type KeyRange, type PagedRange, prefixRange } from '../../../src/storage/keys.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import {
  decodeConfiguration,
  encodeConfiguration,
  initialConfiguration,
} from '../../../src/types/configuration.ts';
import { decodeRlp, encodeRlp, FieldReader, scalar } from '../../../src/types/rlp.ts';
import type { FileSystem } from '../../../src/wal/file_system.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import { seededRandom } from '../wal/wal_fixture.ts';

export const CHAIN: ChainIdentity = {
  clusterId: 'cluster-a',
  genesisHash: new Uint8Array(32).fill(7),
};
export const OWN_KEYS: KeyRange = prefixRange(utf8('L'));
export const RANGES: readonly PagedRange[] = [
  { ...prefixRange(utf8('M')), pairsMax: 4 },
  { ...prefixRange(utf8('a')), pairsMax: 16 },
  { ...prefixRange(utf8('o')), pairsMax: 2 },
  { ...prefixRange(utf8('p')), pairsMax: 16 },
];
export const MEMBERS = [1, 2, 3].map((id) => ({
  id,
  address: { host: 'localhost', peerPort: 1, apiPort: 2, adminPort: 3 },
  priority: 100,
}));
export const CONFIGURATION = initialConfiguration(MEMBERS);

const HEAD_KEY = utf8('Mhead');

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Time passes when the test says so; what was scheduled happens at once. */
export class TestClock implements Clock {
  nowMs = 1_000;
  readonly waiting = new Set<() => void>();

  monotonicMs = (): number => this.nowMs;
  wallMs = (): number => this.nowMs;
  schedule = (delayMs: number, callback: () => void): (() => void) => {
    if (delayMs >= 60_000) {
      this.waiting.add(callback);
      return () => this.waiting.delete(callback);
    }
    const handle = setImmediate(callback);
    return () => clearImmediate(handle);
  };

  /** Ends all long waits that are under way. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const callback of [...this.waiting]) {
      this.waiting.delete(callback);
      callback();
    }
  }
}

export function head(index: number, term = 1): SnapshotHead {
  return { index, term, configuration: { index: 0, configuration: CONFIGURATION } };
}

export const readHead: HeadReader = async (reader) => {
  const bytes = await reader.get(HEAD_KEY);
  if (bytes === undefined) return undefined;
  const fields = new FieldReader(decodeRlp(bytes), 'head', 4);
  return {
    index: fields.number('index'),
    term: fields.number('term'),
    configuration: {
      index: fields.number('configurationIndex'),
      configuration: decodeConfiguration(fields.bytes('configuration')),
    },
  };
};

export function putHead(batch: WriteBatch, { index, term, configuration }: SnapshotHead): void {
  const encoded = encodeConfiguration(configuration.configuration);
  batch.put(
    HEAD_KEY,
    encodeRlp([scalar(index), scalar(term), scalar(configuration.index), encoded]),
  );
}

/** One generator for all sources of a file: no two snapshots have one id. */
export const random = seededRandom(44);

/** Bytes that differ by their seed. */
export function bytesOf(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Some pairs in every range, a head, and keys of the member's own. */
export async function fillState(
  database: Database,
  options: { head: SnapshotHead; seed: number; pairs?: number; sizes?: readonly number[] },
): Promise<void> {
  const { seed, pairs = 300, sizes = [0, 1, 5_000, 70_000] } = options;
  const batch = new WriteBatch();
  putHead(batch, options.head);
  for (let at = 0; at < pairs; at += 1)
    batch.put(
      concatBytes(utf8('a'), uint64Bytes(at)),
      bytesOf(20 + ((at * seed) % 200), seed + at),
    );
  for (const [at, size] of sizes.entries())
    batch.put(concatBytes(utf8('o'), uint64Bytes(at)), bytesOf(size, seed + at));
  batch.put(utf8('Lfolder'), bytesOf(16, 1_000 + seed));
  batch.put(concatBytes(utf8('Lpeer'), uint64Bytes(2)), bytesOf(16, 2_000 + seed));
  await database.write(batch);
  await database.flush();
}

/** Every pair of the ranges, as hex. */
export async function contentOf(
  database: Pick<Database, 'iterate'>,
  ranges: readonly KeyRange[] = RANGES,
): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const range of ranges)
    for await (const [key, value] of database.iterate(range))
      content.set(Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex'));
  return content;
}

export function makeSource(
  database: Database,
  options: {
    clock?: Clock;
    limits?: Partial<SnapshotSourceLimits>;
    chain?: ChainIdentity;
    ranges?: readonly PagedRange[];
    readHead?: HeadReader;
  } = {},
): SnapshotSource {
  const { clock = new TestClock(), limits = { chunkBytes: 4_096 }, ...rest } = options;
  const { chain = CHAIN, ranges = RANGES, readHead: headReader = readHead } = rest;
  return new SnapshotSource(
    { chain, ranges, limits },
    { database, readHead: headReader, clock, random, logger: silentLogger },
  );
}

export function makeFetch(
  memberFolder: string,
  request: (to: number, payload: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>,
  fileSystem: FileSystem = nodeFileSystem,
): SnapshotFetch {
  return new SnapshotFetch(
    { memberFolder, chain: CHAIN },
    { request, fileSystem, clock: new TestClock(), logger: silentLogger },
  );
}

export const never = new AbortController().signal;

export function openState(folder: string, name: string): Promise<Database> {
  return Database.open({ directory: join(folder, name) });
}
