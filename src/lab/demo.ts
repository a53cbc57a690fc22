import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import type { Genesis } from '../types/genesis.ts';
import { type AuditReport, audit } from './audit.ts';
import { NodeClient, pause } from './client.ts';
import { ClusterWatch, leaderOf, type MemberView } from './cluster_watch.ts';
import { Load } from './load.ts';
import { interruptionBy } from './measure.ts';
import type { ClusterProcesses } from './processes.ts';
import type { Signer } from './signer.ts';
import type { Workload } from './workload_operation.ts';
import { type PreparedWorkload, prepareWorkload } from './workload_setup.ts';

/** Whom the demonstration kills with SIGKILL half-way. */
export type Victim = 'none' | 'leader' | 'follower';

export interface DemoOptions {
  readonly processes: ClusterProcesses;
  readonly credentials: ChannelCredentials;
  readonly genesis: Genesis;
  readonly workload: Workload;
  readonly funder: Signer;
  readonly victim: Victim;
  readonly seed: string;
}

export interface DemoDependencies {
  readonly clock: Clock;
  /** Called about five times a second, and at each step. */
  readonly onProgress: (progress: DemoProgress) => void;
  readonly signal: AbortSignal;
}

export type DemoStep =
  | 'starting'
  | 'preparing'
  | 'running'
  | 'draining'
  | 'catching-up'
  | 'auditing'
  | 'done';

export interface DemoProgress {
  readonly step: DemoStep;
  /** Measured transactions. */
  readonly total: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** Acknowledged a second, over the last second. */
  readonly ratePerSecond: number;
  readonly members: readonly MemberView[];
  /** The member that was killed, once it was, and whether it runs again. */
  readonly killed: { readonly id: number; readonly runsAgain: boolean } | undefined;
}

/** The content of `--report`. */
export interface DemoReport {
  readonly sent: number;
  readonly acknowledged: number;
  readonly committed: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly throughputPerSecond: number;
  /** The silence that the kill caused, as clients saw it; null when nobody was killed. */
  readonly failoverMs: number | null;
  readonly rootsEqual: boolean;
  readonly height: number;
}

export interface DemoResult {
  readonly report: DemoReport;
  readonly audit: AuditReport;
  readonly killedId: number | undefined;
}

const KILL_AT_SHARE = 0.5;
const RESTART_AT_SHARE = 0.75;
const PROGRESS_INTERVAL_MS = 200;
const RATE_WINDOW_MS = 1_000;
const POLL_INTERVAL_MS = 5;

/**
 * Starts the members, runs the workload against all of them, kills one half-way and starts it again, waits until
 * all have caught up, and audits from outside. The members still run when it resolves.
 */
export class Demo {
  readonly #options: DemoOptions;
  readonly #dependencies: DemoDependencies;
  readonly #watch: ClusterWatch;
  #step: DemoStep = 'starting';
  #load: Load | undefined;
  #members: readonly MemberView[] = [];
  #killed: { id: number; atMs: number; runsAgain: boolean } | undefined;
  #recent: { atMs: number; count: number }[] = [];
  #running = true;

  constructor(options: DemoOptions, dependencies: DemoDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    const { credentials, processes } = options;
    this.#members = processes.members.map((member) => ({ ...member, status: undefined }));
    this.#watch = new ClusterWatch(processes.members, {
      credentials,
      clock: dependencies.clock,
    });
  }

  /** Call once. Rejects when a step fails or the signal aborts. */
  async run(): Promise<DemoResult> {
    const { signal } = this.#dependencies;
    const aborted = (): void => this.#load?.stop();
    signal.addEventListener('abort', aborted);
    const observing = this.#observe();
    try {
      return await this.#steps();
    } finally {
      this.#running = false;
      signal.removeEventListener('abort', aborted);
      await observing;
      this.#watch.close();
    }
  }

  async #steps(): Promise<DemoResult> {
    const { processes, credentials, workload, funder, seed } = this.#options;
    const { clock, signal } = this.#dependencies;
    const addresses = processes.members.map(({ address }) => address);
    processes.startAll();
    await processes.waitReady();
    this.#enter('preparing');
    const prepared = await prepareWorkload(
      { addresses, credentials, workload, funder, seed },
      { clock, signal },
    );
    this.#enter('running');
    const load = new Load(
      prepared.transactions,
      { addresses, credentials, wait: 'WAIT_LEVEL_ADMITTED' },
      clock,
    );
    this.#load = load;
    const startedAtMs = clock.monotonicMs();
    let isDone = false;
    const running = load.run().finally(() => {
      isDone = true;
    });
    // The load is awaited below; until then its failure only ends the waiting for the kill.
    running.catch(() => undefined);
    await this.#killAndRestart(load, () => isDone);
    await running;
    this.#enter('draining');
    // What follows a refused transaction of its sender never gets into a block.
    if (load.refused.length === 0)
      await this.#watch.until('everything in blocks', isDrained, signal);
    const drainedAtMs = clock.monotonicMs();
    this.#enter('catching-up');
    await processes.waitReady();
    this.#enter('auditing');
    const audited = await this.#audit(prepared, load);
    this.#enter('done');
    return {
      audit: audited,
      killedId: this.#killed?.id,
      report: {
        sent: load.sentCount,
        acknowledged: load.acknowledgedCount,
        committed: audited.committed,
        lost: audited.lost,
        duplicated: audited.duplicated,
        throughputPerSecond: Math.round((audited.committed * 1000) / (drainedAtMs - startedAtMs)),
        failoverMs: this.#failoverMs(load),
        rootsEqual: audited.rootsEqual,
        height: audited.height,
      },
    };
  }

  async #killAndRestart(load: Load, isDone: () => boolean): Promise<void> {
    const { processes, victim, workload } = this.#options;
    const { clock, signal } = this.#dependencies;
    const reached = async (share: number): Promise<void> => {
      const count = workload.operations.length * share;
      while (load.acknowledgedCount < count && !isDone()) await pause(clock, POLL_INTERVAL_MS);
      signal.throwIfAborted();
    };
    if (victim === 'none') return;
    await reached(KILL_AT_SHARE);
    const members = await this.#watch.until(
      'a leader',
      (seen) => leaderOf(seen) !== undefined,
      signal,
    );
    const leaderId = leaderOf(members)?.id;
    const chosen = members.find(({ id }) => (id === leaderId) === (victim === 'leader'));
    if (chosen === undefined) return;
    const killed = { id: chosen.id, atMs: clock.monotonicMs(), runsAgain: false };
    this.#killed = killed;
    await processes.kill(chosen.id, 'SIGKILL');
    this.#tell();
    // Alone, it is missed at once.
    if (members.length > 1) await reached(RESTART_AT_SHARE);
    processes.start(chosen.id);
    killed.runsAgain = true;
    this.#tell();
  }

  #failoverMs(load: Load): number | null {
    if (this.#killed === undefined) return null;
    const interruption = interruptionBy(this.#killed.atMs, load.acknowledgementTimesMs);
    return interruption === undefined ? null : Math.round(interruption.silenceMs);
  }

  async #audit(prepared: PreparedWorkload, load: Load): Promise<AuditReport> {
    const { processes, credentials, genesis } = this.#options;
    const { clock } = this.#dependencies;
    const clients = processes.members.map(
      ({ address }) => new NodeClient({ addresses: [address], credentials }, clock),
    );
    try {
      const { workload, signers, contract, submitted } = prepared;
      const acknowledged = load.acknowledgedHashes;
      const found = await audit(
        { clients, genesis, workload, signers, contract, submitted, acknowledged },
        clock,
      );
      const [refused] = load.refused;
      const answered = {
        name: 'every transaction sent was acknowledged',
        holds: refused === undefined && load.acknowledgedCount === load.sentCount,
        detail:
          refused === undefined
            ? `${load.acknowledgedCount} of ${load.sentCount}`
            : `${load.refused.length} refused, the first: ${refused.refusal.message}`,
      };
      return {
        ...found,
        checks: [answered, ...found.checks],
        holds: found.holds && answered.holds,
      };
    } finally {
      for (const client of clients) client.close();
    }
  }

  async #observe(): Promise<void> {
    while (this.#running) {
      this.#members = await this.#watch.look();
      if (this.#running) this.#tell();
      await pause(this.#dependencies.clock, PROGRESS_INTERVAL_MS);
    }
  }

  #enter(step: DemoStep): void {
    this.#dependencies.signal.throwIfAborted();
    this.#step = step;
    this.#tell();
  }

  #tell(): void {
    const atMs = this.#dependencies.clock.monotonicMs();
    const count = this.#load?.acknowledgedCount ?? 0;
    this.#recent = this.#recent.filter((sample) => sample.atMs > atMs - RATE_WINDOW_MS);
    this.#recent.push({ atMs, count });
    const [oldest] = this.#recent;
    const spanMs = atMs - (oldest?.atMs ?? atMs);
    this.#dependencies.onProgress({
      step: this.#step,
      total: this.#options.workload.operations.length,
      sent: this.#load?.sentCount ?? 0,
      acknowledged: count,
      ratePerSecond:
        spanMs === 0 ? 0 : Math.round(((count - (oldest?.count ?? 0)) * 1000) / spanMs),
      members: this.#members,
      killed: this.#killed,
    });
  }
}

/** Whether the leader has nothing left to put into a block. */
function isDrained(members: readonly MemberView[]): boolean {
  const status = leaderOf(members)?.status;
  return status?.mempoolSize === '0' && status.height === status.stateRootHeight;
}
