import { describe, expect, test } from 'vitest';
import type { HardState } from '../../../src/types/entry.ts';
import { Wal } from '../../../src/wal/wal.ts';
import { CrashModel } from './crash_model.ts';
import { SimulatedFileSystem, SystemError } from './simulated_file_system.ts';
import { DIRECTORY, entry, entryRange, IDENTITY, openWal, retainedEntries } from './wal_fixture.ts';

const SEGMENT_BYTES = 6 * 1024;
const OPTIONS = { directory: DIRECTORY, identity: IDENTITY, segmentBytes: SEGMENT_BYTES };

/** What is left of what was not synced: nothing, everything, and two that tear every write. */
const SECTORS: readonly ((sector: number) => boolean)[] = [
  () => false,
  () => true,
  (sector) => sector % 2 === 0,
  (sector) => sector % 2 === 1,
];
/** Which changed names have arrived: every subset of the first five. */
const NAMES = Array.from({ length: 32 }, (_, set) => (change: number) => (set >> change) % 2 === 1);

type End = (disk: SimulatedFileSystem) => void;

/** Every way in which a life can end: killed alone, or with a power loss of every kind. */
const ENDS: readonly End[] = [
  (disk) => disk.kill(),
  ...SECTORS.flatMap((keep) =>
    NAMES.map(
      (names): End =>
        (disk) =>
          disk.crash(keep, names),
    ),
  ),
];

/**
 * Runs the scenario again and again, with a disk that fails from its first operation on, then from
 * its second, and so on until it is not reached, and ends the life in every way each time.
 */
async function atEveryOperation(
  prepare: () => Promise<{ disk: SimulatedFileSystem; run: () => Promise<void> }>,
  check: (disk: SimulatedFileSystem) => Promise<void>,
): Promise<number> {
  for (let fatal = 1; ; fatal += 1) {
    let reached = false;
    for (const end of ENDS) {
      const { disk, run } = await prepare();
      let operations = 0;
      disk.onOperation = () => {
        operations += 1;
        if (operations >= fatal) throw new SystemError('EIO');
      };
      await run();
      reached = operations >= fatal;
      disk.onOperation = () => undefined;
      end(disk);
      await check(disk);
    }
    if (!reached) return fatal - 1;
  }
}

describe('a crash at each operation', () => {
  test('scenarios 47, 74, 77 and 82: of a compaction beside appends and a rotation', async () => {
    let model = new CrashModel();
    const prepare = async () => {
      const disk = new SimulatedFileSystem();
      model = new CrashModel();
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      const append = async (hardState: HardState | undefined, from: number, to: number) => {
        const request = { hardState, entries: entryRange(from, to, hardState?.term ?? 5, 250) };
        const state = model.issue(request);
        await wal.append(request);
        model.acknowledged = Math.max(model.acknowledged, state);
      };
      // The newest hard state is in the first segment, and goes with it.
      await append({ term: 5, vote: 3 }, 1, 5);
      for (let from = 6; from <= 26; from += 5) await append(undefined, from, from + 4);
      const run = async () => {
        model.baseAsked = 22;
        await Promise.allSettled([
          wal.compact(14).then(() => {
            model.baseDurable = Math.max(model.baseDurable, 14);
          }),
          wal.compact(22).then(() => {
            model.baseDurable = 22;
          }),
          append(undefined, 28, 33),
          append(undefined, 34, 40),
          append(undefined, 41, 46),
        ]);
      };
      return { disk, run };
    };
    const operations = await atEveryOperation(prepare, async (disk) => {
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      model.recover(wal);
      expect(wal.hardState).toEqual({ term: 5, vote: 3 });
      // What was recovered is durable, leftovers are gone, and life goes on.
      disk.crash(
        () => false,
        () => true,
      );
      const again = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      model.recover(again);
      const names = (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.wal'));
      expect(names).toHaveLength(again.segmentCount);
      await again.append({ entries: entryRange(again.lastIndex + 1, again.lastIndex + 20, 6) });
      await again.compact(again.lastIndex - 3);
      expect((await openWal(disk, { segmentBytes: SEGMENT_BYTES })).firstIndex).toBe(
        again.lastIndex - 2,
      );
    });
    expect(operations).toBeGreaterThan(15);
  });

  test('scenarios 47 and 82: of an open that removes what a compaction left', async () => {
    const prepare = async () => {
      const disk = new SimulatedFileSystem();
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      await wal.append({ hardState: { term: 5, vote: 3 }, entries: [] });
      for (let index = 1; index <= 40; index += 1)
        await wal.append({ entries: [entry(index, 5, 250)] });
      // Killed between the new base and the removal, before the folder was synced.
      disk.onOperation = (operation) => {
        if (operation === 'syncDirectory') throw new SystemError('EIO');
      };
      await expect(wal.compact(30)).rejects.toMatchObject({ code: 'WAL_FAILED' });
      disk.kill();
      const run = () =>
        openWal(disk, { segmentBytes: SEGMENT_BYTES }).then(
          () => undefined,
          () => undefined,
        );
      return { disk, run };
    };
    const operations = await atEveryOperation(prepare, async (disk) => {
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      expect([0, 30]).toContain(wal.base.index);
      expect(wal.hardState).toEqual({ term: 5, vote: 3 });
      expect(retainedEntries(wal)).toEqual(entryRange(wal.firstIndex, 40, 5, 250));
    });
    expect(operations).toBeGreaterThan(3);
  });

  test('scenarios 47 and 82: of the making of a log that begins at a snapshot', async () => {
    const start = { base: { index: 700, term: 4 }, hardState: { term: 6, vote: 2 } };
    let made = false;
    const prepare = async () => {
      const disk = new SimulatedFileSystem();
      const run = async () => {
        made = await Wal.create(OPTIONS, start, { fileSystem: disk }).then(
          () => true,
          () => false,
        );
      };
      return { disk, run };
    };
    const operations = await atEveryOperation(prepare, async (disk) => {
      const names = await disk.list(DIRECTORY);
      const opened = await openWal(disk, { segmentBytes: SEGMENT_BYTES }).catch(
        (error: unknown) => error,
      );
      if (opened instanceof Wal && names.some((name) => name !== 'base.tmp')) {
        expect([opened.base, opened.lastIndex]).toEqual([start.base, 700]);
        expect(opened.hardState).toEqual(start.hardState);
      } else {
        // Never a log with entries or a hard state of its own making.
        expect(made).toBe(false);
        if (!(opened instanceof Wal)) expect(opened).toMatchObject({ code: 'CORRUPT' });
        await expect(Wal.create(OPTIONS, start, { fileSystem: disk })).rejects.toMatchObject({
          code: 'NOT_EMPTY',
        });
      }
    });
    expect(operations).toBeGreaterThan(8);
  });
});
