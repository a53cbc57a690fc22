import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import { pause } from './client.ts';
import { ClusterWatch, leaderOf, type MemberView } from './cluster_watch.ts';
import { Load } from './load.ts';
import { interruptionBy, quantile } from './measure.ts';
import type { ClusterProcesses } from './processes.ts';
import type { Signer } from './signer.ts';
import { generateWorkload } from './workload_generator.ts';
import { prepareWorkload } from './workload_setup.ts';
import type { SignedTransaction } from './workload_transactions.ts';

export interface BenchOptions {
  /** Not started yet. */
  readonly processes: ClusterProcesses;
  readonly credentials: ChannelCredentials;
  readonly funder: Signer;
  readonly transactions: number;
  readonly conflictPercent: number;
  readonly seed: number;
  /** How often the leader is killed after the throughput was measured. */
  readonly kills: number;
}

export interface BenchResult {
  readonly members: number;
  readonly transactions: number;
  /** From the first submission until the last is in an applied block. */
  readonly throughputPerSecond: number;
  /** From submission to acknowledgement (durable on a majority), under that load. */
  readonly latencyMsMedian: number;
  readonly latencyMs99: number;
  /** For each kill of the leader: from SIGKILL until acknowledgements go on. */
  readonly failoversMs: readonly number[];
}

/** Transactions under way around each kill: about two seconds of load on a slow machine. */
const TRANSACTIONS_PER_KILL = 2_000;
const KILL_AT_SHARE = 0.25;
const POLL_INTERVAL_MS = 2;
/** Over all streams, so that one member gets as much at once as three: 900 transactions. */
const BATCHES_IN_FLIGHT = 18;

/** Runs the wallet workload, signed ahead, and then kills leaders under load. Members still run at the end. */
export async function bench(
  options: BenchOptions,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<BenchResult> {
  const { processes, credentials, funder, transactions, kills, seed, conflictPercent } = options;
  const addresses = processes.members.map(({ address }) => address);
  processes.startAll();
  await processes.waitReady();
  const workload = generateWorkload({
    family: 'wallet',
    transactions: transactions + kills * TRANSACTIONS_PER_KILL,
    conflictPercent,
    seed,
    orderSensitive: false,
  });
  const prepared = await prepareWorkload(
    { addresses, credentials, workload, funder, seed: String(seed) },
    { clock, signal },
  );
  const watch = new ClusterWatch(processes.members, { credentials, clock });
  const run: Run = { options, addresses, watch, clock, signal };
  try {
    const measured = prepared.transactions.slice(0, transactions);
    const load = new Load(measured, loadOptions(run), clock);
    const startedAtMs = clock.monotonicMs();
    await load.run();
    await watch.until('everything in blocks', isDrained, signal);
    const seconds = (clock.monotonicMs() - startedAtMs) / 1000;
    const failoversMs: number[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      const start = transactions + kill * TRANSACTIONS_PER_KILL;
      const slice = prepared.transactions.slice(start, start + TRANSACTIONS_PER_KILL);
      failoversMs.push(await killLeaderUnder(slice, run));
    }
    return {
      members: addresses.length,
      transactions,
      throughputPerSecond: Math.round(load.acknowledgedCount / seconds),
      latencyMsMedian: quantile(load.latenciesMs, 0.5) ?? 0,
      latencyMs99: quantile(load.latenciesMs, 0.99) ?? 0,
      failoversMs,
    };
  } finally {
    watch.close();
  }
}

interface Run {
  readonly options: BenchOptions;
  readonly addresses: readonly string[];
  readonly watch: ClusterWatch;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Milliseconds from the kill until acknowledgements go on. All members are ready again when it resolves. */
async function killLeaderUnder(
  transactions: readonly SignedTransaction[],
  run: Run,
): Promise<number> {
  const { clock, watch, signal, options } = run;
  const { processes } = options;
  const load = new Load(transactions, loadOptions(run), clock);
  let isDone = false;
  const running = load.run().finally(() => {
    isDone = true;
  });
  running.catch(() => undefined);
  while (load.acknowledgedCount < transactions.length * KILL_AT_SHARE && !isDone)
    await pause(clock, POLL_INTERVAL_MS);
  const leader = leaderOf(
    await watch.until('a leader', (members) => leaderOf(members) !== undefined, signal),
  );
  const killedId = leader?.id ?? 0;
  const killedAtMs = clock.monotonicMs();
  await processes.kill(killedId, 'SIGKILL');
  await running;
  processes.start(killedId);
  await processes.waitReady();
  await watch.until('everything in blocks', isDrained, signal);
  const interruption = interruptionBy(killedAtMs, load.acknowledgementTimesMs);
  return interruption?.recoveredMs ?? Number.POSITIVE_INFINITY;
}

function loadOptions({ addresses, options }: Run): ConstructorParameters<typeof Load>[1] {
  return {
    addresses,
    credentials: options.credentials,
    wait: 'WAIT_LEVEL_ADMITTED',
    batchesInFlight: Math.ceil(BATCHES_IN_FLIGHT / addresses.length),
  };
}

function isDrained(members: readonly MemberView[]): boolean {
  return leaderOf(members)?.status?.mempoolSize === '0';
}
