import { errorText } from '../../src/lib/error.ts';
import type { KnownDefect } from './defects.ts';
import { Simulation, type SimulationResult } from './simulation.ts';

/** Lines of the trace that a failed replay shows. */
const TRACE_LINES_MAX = 400;

/** What happened in many runs together. */
export type Totals = Omit<SimulationResult, 'digest'>;

export const NOTHING: Totals = {
  events: 0,
  acknowledged: 0,
  servedReads: 0,
  elections: 0,
  crashes: 0,
  members: 0,
  installs: 0,
  lost: 0,
};

/** Runs seeds one after another; a failure names its seed and the command that replays it. */
export async function runSeeds(range: { first: number; count: number }): Promise<Totals> {
  let totals = NOTHING;
  for (let seed = range.first; seed < range.first + range.count; seed += 1)
    totals = sum(totals, await runSeed(seed));
  return totals;
}

/** Runs one seed. */
export async function runSeed(seed: number): Promise<SimulationResult> {
  try {
    return await new Simulation({ seed }).run();
  } catch (thrown) {
    throw failure(seed, thrown, []);
  }
}

/** Runs one seed again and shows the end of its trace when it fails. */
export async function replay(seed: number): Promise<SimulationResult> {
  const lines: string[] = [];
  const trace = (line: string) => {
    lines.push(line);
    if (lines.length > 2 * TRACE_LINES_MAX) lines.splice(0, TRACE_LINES_MAX);
  };
  try {
    return await new Simulation({ seed, trace }).run();
  } catch (thrown) {
    throw failure(seed, thrown, lines.slice(-TRACE_LINES_MAX));
  }
}

/** The first seed at which a defect is caught, and by what; undefined when it stays hidden. */
export async function firstCaught({
  defect,
  seeds,
  wishes = {},
}: KnownDefect): Promise<{ seed: number; reason: string } | undefined> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      await new Simulation({ seed, defect, wishes }).run();
    } catch (thrown) {
      return { seed, reason: errorText(thrown) };
    }
  }
  return undefined;
}

export function sum(left: Totals, right: Totals): Totals {
  return {
    events: left.events + right.events,
    acknowledged: left.acknowledged + right.acknowledged,
    servedReads: left.servedReads + right.servedReads,
    elections: left.elections + right.elections,
    crashes: left.crashes + right.crashes,
    members: left.members + right.members,
    installs: left.installs + right.installs,
    lost: left.lost + right.lost,
  };
}

function failure(seed: number, thrown: unknown, trace: readonly string[]): Error {
  const command = `npm run sim -- --seed ${seed}`;
  const text = [...trace, `seed ${seed}: ${errorText(thrown)}`, `replay it with: ${command}`];
  return new Error(text.join('\n'), { cause: thrown });
}
