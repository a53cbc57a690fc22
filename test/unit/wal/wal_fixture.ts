import { expect } from 'vitest';
import type { Logger } from '../../../src/lib/environment.ts';
import type { Entry } from '../../../src/types/entry.ts';
import type { FileSystem } from '../../../src/wal/file_system.ts';
import type { WalOptions } from '../../../src/wal/wal.ts';
import { Wal } from '../../../src/wal/wal.ts';

export const DIRECTORY = '/log';
export const FIRST_SEGMENT = `${DIRECTORY}/0000000001.wal`;
export const IDENTITY = { clusterId: 'cluster-a', memberId: 2 };

const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

export function openWal(fileSystem: FileSystem, options: Partial<WalOptions> = {}): Promise<Wal> {
  return Wal.open(
    { directory: DIRECTORY, identity: IDENTITY, segmentBytes: 16 * 1024, ...options },
    { fileSystem, logger: silentLogger },
  );
}

/** An entry whose data is not zero anywhere and differs by index and term. */
export function entry(index: number, term: number, length = 100): Entry {
  const data = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) data[at] = 1 + ((index * 31 + term * 7 + at) % 255);
  return { index, term, type: 'command', data };
}

export function entryRange(from: number, to: number, term: number, length = 100): Entry[] {
  const entries: Entry[] = [];
  for (let index = from; index <= to; index += 1) entries.push(entry(index, term, length));
  return entries;
}

/** The whole log, read in one piece; it was never compacted. */
export function allEntries(wal: Wal): Entry[] {
  expect(wal.firstIndex).toBe(1);
  return retainedEntries(wal);
}

/** All that is left of the log, read in one piece. */
export function retainedEntries(wal: Wal): Entry[] {
  if (wal.lastIndex < wal.firstIndex) return [];
  return wal.entries(wal.firstIndex, wal.lastIndex, Number.MAX_SAFE_INTEGER);
}

/** A seeded generator of numbers in [0, 1): mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
