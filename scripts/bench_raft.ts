import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onStopSignal } from '../src/cli/stop_signal.ts';
import { clusterSchema } from '../src/config/cluster_schema.ts';
import { errorText } from '../src/lib/error.ts';
import { type CheckResult, checkCluster } from './bench_raft_check.ts';
import { BenchCluster, type SystemName } from './bench_raft_cluster.ts';
import { syncsPerSecond } from './bench_raft_disk.ts';
import { measureFailovers } from './bench_raft_failover.ts';
import { type LoadMode, type RoundResult, runRound } from './bench_raft_load.ts';
import { BenchPairs } from './bench_raft_pairs.ts';
import {
  FAILOVERS,
  type FailoverFigures,
  type FailoverName,
  failoverFigures,
  LOADS,
  type LoadFigures,
  type LoadName,
  loadFigures,
  ratiosOf,
  reportLines,
} from './bench_raft_report.ts';
import { etcdSystem, etcdVersion, ourSystem } from './bench_raft_systems.ts';

const USAGE = `usage: npm run bench:raft -- [options]

Three members of ours and three of etcd on this machine: commands a second, commit latency, time to fail over.

  --seconds N   measure each load of each system for so long in all (default 20)
  --kills N     kills of the leader for each failover figure (default 20)
  --only NAMES  only these, of unary1,unary64,unary1000,streaming1000,failoverDefaults,failoverEqual
  --without-etcd  measure ours alone
  --json        print one JSON object
  --profile F   write CPU profiles of our members into this folder
`;

const MODES: Record<LoadName, LoadMode> = {
  unary1: { path: 'unary', inFlight: 1 },
  unary64: { path: 'unary', inFlight: 64 },
  unary1000: { path: 'unary', inFlight: 1_000 },
  streaming1000: { path: 'streaming', inFlight: 1_000 },
};
/** What is measured with both systems as they come. */
const DEFAULTS_FIGURES = [...LOADS, 'failoverDefaults'] as const;
const FIGURES: readonly string[] = [...LOADS, ...FAILOVERS];
/** Each load is measured in so many rounds, the systems in turn, so that what disturbs the machine hits both. */
const ROUNDS = 5;
/** Of each system before it is measured: programs that are compiled while they run are slow at first. */
const WARM_UP_MODE = MODES.unary64;
const WARM_UP_MS = 3_000;

interface Options {
  readonly seconds: number;
  readonly kills: number;
  readonly only: readonly string[] | undefined;
  readonly withEtcd: boolean;
  readonly json: boolean;
  readonly profileFolder: string | undefined;
}

/** One system while it is measured. */
interface Subject {
  readonly cluster: BenchCluster;
  readonly pairs: BenchPairs;
}

interface Measured {
  readonly loads: Partial<Record<LoadName, LoadFigures>>;
  readonly failovers: Partial<Record<FailoverName, FailoverFigures>>;
  readonly checks: CheckResult[];
}

class Benchmark {
  readonly #options: Options;
  readonly #folder: string;
  readonly #clusters = new Set<BenchCluster>();
  readonly #measured: Partial<Record<SystemName, Measured>> = {};

  constructor(options: Options, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<void> {
    const { withEtcd, json } = this.#options;
    const etcd = withEtcd ? await etcdVersion() : undefined;
    if (withEtcd && etcd === undefined)
      console.error('etcd is not installed (Debian: etcd-server): only ours is measured');
    const names: SystemName[] = etcd === undefined ? ['ours'] : ['ours', 'etcd'];
    for (const name of names) this.#measured[name] = { loads: {}, failovers: {}, checks: [] };
    const disk = await syncsPerSecond(this.#folder);
    console.error(`the disk makes ${Math.round(disk)} writes a second durable, one after another`);
    if (DEFAULTS_FIGURES.some((name) => this.#isWanted(name)))
      await this.#session('defaults', names, (subjects) => this.#measureDefaults(subjects));
    if (this.#isWanted('failoverEqual'))
      await this.#session('equal', names, (subjects) =>
        this.#measureFailover('failoverEqual', subjects),
      );
    const ratios = ratiosOf(this.#measured);
    if (json)
      console.log(
        JSON.stringify({ ratios, ...this.#measured, etcdVersion: etcd, syncsPerSecond: disk }),
      );
    else for (const line of reportLines(this.#measured, ratios)) console.log(line);
  }

  async #measureDefaults(subjects: readonly Subject[]): Promise<void> {
    for (const subject of subjects)
      await alone(subject, subjects, () =>
        runRound(subject.cluster, subject.pairs, WARM_UP_MODE, WARM_UP_MS),
      );
    for (const load of LOADS) if (this.#isWanted(load)) await this.#measureLoad(load, subjects);
    if (this.#isWanted('failoverDefaults'))
      await this.#measureFailover('failoverDefaults', subjects);
  }

  /** Ends whatever runs. */
  async stop(): Promise<void> {
    await Promise.all([...this.#clusters].map((cluster) => cluster.stop()));
    this.#clusters.clear();
  }

  /** Starts the systems beside each other; only the one that is measured runs. */
  async #session(
    timing: 'defaults' | 'equal',
    names: readonly SystemName[],
    measure: (subjects: readonly Subject[]) => Promise<void>,
  ): Promise<void> {
    const subjects: Subject[] = [];
    for (const name of names) {
      const cluster = new BenchCluster(await this.#system(name, timing));
      this.#clusters.add(cluster);
      await cluster.leader();
      subjects.push({ cluster, pairs: new BenchPairs() });
    }
    await measure(subjects);
    for (const { cluster, pairs } of subjects) {
      const checked = await checkCluster(cluster, pairs);
      this.#measured[cluster.name]?.checks.push(checked);
      console.error(
        `${cluster.name}: all ${checked.acknowledged} acknowledged pairs are on every member, ` +
          `digest ${checked.digest.slice(0, 16)}`,
      );
    }
    await this.stop();
  }

  #system(name: SystemName, timing: 'defaults' | 'equal') {
    const folder = join(this.#folder, `${name}-${timing}`);
    const { profileFolder } = this.#options;
    if (name === 'ours')
      return ourSystem(
        folder,
        profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`],
      );
    const { heartbeatMs, electionTimeoutMs } = clusterSchema.shape.raft.parse(undefined);
    return etcdSystem(
      folder,
      timing === 'defaults' ? undefined : { heartbeatMs, electionTimeoutMs },
    );
  }

  #isWanted(name: LoadName | FailoverName): boolean {
    return this.#options.only?.includes(name) ?? true;
  }

  async #measureLoad(load: LoadName, subjects: readonly Subject[]): Promise<void> {
    const mode = MODES[load];
    const durationMs = (this.#options.seconds * 1_000) / ROUNDS;
    const measured = new Map<Subject, RoundResult[]>();
    for (let round = 0; round < ROUNDS; round += 1) {
      // Who begins alternates as well.
      const order = round % 2 === 0 ? subjects : subjects.toReversed();
      for (const subject of order) {
        const { cluster, pairs } = subject;
        if (mode.path === 'streaming' && cluster.name === 'etcd') continue;
        const result = await alone(subject, subjects, () =>
          runRound(cluster, pairs, mode, durationMs),
        );
        measured.set(subject, [...(measured.get(subject) ?? []), result]);
      }
    }
    for (const [{ cluster }, rounds] of measured) {
      const figures = loadFigures(rounds);
      const of = this.#measured[cluster.name];
      if (of !== undefined) of.loads[load] = figures;
      const { commandsPerSecond, p50Ms, p99Ms, cpuMicroseconds } = figures;
      console.error(
        `${load} ${cluster.name}: ${Math.round(commandsPerSecond)}/s, ` +
          `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, processor time ` +
          `${Math.round(cpuMicroseconds.leader)} µs at the leader, ` +
          `${Math.round(cpuMicroseconds.members)} µs at all members`,
      );
    }
  }

  async #measureFailover(name: FailoverName, subjects: readonly Subject[]): Promise<void> {
    for (const subject of subjects) {
      const { cluster, pairs } = subject;
      const timesMs = await alone(subject, subjects, () =>
        measureFailovers(cluster, pairs, this.#options.kills),
      );
      const figures = failoverFigures(timesMs);
      const of = this.#measured[cluster.name];
      if (of !== undefined) of.failovers[name] = figures;
      console.error(`${name} ${cluster.name}: ${Math.round(figures.medianMs)} ms in the middle`);
    }
  }
}

/** Measures one system while the others are stopped by signal. */
async function alone<Result>(
  subject: Subject,
  subjects: readonly Subject[],
  measure: () => Promise<Result>,
): Promise<Result> {
  const others = subjects.filter((other) => other !== subject);
  for (const { cluster } of others) cluster.pause();
  try {
    return await measure();
  } finally {
    for (const { cluster } of others) cluster.resume();
  }
}

function optionsFrom(commandLine: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...commandLine],
    options: {
      seconds: { type: 'string', default: '20' },
      kills: { type: 'string', default: '20' },
      only: { type: 'string' },
      'without-etcd': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const seconds = Number(values.seconds);
  const kills = Number(values.kills);
  const only = values.only?.split(',');
  if (!(seconds > 0) || !Number.isSafeInteger(kills) || kills < 1) return undefined;
  if (only?.some((name) => !FIGURES.includes(name))) return undefined;
  return {
    seconds,
    kills,
    only,
    withEtcd: !values['without-etcd'],
    json: values.json,
    profileFolder: values.profile,
  };
}

async function main(): Promise<number> {
  let options: Options | undefined;
  try {
    options = optionsFrom(process.argv.slice(2));
  } catch (thrown) {
    console.error(errorText(thrown));
  }
  if (options === undefined) {
    console.error(USAGE);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-raft-'));
  const benchmark = new Benchmark(options, folder);
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  const interrupted = new Promise<number>((resolve) => {
    onStopSignal(() => resolve(130));
  });
  try {
    return await Promise.race([benchmark.run().then(() => 0), interrupted]);
  } catch (thrown) {
    console.error(`bench:raft: ${errorText(thrown)}`);
    return 1;
  } finally {
    await benchmark.stop();
  }
}

process.exit(await main());
