import { errorText } from '../../src/lib/error.ts';
import type { Defect } from './defects.ts';
import { Simulation, type SimulationResult } from './simulation.ts';

/** Lines of the trace that a failed replay shows. */
const TRACE_LINES_MAX = 400;

/** Runs seeds one after another and adds up what happened; a failure names its seed and how to replay it. */
export function runSeeds(range: { first: number; count: number }): SimulationResult {
  const totals = { events: 0, acknowledged: 0, servedReads: 0, elections: 0, crashes: 0 };
  for (let seed = range.first; seed < range.first + range.count; seed += 1) {
    const result = runSeed(seed);
    totals.events += result.events;
    totals.acknowledged += result.acknowledged;
    totals.servedReads += result.servedReads;
    totals.elections += result.elections;
    totals.crashes += result.crashes;
  }
  return totals;
}

/** Runs one seed again and shows the end of its trace when it fails. */
export function replay(seed: number): SimulationResult {
  const lines: string[] = [];
  try {
    return new Simulation({
      seed,
      trace: (line) => {
        lines.push(line);
        if (lines.length > 2 * TRACE_LINES_MAX) lines.splice(0, TRACE_LINES_MAX);
      },
    }).run();
  } catch (thrown) {
    throw failure(seed, thrown, lines.slice(-TRACE_LINES_MAX));
  }
}

/** The first seed at which a defect is caught, and by what; undefined when it stays hidden. */
export function firstCaught(defect: Defect): { seed: number; reason: string } | undefined {
  const { member, churn = false } = defect;
  for (let seed = 1; seed <= defect.seeds; seed += 1) {
    try {
      new Simulation({ seed, member, churn }).run();
    } catch (thrown) {
      return { seed, reason: errorText(thrown) };
    }
  }
  return undefined;
}

function runSeed(seed: number): SimulationResult {
  try {
    return new Simulation({ seed }).run();
  } catch (thrown) {
    throw failure(seed, thrown, []);
  }
}

function failure(seed: number, thrown: unknown, trace: readonly string[]): Error {
  const command = `SIM_SEED=${seed} npx vitest run test/sim/sim.test.ts`;
  const text = [...trace, `seed ${seed}: ${errorText(thrown)}`, `replay it with: ${command}`];
  return new Error(text.join('\n'), { cause: thrown });
}
