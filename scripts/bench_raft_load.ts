import { setTimeout as pause } from 'node:timers/promises';
import { Connection } from './bench_raft_client.ts';
import type { BenchCluster } from './bench_raft_cluster.ts';
import type { BenchPairs } from './bench_raft_pairs.ts';
import type { PutBatchResponse } from './bench_raft_wire.ts';

/** One way to write: how many commands are under way at any time, and how they travel. */
export interface LoadMode {
  readonly path: 'unary' | 'streaming';
  readonly inFlight: number;
}

/** What one round of load has measured. */
export interface RoundResult {
  readonly commands: number;
  readonly durationMs: number;
  /** Of each command, in milliseconds. */
  readonly latenciesMs: readonly number[];
  /** Processor time of the leader, and of all members, over all commands that were acknowledged. */
  readonly cpu: {
    readonly leaderMs: number;
    readonly membersMs: number;
    readonly commands: number;
  };
}

/** Connections that the commands in flight are spread over, if there are so many. */
export const CONNECTIONS = 8;
/** Commands in one batch of a stream. */
export const BATCH_COMMANDS = 50;
/** Before measuring starts: connections open, and the machine turns from one system to the other. */
const WARM_UP_MS = 300;
const ATTEMPTS_MAX = 3;

/**
 * Keeps so many commands in flight at the leader, each new one as soon as one is acknowledged. A round in which one
 * fails, because another member has come to lead, is begun again; it still counts as written.
 */
export async function runRound(
  cluster: BenchCluster,
  pairs: BenchPairs,
  mode: LoadMode,
  durationMs: number,
): Promise<RoundResult> {
  for (let attempt = 1; ; attempt += 1) {
    const leader = await cluster.leader();
    const address = cluster.system.addresses[leader] ?? '';
    const cpuBefore = cluster.cpuMs();
    const round = new Round(pairs, durationMs);
    const connections = Array.from(
      { length: Math.min(CONNECTIONS, mode.inFlight) },
      () => new Connection(address),
    );
    if (mode.path === 'unary') await unaryLoad(round, connections, mode.inFlight);
    else await streamingLoad(round, connections, mode.inFlight);
    for (const connection of connections) connection.close();
    const cpuMs = cluster.cpuMs().map((ms, position) => ms - (cpuBefore[position] ?? 0));
    const cpu = {
      leaderMs: cpuMs[leader] ?? 0,
      membersMs: cpuMs.reduce((sum, ms) => sum + ms, 0),
      commands: round.acknowledgedCount,
    };
    if (round.failure === undefined) return { ...round.measured(), cpu };
    if (attempt === ATTEMPTS_MAX || cluster.isStopped)
      throw new Error(`${cluster.name}: ${round.failure}`);
    console.error(`${cluster.name}: a round is begun again: ${round.failure}`);
    await pause(1_000);
  }
}

class Round {
  readonly #pairs: BenchPairs;
  readonly #startMs = performance.now() + WARM_UP_MS;
  readonly #endMs: number;
  readonly #latenciesMs: number[] = [];
  #acknowledgedCount = 0;
  failure: string | undefined;

  constructor(pairs: BenchPairs, durationMs: number) {
    this.#pairs = pairs;
    this.#endMs = this.#startMs + durationMs;
  }

  get isOver(): boolean {
    return this.failure !== undefined || performance.now() >= this.#endMs;
  }

  take(): ReturnType<BenchPairs['take']> {
    return this.#pairs.take();
  }

  acknowledged(number: number, sentMs: number, nowMs: number): void {
    this.#pairs.acknowledge(number);
    this.#acknowledgedCount += 1;
    if (nowMs >= this.#startMs && nowMs < this.#endMs) this.#latenciesMs.push(nowMs - sentMs);
  }

  /** The warm-up's too. */
  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  measured(): Omit<RoundResult, 'cpu'> {
    return {
      commands: this.#latenciesMs.length,
      durationMs: this.#endMs - this.#startMs,
      latenciesMs: this.#latenciesMs,
    };
  }
}

async function unaryLoad(
  round: Round,
  connections: readonly Connection[],
  inFlight: number,
): Promise<void> {
  const loops = Array.from({ length: inFlight }, (_unused, position) => {
    const connection = connections[position % connections.length] as Connection;
    return new Promise<void>((resolve) => {
      const next = (): void => {
        if (round.isOver) {
          resolve();
          return;
        }
        const { number, pair } = round.take();
        const sentMs = performance.now();
        connection.put(pair, (error) => {
          if (error === null) round.acknowledged(number, sentMs, performance.now());
          else round.failure = error.message;
          next();
        });
      };
      next();
    });
  });
  await Promise.all(loops);
}

interface SentBatch {
  readonly numbers: readonly number[];
  readonly sentMs: number;
}

async function streamingLoad(
  round: Round,
  connections: readonly Connection[],
  inFlight: number,
): Promise<void> {
  const batches = Math.max(1, Math.floor(inFlight / BATCH_COMMANDS));
  const size = Math.min(BATCH_COMMANDS, inFlight);
  const streams = connections.slice(0, batches).map(
    (connection, position, { length }) =>
      new Promise<void>((resolve) => {
        const share = Math.floor(batches / length) + (position < batches % length ? 1 : 0);
        runStream(round, connection, { batches: share, size }, resolve);
      }),
  );
  await Promise.all(streams);
}

function runStream(
  round: Round,
  connection: Connection,
  { batches, size }: { batches: number; size: number },
  ended: () => void,
): void {
  const call = connection.putBatches();
  const sent: SentBatch[] = [];
  let lastId = 0;
  const send = (): void => {
    const taken = Array.from({ length: size }, () => round.take());
    lastId += 1;
    sent.push({ numbers: taken.map(({ number }) => number), sentMs: performance.now() });
    call.write({ id: lastId, pairs: taken.map(({ pair }) => pair) });
  };
  call.on('data', ({ refusal }: PutBatchResponse) => {
    const batch = sent.shift();
    const nowMs = performance.now();
    if (refusal !== '') round.failure = refusal;
    else
      for (const number of batch?.numbers ?? [])
        round.acknowledged(number, batch?.sentMs ?? 0, nowMs);
    if (!round.isOver) send();
    else if (sent.length === 0) call.end();
  });
  call.on('error', (error) => {
    round.failure ??= error.message;
  });
  call.on('close', ended);
  call.on('status', ended);
  for (let count = 0; count < batches; count += 1) send();
}
