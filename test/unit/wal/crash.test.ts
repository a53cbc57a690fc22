import { describe, expect, test } from 'vitest';
import type { Entry, HardState } from '../../../src/types/entry.ts';
import type { Wal, WalAppend } from '../../../src/wal/wal.ts';
import { SimulatedFileSystem, SystemError } from './simulated_file_system.ts';
import { allEntries, DIRECTORY, entry, entryRange, openWal, seededRandom } from './wal_fixture.ts';

const SEEDS = 300;
const LIVES = 6;
const SEGMENT_BYTES = 8 * 1024;

interface State {
  hardState: HardState;
  entries: Entry[];
}

/** The states that a log passes through, record by record, and how many of them are surely behind it. */
class Model {
  states: State[] = [{ hardState: { term: 0, vote: undefined }, entries: [] }];
  acknowledged = 0;

  get last(): State {
    return this.states.at(-1)!;
  }

  /** Takes an append as issued and returns the number of the state that it leads to. */
  issue(append: WalAppend): number {
    if (append.hardState !== undefined)
      this.states.push({ ...this.last, hardState: append.hardState });
    for (const next of append.entries)
      this.states.push({
        ...this.last,
        entries: [...this.last.entries.slice(0, next.index - 1), next],
      });
    return this.states.length - 1;
  }

  /** The recovered log must be one of the states that may have survived; it becomes the only one. */
  recover(wal: Wal): void {
    const found: State = { hardState: wal.hardState, entries: allEntries(wal) };
    const candidates = this.states.slice(this.acknowledged);
    const digest = JSON.stringify(summary(found));
    const match = candidates.findLast((state) => JSON.stringify(summary(state)) === digest);
    expect(match, 'the log is one that may have survived').toBeDefined();
    expect(found.entries).toEqual(match?.entries);
    this.states = [found];
    this.acknowledged = 0;
  }
}

function summary({ hardState, entries }: State): unknown {
  return [
    hardState.term,
    hardState.vote ?? 0,
    entries.map(({ index, term, data }) => [index, term, data.length]),
  ];
}

/** An append as a follower might make it: a new term now and then, sometimes replacing a suffix. */
function randomAppend(model: Model, random: () => number): WalAppend {
  const { hardState, entries } = model.last;
  const raised = random() < 0.3;
  const next: HardState = raised
    ? { term: hardState.term + 1, vote: random() < 0.5 ? undefined : 1 + Math.floor(random() * 5) }
    : hardState;
  const back = random() < 0.2 ? Math.floor(random() * 6) : 0;
  const from = Math.max(1, entries.length + 1 - back);
  const count = random() < 0.15 ? 0 : 1 + Math.floor(random() * 4);
  const length = random() < 0.1 ? 3000 : Math.floor(random() * 200);
  const added = count === 0 ? [] : entryRange(from, from + count - 1, next.term, length);
  return raised ? { hardState: next, entries: added } : { entries: added };
}

/** Appends until the disk fails; some calls follow each other without waiting. */
async function liveUntilFailure(wal: Wal, model: Model, random: () => number): Promise<void> {
  let failed = false;
  for (let step = 0; step < 400 && !failed; step += 1) {
    const waiting: Promise<void>[] = [];
    for (let at = 0; at <= Math.floor(random() * 3); at += 1) {
      const append = randomAppend(model, random);
      const state = model.issue(append);
      const done = wal.append(append).then(
        () => {
          model.acknowledged = Math.max(model.acknowledged, state);
        },
        () => {
          failed = true;
        },
      );
      waiting.push(done);
    }
    await Promise.all(waiting);
  }
}

async function runSeed(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const disk = new SimulatedFileSystem();
  const model = new Model();
  for (let life = 0; life < LIVES; life += 1) {
    let operationsLeft = 1 + Math.floor(random() * 120);
    disk.onOperation = () => {
      operationsLeft -= 1;
      if (operationsLeft <= 0) throw new SystemError('EIO');
    };
    try {
      const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES, cacheBytesMax: 2000 });
      model.recover(wal);
      await liveUntilFailure(wal, model, random);
    } catch (thrown) {
      // The power may fail while the log is being opened: then there is nothing to compare.
      expect(thrown).toMatchObject({ code: 'UNUSABLE' });
    }
    const keepShare = [0, 0.5, 0.9, 1][Math.floor(random() * 4)]!;
    const namesKept = Math.floor(random() * (disk.pendingNameChanges + 1));
    if (random() < 0.3) disk.kill();
    else disk.crash(() => random() < keepShare, namesKept);
  }
  disk.onOperation = () => undefined;
  model.recover(await openWal(disk, { segmentBytes: SEGMENT_BYTES }));
}

describe('power loss and kills at any operation', () => {
  test(`77, 80, 82: what was acknowledged survives, in ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      try {
        await runSeed(seed);
      } catch (thrown) {
        throw new Error(`seed ${seed} fails; replay it with runSeed(${seed})`, { cause: thrown });
      }
    }
  });

  test('74: a crash at each operation of a rotation loses nothing acknowledged', async () => {
    for (const namesKept of [0, 1, 2, 3]) {
      for (let fatal = 1; ; fatal += 1) {
        const disk = new SimulatedFileSystem();
        const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
        let acknowledged = 0;
        while (acknowledged < 20) {
          await wal.append({ entries: [entry(acknowledged + 1, 1, 150)] });
          acknowledged += 1;
        }
        let operations = 0;
        disk.onOperation = () => {
          operations += 1;
          if (operations === fatal) throw new SystemError('EIO');
        };
        const more = async (): Promise<void> => {
          while (acknowledged < 40) {
            await wal.append({ entries: [entry(acknowledged + 1, 1, 150)] });
            acknowledged += 1;
          }
        };
        const survived = await more().then(
          () => true,
          () => false,
        );
        disk.onOperation = () => undefined;
        disk.crash(() => false, namesKept);
        const recovered = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
        expect(allEntries(recovered)).toEqual(entryRange(1, acknowledged, 1, 150));
        await recovered.append({
          entries: entryRange(acknowledged + 1, acknowledged + 40, 2, 150),
        });
        const names = await disk.list(DIRECTORY);
        expect(names.filter((name) => name.endsWith('.wal')).length).toBeGreaterThan(1);
        if (survived) break;
      }
    }
  });

  test('74: a name that a killed process left unsynced is synced before use', async () => {
    const disk = new SimulatedFileSystem();
    const wal = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
    disk.onOperation = (operation) => {
      if (operation === 'syncDirectory') throw new SystemError('EIO');
    };
    let acknowledged = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        await wal.append({ entries: [entry(acknowledged + 1, 1)] });
        acknowledged += 1;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'WAL_FAILED' });
    disk.onOperation = () => undefined;
    disk.kill();
    const next = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
    await next.append({ entries: [entry(acknowledged + 1, 2)] });
    disk.crash(() => false, 0);
    const last = await openWal(disk, { segmentBytes: SEGMENT_BYTES });
    expect(allEntries(last)).toEqual([
      ...entryRange(1, acknowledged, 1),
      entry(acknowledged + 1, 2),
    ]);
  });

  test('80: an old suffix does not come back after a crash in the write that replaces it', async () => {
    const random = seededRandom(80);
    for (let round = 0; round < 200; round += 1) {
      const disk = new SimulatedFileSystem();
      const wal = await openWal(disk);
      await wal.append({ entries: entryRange(1, 20, 1) });
      disk.onOperation = (operation) => {
        if (operation === 'fdatasync') throw new SystemError('EIO');
      };
      const replacement = entryRange(8, 15, 2);
      await expect(wal.append({ entries: replacement })).rejects.toThrow();
      disk.onOperation = () => undefined;
      disk.crash(() => random() < 0.7);
      const recovered = await openWal(disk);
      const first = recovered.lastIndex === 20 ? 0 : recovered.lastIndex - 7;
      expect(allEntries(recovered)).toEqual(
        first === 0
          ? entryRange(1, 20, 1)
          : [...entryRange(1, 7, 1), ...replacement.slice(0, first)],
      );
      const kept = allEntries(recovered);
      disk.crash(() => false);
      expect(allEntries(await openWal(disk))).toEqual(kept);
    }
  });
});
