import { describe, expect, test } from 'vitest';
import { Wal } from '../../../src/wal/wal.ts';
import { CrashModel } from './crash_model.ts';
import { SECTOR_BYTES, SimulatedFileSystem, SystemError } from './simulated_file_system.ts';
import { DIRECTORY, entryRange, openWal, retainedEntries, seededRandom } from './wal_fixture.ts';

const SEGMENT_BYTES = 6 * 1024;
const SEEDS = 200;

/** Runs it with one seed after another and says which one fails. */
async function withSeeds(run: (random: () => number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      await run(seededRandom(seed));
    } catch (thrown) {
      throw new Error(`seed ${seed} fails`, { cause: thrown });
    }
  }
}

/** The log as a model says it must be, or a refusal of this file or, if not given, of any. */
async function expectRightOrRefused(
  disk: SimulatedFileSystem,
  model: CrashModel,
  path?: string,
): Promise<'right' | 'refused'> {
  const opened = await openWal(disk, { segmentBytes: SEGMENT_BYTES }).catch(
    (error: unknown) => error,
  );
  if (opened instanceof Wal) {
    model.recover(opened);
    return 'right';
  }
  expect(opened).toMatchObject({ code: 'CORRUPT', fields: path === undefined ? {} : { path } });
  return 'refused';
}

describe('a disk that fails without a word', () => {
  test(`scenario 71: flips one bit anywhere, in ${SEEDS} seeds`, async () => {
    const outcomes = { right: 0, refused: 0 };
    await withSeeds(async (random) => {
      const disk = new SimulatedFileSystem();
      const model = new CrashModel();
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      await model.liveUntilFailure(wal, random, 10 + Math.floor(random() * 40));
      await wal.close();
      const names = (await disk.list(DIRECTORY)).sort();
      const name = names[Math.floor(random() * names.length)]!;
      const path = `${DIRECTORY}/${name}`;
      const position = Math.floor(random() * disk.bytesOf(DIRECTORY, name).length);
      disk.flip(path, position, 1 << Math.floor(random() * 8));
      // A flip behind the end of the records, or in a file that is not in use, does no harm.
      outcomes[await expectRightOrRefused(disk, model, path)] += 1;
    });
    expect(outcomes.right).toBeGreaterThan(10);
    expect(outcomes.refused).toBeGreaterThan(10);
  });

  test(`scenario 71: writes one batch to a wrong place, in ${SEEDS} seeds`, async () => {
    const outcomes = { right: 0, refused: 0 };
    await withSeeds(async (random) => {
      const disk = new SimulatedFileSystem();
      const model = new CrashModel();
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
      await model.liveUntilFailure(wal, random, Math.floor(random() * 30));
      disk.onPosition = (path, position, { lengthBytes, fileBytes }) => {
        if (!path.endsWith('.wal')) return position;
        disk.onPosition = (_, right) => right;
        const sectors = Math.floor((fileBytes - lengthBytes) / SECTOR_BYTES);
        return SECTOR_BYTES * Math.floor(random() * (sectors + 1));
      };
      // Of the very last write nobody could tell that it is not one that power cut off.
      await model.liveUntilFailure(wal, random, 3 + Math.floor(random() * 30));
      await wal.close();
      // It does no harm where it hit its place by chance, or what compaction has removed since.
      outcomes[await expectRightOrRefused(disk, model)] += 1;
    });
    expect(outcomes.refused).toBeGreaterThan(SEEDS / 2);
  });
});

describe('a disk that cannot be read', () => {
  test('is a typed error when a log is opened and when an entry is read', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk, { cacheBytesMax: 0 });
    await wal.append({ entries: entryRange(1, 5, 1) });
    disk.onRead = () => {
      throw new SystemError('EIO');
    };
    const UNREADABLE = { name: 'WalError', code: 'UNUSABLE', cause: { code: 'EIO' } };
    expect(() => wal.entries(1, 5, 1e6)).toThrow(
      expect.objectContaining({ name: 'WalError', code: 'UNUSABLE' }),
    );
    await expect(openWal(disk)).rejects.toMatchObject(UNREADABLE);
    disk.onRead = () => undefined;
    expect(retainedEntries(wal)).toEqual(entryRange(1, 5, 1));
  });
});
