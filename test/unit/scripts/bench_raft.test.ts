import { describe, expect, test } from 'vitest';
import { type CheckedCluster, checkCluster } from '../../../scripts/bench_raft_check.ts';
import { BenchPairs } from '../../../scripts/bench_raft_pairs.ts';
import { loadFigures, ratiosOf, type SystemFigures } from '../../../scripts/bench_raft_report.ts';
import type { Pair } from '../../../scripts/bench_raft_wire.ts';
import { compareBytes } from '../../../src/lib/bytes.ts';

/** A cluster whose members hold these pairs. */
function clusterOf(members: readonly (readonly Pair[])[]): CheckedCluster {
  return {
    name: 'ours',
    leader: () => Promise.resolve(0),
    connections: members.map((pairs) => ({
      range: (from: Uint8Array, end: Uint8Array, limit: number) => {
        const found = pairs
          .filter(({ key }) => compareBytes(key, from) >= 0 && compareBytes(key, end) < 0)
          .toSorted((left, right) => compareBytes(left.key, right.key));
        return Promise.resolve({ kvs: found.slice(0, limit), more: found.length > limit });
      },
    })),
  };
}

/** More than a page of pairs, all acknowledged but the last. */
function writtenPairs(): { pairs: BenchPairs; written: Pair[] } {
  const pairs = new BenchPairs();
  const taken = Array.from({ length: 5_000 }, () => pairs.take());
  for (const { number } of taken.slice(0, -1)) pairs.acknowledge(number);
  return { pairs, written: taken.map(({ pair }) => pair) };
}

describe('the check at the end of the Raft benchmark', () => {
  test('finds every acknowledged pair, and one whose outcome is unknown, on each member', async () => {
    const { pairs, written } = writtenPairs();
    const result = await checkCluster(clusterOf([written, written, written]), pairs);
    expect(result).toMatchObject({ acknowledged: 4_999, stored: 5_000 });
    const without = written.slice(0, -1);
    const smaller = await checkCluster(clusterOf([without, without]), pairs);
    expect(smaller).toMatchObject({ acknowledged: 4_999, stored: 4_999 });
    expect(smaller.digest).not.toBe(result.digest);
  });

  test('fails when one member has lost an acknowledged pair', async () => {
    const { pairs, written } = writtenPairs();
    const lossy = written.toSpliced(4_500, 1);
    await expect(checkCluster(clusterOf([written, written, lossy]), pairs)).rejects.toThrow(
      'member 3 has lost 1 acknowledged pairs',
    );
  });

  test('fails when members differ in a pair that nobody waited for', async () => {
    const { pairs, written } = writtenPairs();
    const shorter = written.slice(0, -1);
    await expect(checkCluster(clusterOf([written, shorter]), pairs)).rejects.toThrow('differ');
  });

  test('fails when a value is not the one that was written', async () => {
    const { pairs, written } = writtenPairs();
    const [first, second] = written;
    if (first === undefined || second === undefined) throw new Error('there are pairs');
    const exchanged = [{ key: first.key, value: second.value }, ...written.slice(1)];
    await expect(checkCluster(clusterOf([exchanged]), pairs)).rejects.toThrow('was not written');
  });
});

describe('the ratios of the Raft benchmark', () => {
  const figures = (scale: number): SystemFigures => {
    const load = (commandsPerSecond: number) => ({
      commandsPerSecond: commandsPerSecond * scale,
      p50Ms: 1,
      p99Ms: 10 * scale,
      commands: 1,
      cpuMicroseconds: { leader: 1, members: 1 },
    });
    return {
      loads: { unary1: load(1), unary1000: load(100), streaming1000: load(400) },
      failovers: { failoverEqual: { medianMs: 100 * scale, maxMs: 200, timesMs: [] } },
    };
  };

  test('divide ours by theirs, and streaming by unary calls with as many under way', () => {
    const etcd = figures(1);
    delete etcd.loads.streaming1000;
    expect(ratiosOf({ ours: figures(2), etcd })).toEqual({
      unary1: 2,
      unary1000: 2,
      streaming1000: 8,
      p99At1000: 2,
      failoverEqual: 2,
    });
  });

  test('are absent without etcd', () => {
    expect(ratiosOf({ ours: figures(2) })).toEqual({});
  });

  test('rest on all rounds together', () => {
    const cpu = { leaderMs: 1, membersMs: 3, commands: 2 };
    const rounds = [
      { commands: 3, durationMs: 1_000, latenciesMs: [5, 1, 2], cpu },
      { commands: 1, durationMs: 3_000, latenciesMs: [9], cpu },
    ];
    expect(loadFigures(rounds)).toMatchObject({
      commandsPerSecond: 1,
      p50Ms: 5,
      p99Ms: 9,
      commands: 4,
      cpuMicroseconds: { leader: 500, members: 1_500 },
    });
  });
});
