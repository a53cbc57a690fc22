import { median, quantile } from '../src/lab/measure.ts';
import type { SystemName } from './bench_raft_cluster.ts';
import type { RoundResult } from './bench_raft_load.ts';

/** How one system did in one mode, over all of its rounds. */
export interface LoadFigures {
  readonly commandsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly commands: number;
  /** Processor time that one command has cost the leader, and all members together. */
  readonly cpuMicroseconds: { readonly leader: number; readonly members: number };
}

/** Milliseconds from the kill of a leader to the next commit. */
export interface FailoverFigures {
  readonly medianMs: number;
  readonly maxMs: number;
  readonly timesMs: readonly number[];
}

export const LOADS = ['unary1', 'unary64', 'unary1000', 'streaming1000'] as const;
export const FAILOVERS = ['failoverDefaults', 'failoverEqual'] as const;
export type LoadName = (typeof LOADS)[number];
export type FailoverName = (typeof FAILOVERS)[number];

/** What was measured of one system; a part that was not is absent. */
export interface SystemFigures {
  readonly loads: Partial<Record<LoadName, LoadFigures>>;
  readonly failovers: Partial<Record<FailoverName, FailoverFigures>>;
}

/** Ours divided by etcd's: of commands above 1 is better, of times below 1 is better. */
export type Ratios = Partial<Record<LoadName | FailoverName | 'p99At1000', number>>;

export function loadFigures(rounds: readonly RoundResult[]): LoadFigures {
  const latencies = Float64Array.from(rounds.flatMap(({ latenciesMs }) => latenciesMs)).sort();
  const durationMs = rounds.reduce((sum, round) => sum + round.durationMs, 0);
  return {
    commandsPerSecond: (latencies.length * 1000) / durationMs,
    p50Ms: quantile(latencies, 0.5) ?? 0,
    p99Ms: quantile(latencies, 0.99) ?? 0,
    commands: latencies.length,
    cpuMicroseconds: cpuMicroseconds(rounds),
  };
}

function cpuMicroseconds(rounds: readonly RoundResult[]): LoadFigures['cpuMicroseconds'] {
  let [leaderMs, membersMs, commands] = [0, 0, 0];
  for (const { cpu } of rounds) {
    leaderMs += cpu.leaderMs;
    membersMs += cpu.membersMs;
    commands += cpu.commands;
  }
  return { leader: (leaderMs * 1000) / commands, members: (membersMs * 1000) / commands };
}

export function failoverFigures(timesMs: readonly number[]): FailoverFigures {
  return { medianMs: median(timesMs) ?? 0, maxMs: Math.max(...timesMs), timesMs };
}

/** Streaming has no counterpart at etcd: it is held against etcd's unary calls with as many in flight. */
export function ratiosOf(figures: Partial<Record<SystemName, SystemFigures>>): Ratios {
  const { ours, etcd } = figures;
  if (ours === undefined || etcd === undefined) return {};
  const ratios: Ratios = {};
  for (const name of LOADS) {
    const theirs = etcd.loads[name === 'streaming1000' ? 'unary1000' : name];
    setRatio(ratios, name, ours.loads[name]?.commandsPerSecond, theirs?.commandsPerSecond);
  }
  setRatio(ratios, 'p99At1000', ours.loads.unary1000?.p99Ms, etcd.loads.unary1000?.p99Ms);
  for (const name of FAILOVERS)
    setRatio(ratios, name, ours.failovers[name]?.medianMs, etcd.failovers[name]?.medianMs);
  return ratios;
}

function setRatio(
  ratios: Ratios,
  name: keyof Ratios,
  ours: number | undefined,
  theirs: number | undefined,
): void {
  if (ours !== undefined && theirs !== undefined && theirs > 0) ratios[name] = ours / theirs;
}

/** The lines that a person reads. */
export function reportLines(
  figures: Partial<Record<SystemName, SystemFigures>>,
  ratios: Ratios,
): string[] {
  const lines = [row(['', 'ours', '', 'etcd', '', 'ours / etcd'])];
  for (const name of LOADS) {
    const [ours, etcd] = [figures.ours?.loads[name], figures.etcd?.loads[name]];
    if (ours === undefined) continue;
    lines.push(row([name, ...loadCells(ours), ...loadCells(etcd), ratioText(ratios[name])]));
  }
  if (ratios.p99At1000 !== undefined)
    lines.push(row(['p99 at unary1000', '', '', '', '', ratioText(ratios.p99At1000)]));
  for (const name of FAILOVERS) {
    const [ours, etcd] = [figures.ours?.failovers[name], figures.etcd?.failovers[name]];
    if (ours === undefined) continue;
    lines.push(
      row([name, ...failoverCells(ours), ...failoverCells(etcd), ratioText(ratios[name])]),
    );
  }
  return lines;
}

function loadCells(figures: LoadFigures | undefined): [string, string] {
  if (figures === undefined) return ['-', ''];
  const { commandsPerSecond, p50Ms, p99Ms } = figures;
  return [
    `${Math.round(commandsPerSecond)}/s`,
    `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`,
  ];
}

function failoverCells(figures: FailoverFigures | undefined): [string, string] {
  if (figures === undefined) return ['-', ''];
  return [`${Math.round(figures.medianMs)} ms`, `at most ${Math.round(figures.maxMs)} ms`];
}

function ratioText(ratio: number | undefined): string {
  return ratio === undefined ? '-' : ratio.toFixed(2);
}

const COLUMN_WIDTHS = [18, 10, 30, 10, 30, 12];

function row(cells: readonly string[]): string {
  return cells
    .map((cell, column) => cell.padEnd(COLUMN_WIDTHS[column] ?? 0))
    .join('')
    .trimEnd();
}
