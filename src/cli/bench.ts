import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { BenchResult } from '../lab/bench.ts';
import type { HotSpot } from '../lab/cpu_profile.ts';
import { median } from '../lab/measure.ts';
import { systemClock } from '../lib/environment.ts';
import { cliErrorFrom, printJson } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';
import { onStopSignal } from './stop_signal.ts';
import { grouped, tableText } from './table.ts';
import { wholeNumber } from './workload_flags.ts';

interface Flags {
  readonly transactions: number;
  readonly conflict: number;
  readonly kills: number;
  readonly seed: number;
  readonly profile?: boolean;
  readonly json?: boolean;
}

/** A result with what the profiler saw, when it was asked. */
interface Measured extends BenchResult {
  readonly hotSpots: readonly HotSpot[];
}

const TRANSACTIONS_DEFAULT = 20_000;
const KILLS_DEFAULT = 10;
const HOT_SPOTS_SHOWN = 20;

export function registerBench(program: Command): void {
  program
    .command('bench')
    .summary('measure throughput, latency and failover on this machine')
    .description(
      'Runs the wallet workload through gRPC on one member and on three, all on this machine, with ' +
        'transactions signed ahead by this process; then kills the leader of the three again and again.',
    )
    .option('-n, --transactions <n>', 'in each run', wholeNumber, TRANSACTIONS_DEFAULT)
    .option('--conflict <percent>', 'density of the conflict graph', wholeNumber, 3)
    .option('--kills <n>', 'of the leader, under load', wholeNumber, KILLS_DEFAULT)
    .option('--seed <n>', 'what the workload follows from', wholeNumber, 1)
    .option(
      '--profile',
      'take CPU profiles of the members and list the hottest functions (kills nobody: the dead write none)',
    )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft bench', 'all of it, about two minutes'],
        ['blockraft bench --profile', 'where the time goes'],
      ]),
    )
    .action(async (flags: Flags) => {
      const stop = new AbortController();
      const undo = onStopSignal(() =>
        stop.abort(new CliError('failure', 'interrupted before the end')),
      );
      try {
        const solo = await measure('solo', { ...flags, kills: 0 }, stop.signal);
        const kills = flags.profile ? 0 : flags.kills;
        const three = await measure('local-3', { ...flags, kills }, stop.signal);
        if (flags.json) printJson(report([solo, three]));
        else console.log(reportText([solo, three]));
      } catch (thrown) {
        throw cliErrorFrom(stop.signal.aborted ? stop.signal.reason : thrown);
      } finally {
        undo();
      }
    });
}

async function measure(template: string, flags: Flags, signal: AbortSignal): Promise<Measured> {
  const { bench } = await import('../lab/bench.ts');
  const { hotSpotsOf } = await import('../lab/cpu_profile.ts');
  const { startableCluster } = await import('./startable_cluster.ts');
  const folder = await mkdtemp(join(tmpdir(), 'blockraft-bench-'));
  const profiles = join(folder, 'profiles');
  const nodeArguments = flags.profile ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : [];
  try {
    const { processes, credentials, funder } = await startableCluster(
      { folder, template, nodeArguments },
      { clock: systemClock, randomBytes },
    );
    signal.addEventListener('abort', () => void processes.stopAll());
    try {
      const { transactions, conflict: conflictPercent, seed, kills } = flags;
      const result = await bench(
        { processes, credentials, funder, transactions, conflictPercent, seed, kills },
        { clock: systemClock, signal },
      );
      // A process writes its profile when it ends.
      await processes.stopAll();
      return { ...result, hotSpots: flags.profile ? hotSpotsOf(profiles, HOT_SPOTS_SHOWN) : [] };
    } finally {
      await processes.stopAll();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report(results: readonly Measured[]): object {
  const [solo, three] = results;
  return {
    cores: availableParallelism(),
    node: process.version,
    runs: results,
    ratio: (three?.throughputPerSecond ?? 0) / (solo?.throughputPerSecond ?? 1),
    failoverMsMedian: median(three?.failoversMs ?? []) ?? null,
  };
}

function reportText(results: readonly Measured[]): string {
  const [solo, three] = results;
  const rows = results.map((result) => [
    String(result.members),
    grouped(result.transactions),
    grouped(result.throughputPerSecond),
    result.latencyMsMedian.toFixed(1),
    result.latencyMs99.toFixed(1),
  ]);
  const ratio = (three?.throughputPerSecond ?? 0) / (solo?.throughputPerSecond ?? 1);
  const lines = [
    `${availableParallelism()} cores, node ${process.version}, wallet workload through gRPC`,
    tableText([
      ['members', 'transactions', 'in blocks /s', 'acknowledged ms, median', '99 %'],
      ...rows,
    ]),
    `three members do ${ratio.toFixed(2)} of what one does`,
  ];
  const failovers = three?.failoversMs ?? [];
  const middle = median(failovers);
  if (middle !== undefined)
    lines.push(
      `leader killed ${failovers.length} times: first acknowledgement after ${grouped(middle)} ms ` +
        `(median; ${failovers.map((ms) => grouped(ms)).join(', ')})`,
    );
  for (const { members, hotSpots } of results)
    if (hotSpots.length > 0)
      lines.push(
        '',
        tableText([
          ['self ms', '%', `hottest functions, ${members} ${members === 1 ? 'member' : 'members'}`],
          ...hotSpots.map(({ name, selfMs, percent }) => [
            grouped(selfMs),
            percent.toFixed(1),
            name,
          ]),
        ]),
      );
  return lines.join('\n');
}
