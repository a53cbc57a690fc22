import { parseArgs } from 'node:util';
import { errorText } from '../src/lib/error.ts';
import { NOTHING, replay, runSeed, sum, type Totals } from '../test/sim/run_seeds.ts';

const USAGE = `usage: npm run sim -- [options]

Whole clusters on disks, networks and clocks that fail, one seed after another, until one breaks a rule or time is up.

  --minutes N   for so long (default 1)
  --from N      begin at this seed (default: one drawn anew)
  --seed N      run this seed alone, and show what led to its failure
  --json        print one JSON object
`;

const values = optionsFrom();

/** Seeds are numbers of 32 bits; a run that begins at random leaves room for as many as it may take. */
const SEEDS_MAX = 2 ** 31;

/** What the counts mean to somebody who has not read the simulator. */
const LABELS: Record<keyof Totals | 'seeds', string> = {
  events: 'events',
  acknowledged: 'writes acknowledged',
  servedReads: 'reads served',
  elections: 'elections',
  crashes: 'crashes',
  members: 'members',
  installs: 'snapshots installed',
  lost: 'members lost for good',
  seeds: 'seeds',
};

function optionsFrom() {
  try {
    const { values: given } = parseArgs({
      options: {
        minutes: { type: 'string', default: '1' },
        seed: { type: 'string' },
        from: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (!given.help) return given;
    console.log(USAGE);
    process.exit(0);
  } catch (thrown) {
    return refuse(errorText(thrown));
  }
}

function requireNumber(name: string, text: string): number {
  const value = Number(text);
  if (text !== '' && Number.isFinite(value) && value >= 0) return value;
  return refuse(`--${name} takes a number, not ${text}`);
}

function refuse(why: string): never {
  console.error(`${why}\n\n${USAGE}`);
  process.exit(2);
}

function report(totals: Totals & { seeds: number; cpuSeconds: number }, failed?: string): void {
  const { events, cpuSeconds, seeds } = totals;
  const eventsPerSecond = Math.round(events / cpuSeconds);
  if (values.json) {
    console.log(JSON.stringify({ ...totals, eventsPerSecond, failed }));
    return;
  }
  const { cpuSeconds: _, ...counts } = totals;
  const width = Math.max(...Object.values(LABELS).map(({ length }) => length));
  for (const [name, label] of Object.entries(LABELS))
    console.log(`${label.padEnd(width)}  ${counts[name as keyof typeof counts]}`);
  console.log(
    `${eventsPerSecond} events a second of one core, ${(cpuSeconds / Math.max(1, seeds)).toFixed(3)} s a seed`,
  );
  if (failed === undefined) console.log('no rule was broken');
  else console.error(failed);
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
