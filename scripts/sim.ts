import { parseArgs } from 'node:util';
import { errorText } from '../src/lib/error.ts';
import { NOTHING, replay, runSeed, sum, type Totals } from '../test/sim/run_seeds.ts';

/*
 * The simulator for as long as one likes: `npm run sim -- --minutes 10`. It begins at a seed drawn anew, or at the one
 * given with `--from`. `--seed N` replays one seed and shows what led to its failure. `--json` prints one object.
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    from: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

/** Seeds are numbers of 32 bits; a run that begins at random leaves room for as many as it may take. */
const SEEDS_MAX = 2 ** 31;

function requireNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new Error(`--${name} takes a number, not ${text}`);
}

function report(totals: Totals & { seeds: number; cpuSeconds: number }, failed?: string): void {
  const { events, cpuSeconds, seeds } = totals;
  const eventsPerSecond = Math.round(events / cpuSeconds);
  if (values.json) {
    console.log(JSON.stringify({ ...totals, eventsPerSecond, failed }));
    return;
  }
  const counts = Object.entries(totals).filter(([name]) => name !== 'cpuSeconds');
  for (const [name, value] of counts) console.log(`${name.padEnd(14)} ${value}`);
  console.log(
    `${eventsPerSecond} events a second of one core, ${(cpuSeconds / Math.max(1, seeds)).toFixed(3)} s a seed`,
  );
  if (failed !== undefined) console.error(failed);
}

async function runSome(): Promise<void> {
  const one = values.seed === undefined ? undefined : requireNumber('seed', values.seed);
  const until = performance.now() + 60_000 * requireNumber('minutes', values.minutes);
  const first =
    one ?? requireNumber('from', values.from ?? String(Math.floor(Math.random() * SEEDS_MAX)));
  const cpu = process.cpuUsage();
  let totals = NOTHING;
  let seeds = 0;
  let failed: string | undefined;
  if (one === undefined && !values.json) console.log(`from seed ${first}`);
  do {
    try {
      const run = one === undefined ? runSeed : replay;
      const { digest: _, ...result } = await run(first + seeds);
      totals = sum(totals, result);
    } catch (thrown) {
      failed = errorText(thrown);
    }
    seeds += 1;
  } while (one === undefined && failed === undefined && performance.now() < until);
  const { user, system } = process.cpuUsage(cpu);
  report({ ...totals, seeds, cpuSeconds: (user + system) / 1e6 }, failed);
  if (failed !== undefined) process.exitCode = 1;
}

await runSome();
