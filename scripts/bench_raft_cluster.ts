import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Connection } from './bench_raft_client.ts';
import type { OwnProcess } from './bench_raft_process.ts';
import type { StatusResponse } from './bench_raft_wire.ts';

export type SystemName = 'ours' | 'etcd';

/** How a system is started, and where its members answer: everything in which the two differ. */
export interface BenchSystem {
  readonly name: SystemName;
  /** `host:port` of the API of each member. */
  readonly addresses: readonly string[];
  /** Starts the member of this position, with what an earlier process of it has left. */
  launch(position: number): OwnProcess;
}

const START_MS_MAX = 30_000;
const POLL_MS = 20;
/** Linux counts a process's time in hundredths of a second, whatever its kernel's own tick. */
const CPU_TICK_MS = 10;
/** Fields of /proc/<pid>/stat behind the name, which may hold blanks itself: time in user mode and in the kernel. */
const USER_TIME_FIELD = 11;
const KERNEL_TIME_FIELD = 12;
const STATUS_MS_MAX = 500;

/** Three members of one system as child processes of this one. */
export class BenchCluster {
  readonly system: BenchSystem;
  readonly #processes: OwnProcess[];
  readonly #connections: Connection[];
  #isStopped = false;

  constructor(system: BenchSystem) {
    this.system = system;
    this.#processes = system.addresses.map((_address, position) => system.launch(position));
    this.#connections = system.addresses.map((address) => new Connection(address));
  }

  get name(): SystemName {
    return this.system.name;
  }

  /** Whatever fails from now on fails for this reason. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** One to each member, for whatever is not measured. */
  get connections(): readonly Connection[] {
    return this.#connections;
  }

  /** Position of the leader, once all members follow it and hold what it has committed. */
  async leader(): Promise<number> {
    const deadlineMs = performance.now() + START_MS_MAX;
    while (performance.now() < deadlineMs) {
      for (const [position, process] of this.#processes.entries())
        if (!process.isRunning)
          throw new Error(`${this.name}: member ${position + 1} ended: ${process.logTail()}`);
      const leader = leaderOf(await this.statuses());
      if (leader !== undefined) return leader;
      await pause(POLL_MS);
    }
    throw new Error(`${this.name}: the members have agreed on no leader in ${START_MS_MAX} ms`);
  }

  statuses(): Promise<(StatusResponse | undefined)[]> {
    return Promise.all(this.#connections.map((connection) => connection.status(STATUS_MS_MAX)));
  }

  /** Processor time that each member has used so far, in milliseconds; NaN where the system does not tell. */
  cpuMs(): number[] {
    return this.#processes.map(({ pid }) => cpuMsOf(pid));
  }

  /** Takes the processor from all members, so that they do not disturb what else is measured. */
  pause(): void {
    for (const process of this.#processes) process.pause();
  }

  resume(): void {
    for (const process of this.#processes) process.resume();
  }

  kill(position: number): void {
    this.#processes[position]?.kill();
  }

  /** Starts a member that was killed. */
  async restart(position: number): Promise<void> {
    await this.#processes[position]?.exited;
    this.#processes[position] = this.system.launch(position);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const connection of this.#connections) connection.close();
    await Promise.all(this.#processes.map((process) => process.stop()));
  }
}

/** The leader that all members name, when all have applied the same. */
function leaderOf(statuses: readonly (StatusResponse | undefined)[]): number | undefined {
  const leaders = new Set(statuses.map((status) => status?.leader));
  const applied = new Set(statuses.map((status) => status?.raftAppliedIndex));
  if (leaders.size > 1 || applied.size > 1 || leaders.has('0')) return undefined;
  const position = statuses.findIndex(
    (status) => status !== undefined && status.header?.memberId === status.leader,
  );
  return position < 0 ? undefined : position;
}

function cpuMsOf(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return CPU_TICK_MS * (Number(fields[USER_TIME_FIELD]) + Number(fields[KERNEL_TIME_FIELD]));
  } catch {
    return Number.NaN;
  }
}
