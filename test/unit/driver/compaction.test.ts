import { describe, expect, it } from 'vitest';
import { Compaction, compactionIndex } from '../../../src/driver/compaction.ts';
import { quiet, silent } from '../ledger/chain_fixture.ts';

const limits = { compactBytes: 1_000_000, compactEntries: 1_000, tailEntries: 100 };
const long = { firstIndex: 1, lastIndex: 1_000, retainedBytes: 10 };
const demands = { appliedIndex: 990, pinnedIndex: undefined, followers: [] };

describe('compactionIndex', () => {
  it('leaves a log alone that is short in entries and bytes', () => {
    expect(compactionIndex({ ...long, lastIndex: 999 }, limits, demands)).toBeUndefined();
  });

  it('keeps the tail below what is applied', () => {
    expect(compactionIndex(long, limits, demands)).toBe(890);
  });

  it('shortens the tail when a few large entries are too much', () => {
    const heavy = { firstIndex: 1, lastIndex: 20, retainedBytes: 1_000_000 };
    expect(compactionIndex(heavy, limits, { ...demands, appliedIndex: 20 })).toBe(10);
  });

  it('scenario 27: waits for a slow follower, but not without end', () => {
    const slow = { ...demands, followers: [700, 400] };
    expect(compactionIndex(long, limits, slow)).toBe(400);
    const endless = { ...long, lastIndex: 4_000 };
    expect(compactionIndex(endless, limits, { ...slow, appliedIndex: 3_990 })).toBe(3_890);
  });

  it('never passes a snapshot that somebody fetches, however long the log is', () => {
    const endless = { ...long, lastIndex: 9_000 };
    const fetched = { appliedIndex: 9_000, pinnedIndex: 2_000, followers: [] };
    expect(compactionIndex(endless, limits, fetched)).toBe(2_000);
    expect(compactionIndex(endless, limits, { ...fetched, pinnedIndex: 0 })).toBeUndefined();
  });

  it('does nothing for a small gain', () => {
    expect(compactionIndex(long, limits, { ...demands, followers: [100] })).toBeUndefined();
  });
});

/** A log and a database that note what is done to them. */
function makeCompaction() {
  const notes: string[] = [];
  const flush = Promise.withResolvers<void>();
  const log = {
    ...long,
    compact: async (index: number) => {
      notes.push(`compact ${index}`);
      log.firstIndex = index + 1;
    },
  };
  const database = {
    flush: () => {
      notes.push('flush');
      return flush.promise;
    },
  };
  const fatal: unknown[] = [];
  const compaction = new Compaction(limits, {
    log,
    database,
    demands: () => demands,
    logger: silent,
    onFatal: (error) => fatal.push(error),
  });
  return { compaction, notes, flush, fatal };
}

describe('Compaction', () => {
  it('drops entries only once the state that replaces them is durable', async () => {
    const { compaction, notes, flush } = makeCompaction();
    compaction.check();
    compaction.check();
    await quiet();
    expect(notes).toEqual(['flush']);
    flush.resolve();
    await quiet();
    expect(notes).toEqual(['flush', 'compact 890']);
    compaction.check();
    await quiet();
    expect(notes).toHaveLength(2);
  });

  it('drops nothing when the state cannot be made durable', async () => {
    const { compaction, notes, flush, fatal } = makeCompaction();
    const error = new Error('the disk is gone');
    compaction.check();
    flush.reject(error);
    await quiet();
    expect([notes, fatal]).toEqual([['flush'], [error]]);
  });

  it('drops nothing after its stop, which waits for what is under way', async () => {
    const { compaction, notes, flush } = makeCompaction();
    compaction.check();
    let stopped = false;
    const stopping = compaction.stop().then(() => {
      stopped = true;
    });
    await quiet();
    expect(stopped).toBe(false);
    flush.resolve();
    await stopping;
    compaction.check();
    expect(notes).toEqual(['flush']);
  });
});
