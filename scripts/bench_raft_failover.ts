import { setTimeout as pause } from 'node:timers/promises';
import { Connection } from './bench_raft_client.ts';
import type { BenchCluster } from './bench_raft_cluster.ts';
import type { BenchPairs } from './bench_raft_pairs.ts';

/** A new attempt goes to every member this often, whatever becomes of the earlier ones. */
const ATTEMPT_INTERVAL_MS = 5;
const ATTEMPT_MS_MAX = 10_000;
/** Attempts under way at one member; more wait for these. */
const ATTEMPTS_MAX = 512;
/** Quiet time before each kill, so that the cluster has settled after the last. */
const SETTLE_MS = 500;
const LEAD_IN_MS = 100;
const COMMIT_MS_MAX = 30_000;

/**
 * Kills the leader so many times with SIGKILL and starts it again each time; milliseconds from each kill to the
 * first acknowledgement of a command that was sent after it.
 */
export async function measureFailovers(
  cluster: BenchCluster,
  pairs: BenchPairs,
  kills: number,
): Promise<number[]> {
  const timesMs: number[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    await cluster.leader();
    await pause(SETTLE_MS);
    const leader = await cluster.leader();
    timesMs.push(await measureFailover(cluster, pairs, leader));
    await cluster.restart(leader);
  }
  await cluster.leader();
  return timesMs;
}

async function measureFailover(
  cluster: BenchCluster,
  pairs: BenchPairs,
  leader: number,
): Promise<number> {
  const connections = cluster.system.addresses.map((address) => new Connection(address));
  const prober = new Prober(connections, pairs);
  try {
    await pause(LEAD_IN_MS);
    const killedAtMs = performance.now();
    cluster.kill(leader);
    return (await prober.firstCommit(killedAtMs)) - killedAtMs;
  } finally {
    prober.stop();
    for (const connection of connections) connection.close();
  }
}

/**
 * A client in a hurry: it asks every member again and again. What is sent to a member that waits for a leader
 * itself is answered when there is one; what is refused, or lost with the leader, was not the only attempt.
 */
class Prober {
  readonly #connections: readonly Connection[];
  readonly #pairs: BenchPairs;
  readonly #underWay: number[];
  readonly #timer: NodeJS.Timeout;
  #committed: ((sentMs: number) => void) | undefined;

  constructor(connections: readonly Connection[], pairs: BenchPairs) {
    this.#connections = connections;
    this.#pairs = pairs;
    this.#underWay = connections.map(() => 0);
    this.#timer = setInterval(() => this.#attempt(), ATTEMPT_INTERVAL_MS);
  }

  /** When a command that was sent after this moment is first acknowledged. */
  firstCommit(afterMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`nothing was committed within ${COMMIT_MS_MAX} ms of a kill`)),
        COMMIT_MS_MAX,
      );
      this.#committed = (sentMs) => {
        if (sentMs <= afterMs) return;
        clearTimeout(timer);
        resolve(performance.now());
      };
      this.#attempt();
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #attempt(): void {
    for (const [position, connection] of this.#connections.entries()) {
      const underWay = this.#underWay[position] ?? 0;
      if (underWay >= ATTEMPTS_MAX) continue;
      this.#underWay[position] = underWay + 1;
      const { number, pair } = this.#pairs.take();
      const sentMs = performance.now();
      connection.put(
        pair,
        (error) => {
          this.#underWay[position] = (this.#underWay[position] ?? 1) - 1;
          if (error !== null) return;
          this.#pairs.acknowledge(number);
          this.#committed?.(sentMs);
        },
        ATTEMPT_MS_MAX,
      );
    }
  }
}
