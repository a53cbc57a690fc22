import { expect } from 'vitest';
import type { Entry, HardState } from '../../../src/types/entry.ts';
import type { Wal, WalAppend } from '../../../src/wal/wal.ts';
import { entryRange, retainedEntries } from './wal_fixture.ts';

interface State {
  hardState: HardState;
  entries: Entry[];
}

/** The newest entries that a random append may replace. */
const REPLACED_MAX = 6;

/**
 * The states that a log passes through, record by record, and how many of them are surely behind
 * it. Entries are those from index 1 on, whatever the log has given up.
 */
export class CrashModel {
  states: State[] = [{ hardState: { term: 0, vote: undefined }, entries: [] }];
  acknowledged = 0;
  /** Index of the base that is surely durable, and of the highest that was asked for. */
  baseDurable = 0;
  baseAsked = 0;

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
    const { base, hardState } = wal;
    expect(base.index, 'the base is not lost').toBeGreaterThanOrEqual(this.baseDurable);
    expect(base.index, 'the base was asked for').toBeLessThanOrEqual(this.baseAsked);
    const entries = retainedEntries(wal);
    const digest = JSON.stringify(summary({ hardState, entries }));
    const match = this.states
      .slice(this.acknowledged)
      .findLast((state) => JSON.stringify(summary(above(state, base.index))) === digest);
    expect(match, 'the log is one that may have survived').toBeDefined();
    expect(entries).toEqual(match!.entries.slice(base.index));
    expect(base.term).toBe(base.index === 0 ? 0 : match!.entries[base.index - 1]!.term);
    this.states = [match!];
    this.acknowledged = 0;
    this.baseDurable = base.index;
    this.baseAsked = base.index;
  }

  /** An append as a follower might make it: a new term now and then, sometimes replacing a suffix. */
  randomAppend(random: () => number): WalAppend {
    const { hardState, entries } = this.last;
    const raised = random() < 0.3;
    const vote = random() < 0.5 ? undefined : 1 + Math.floor(random() * 5);
    const next: HardState = raised ? { term: hardState.term + 1, vote } : hardState;
    const back = random() < 0.2 ? Math.floor(random() * REPLACED_MAX) : 0;
    const from = Math.max(this.baseAsked + 1, entries.length + 1 - back);
    const count = random() < 0.15 ? 0 : 1 + Math.floor(random() * 4);
    const length = random() < 0.1 ? 3000 : Math.floor(random() * 200);
    const added = count === 0 ? [] : entryRange(from, from + count - 1, next.term, length);
    return raised ? { hardState: next, entries: added } : { entries: added };
  }

  /** Appends until the disk fails; some calls follow each other without waiting. */
  async liveUntilFailure(wal: Wal, random: () => number, steps = 400): Promise<void> {
    let failed = false;
    for (let step = 0; step < steps && !failed; step += 1) {
      const waiting: Promise<void>[] = [];
      const call = (done: Promise<void>, onSuccess: () => void): void => {
        waiting.push(
          done.then(onSuccess, () => {
            failed = true;
          }),
        );
      };
      for (let at = 0; at <= Math.floor(random() * 3); at += 1) {
        const append = this.randomAppend(random);
        const state = this.issue(append);
        call(wal.append(append), () => {
          this.acknowledged = Math.max(this.acknowledged, state);
        });
      }
      if (random() < 0.1) {
        const room = this.#lastKept() - wal.base.index;
        const index = wal.base.index + Math.floor(random() * Math.max(0, room + 1));
        this.baseAsked = Math.max(this.baseAsked, index);
        call(wal.compact(index), () => {
          this.baseDurable = Math.max(this.baseDurable, index);
        });
      }
      await Promise.all(waiting);
    }
  }

  /** The last entry that is acknowledged and in no state from then on replaced. */
  #lastKept(): number {
    const { entries } = this.states[this.acknowledged]!;
    let kept = entries.length;
    for (const state of this.states.slice(this.acknowledged)) {
      let same = 0;
      while (same < kept && state.entries[same] === entries[same]) same += 1;
      kept = same;
    }
    return kept;
  }
}

function above({ hardState, entries }: State, index: number): State {
  return { hardState, entries: entries.slice(index) };
}

function summary({ hardState, entries }: State): unknown {
  return [
    hardState.term,
    hardState.vote ?? 0,
    entries.map(({ index, term, data }) => [index, term, data.length]),
  ];
}
