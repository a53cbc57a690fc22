import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorText } from '../src/lib/error.ts';
import { BenchLog, type LogRun, RawFile, type RawRun } from './bench_wal_runs.ts';

const USAGE = `usage: npm run bench:wal -- [options]

Appends of 256 bytes to the log, against a loop of write and fdatasync on a plain file of the same disk.

  --seconds N     measure each load for so long (default 5)
  --directory D   on the disk of this folder (default: that of the system's temporary files)
  --json          print one JSON object
`;

/** Appenders that each wait for one append before they make the next. */
const LOADS = [1, 64, 1_000] as const;
/** Ours and the raw loop take turns, so that what disturbs the machine hits both. */
const ROUNDS = 20;
const WARM_UP_MS = 500;
/** Aim for the time of a synced batch of ours against that of a raw one, in group commit. */
const RATIO_AIM = 1.3;

interface LoadFigures {
  readonly appenders: number;
  readonly appendsPerSecond: number;
  readonly valueBytesPerSecond: number;
  readonly syncsPerSecond: number;
  readonly batchBytes: number;
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
  /** Milliseconds from one synced batch to the next. */
  readonly batchMs: number;
  readonly rawBatchMs: number;
  readonly rawSyncsPerSecond: number;
  /** Ours to raw, the median of the rounds: 1 is the disk's own rate. */
  readonly ratio: number;
}

interface Round {
  readonly log: LogRun;
  readonly raw: RawRun;
}

const { seconds, directory, json } = parseOptions();
const folder = mkdtempSync(join(directory, 'blockraft-bench-wal-'));
const log = await BenchLog.open(join(folder, 'log'));
const raw = new RawFile(join(folder, 'raw'));
try {
  const loads: LoadFigures[] = [];
  for (const appenders of LOADS) loads.push(await measureLoad(appenders));
  if (json) console.log(JSON.stringify({ node: process.version, folder: directory, loads }));
  else printReport(loads);
} finally {
  await log.close();
  raw.close();
  rmSync(folder, { recursive: true, force: true });
}

async function measureLoad(appenders: number): Promise<LoadFigures> {
  await log.run({ appenders, durationMs: WARM_UP_MS });
  const rounds: Round[] = [];
  const durationMs = (seconds * 1000) / ROUNDS;
  for (let round = 0; round < ROUNDS; round += 1) {
    const run = await log.run({ appenders, durationMs });
    const batchBytes = Math.round(run.bytes / run.syncs);
    rounds.push({ log: run, raw: raw.run({ batchBytes, durationMs: durationMs / 2 }) });
  }
  return figuresOf(appenders, rounds);
}

function figuresOf(appenders: number, rounds: readonly Round[]): LoadFigures {
  const logs = rounds.map((round) => round.log);
  const elapsedMs = sum(logs.map((run) => run.elapsedMs));
  const appends = sum(logs.map((run) => run.appends));
  const syncs = sum(logs.map((run) => run.syncs));
  const latenciesMs = logs.flatMap((run) => run.latenciesMs);
  const raws = rounds.map((round) => round.raw);
  const batchMs = elapsedMs / syncs;
  const rawBatchMs = sum(raws.map((run) => run.elapsedMs)) / sum(raws.map((run) => run.syncs));
  return {
    appenders,
    appendsPerSecond: (1000 * appends) / elapsedMs,
    valueBytesPerSecond: (1000 * sum(logs.map((run) => run.valueBytes))) / elapsedMs,
    syncsPerSecond: 1000 / batchMs,
    batchBytes: sum(logs.map((run) => run.bytes)) / syncs,
    latencyMsP50: quantile(latenciesMs, 0.5),
    latencyMsP99: quantile(latenciesMs, 0.99),
    batchMs,
    rawBatchMs,
    rawSyncsPerSecond: 1000 / rawBatchMs,
    ratio: quantile(rounds.map(ratioOf), 0.5),
  };
}

function ratioOf({ log: ours, raw: theirs }: Round): number {
  return ours.elapsedMs / ours.syncs / (theirs.elapsedMs / theirs.syncs);
}

function quantile(values: readonly number[], share: number): number {
  return Float64Array.from(values).sort()[Math.floor(values.length * share)] ?? 0;
}

function printReport(loads: readonly LoadFigures[]): void {
  for (const load of loads) {
    const { appenders, batchMs, rawBatchMs, ratio } = load;
    console.log(`${whole(appenders)} appender${appenders === 1 ? '' : 's'} in flight`);
    console.log(
      `  ${whole(load.appendsPerSecond)} appends/s, ${(load.valueBytesPerSecond / 1e6).toFixed(1)} MB/s of ` +
        `values, p50 ${load.latencyMsP50.toFixed(3)} ms, p99 ${load.latencyMsP99.toFixed(3)} ms`,
    );
    console.log(
      `  ${whole(load.syncsPerSecond)} synced batches/s of ${whole(load.batchBytes)} bytes; ` +
        `the disk alone: ${whole(load.rawSyncsPerSecond)}`,
    );
    const aim = appenders === 1 ? '' : ` (aim: at most ${RATIO_AIM})`;
    console.log(
      `  a batch takes ${batchMs.toFixed(3)} ms, alone ${rawBatchMs.toFixed(3)} ms: ratio ${ratio.toFixed(2)}${aim}`,
    );
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function parseOptions(): { seconds: number; directory: string; json: boolean } {
  const values = parsedArguments();
  const seconds = Number(values?.seconds);
  if (values === undefined || values.help || !(seconds > 0)) {
    console.error(USAGE);
    process.exit(values?.help ? 0 : 2);
  }
  return { seconds, directory: values.directory, json: values.json };
}

/** Undefined, and standard error says why, where the command line is wrong. */
function parsedArguments() {
  try {
    return parseArgs({
      options: {
        seconds: { type: 'string', default: '5' },
        directory: { type: 'string', default: tmpdir() },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (thrown) {
    console.error(errorText(thrown));
    return undefined;
  }
}
