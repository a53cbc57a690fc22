import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import { CodedError, errorText } from '../lib/error.ts';
import { pause } from './client.ts';
import { MemberConnection, type StatusMessage } from './node_service.ts';

/** EXITED: a member ended by itself; NOT_READY: it did not become ready in time. */
export class ProcessError extends CodedError<'EXITED' | 'NOT_READY'> {}

export interface ClusterProcessesOptions {
  /** The cluster file that every member is started with. */
  readonly configFile: string;
  readonly members: readonly MemberEndpoint[];
  readonly credentials: ChannelCredentials;
  /** Where `member-<id>.log` is appended to; created when absent. */
  readonly logsFolder: string;
  /** Arguments of node itself, before the program. */
  readonly nodeArguments?: readonly string[];
  /** Where a member's trace is appended to; none by default. */
  readonly traceFile?: ((id: number) => string) | undefined;
}

export interface MemberEndpoint {
  readonly id: number;
  /** `host:port` of its service Node. */
  readonly address: string;
}

const ENTRY = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 10_000;
const POLL_INTERVAL_MS = 50;
const STATUS_MS_MAX = 1_000;
const LOG_TAIL_LINES = 5;

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

/**
 * The members of one cluster as child processes of this one. They outlive neither `stopAll` nor this
 * process: each holds the read end of a pipe and ends when it closes, even after a SIGKILL here.
 */
export class ClusterProcesses {
  readonly #options: ClusterProcessesOptions;
  readonly #clock: Clock;
  readonly #running = new Map<number, Running>();
  readonly #killAtExit = (): void => {
    for (const { child } of this.#running.values()) child.kill('SIGKILL');
  };

  constructor(options: ClusterProcessesOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get members(): readonly MemberEndpoint[] {
    return this.#options.members;
  }

  /** Undefined while the member does not run. */
  pidOf(id: number): number | undefined {
    return this.#running.get(id)?.child.pid;
  }

  logFile(id: number): string {
    return join(this.#options.logsFolder, `member-${id}.log`);
  }

  /** Starts a member that does not run; `waitReady` tells when it serves. */
  start(id: number): void {
    if (this.#running.has(id)) return;
    if (this.#running.size === 0) process.on('exit', this.#killAtExit);
    const child = spawnMember({
      configFile: this.#options.configFile,
      id,
      nodeArguments: this.#options.nodeArguments ?? [],
      traceFile: this.#options.traceFile?.(id),
      output: this.#openLog(id),
      environment: withoutOverrides(process.env),
    });
    const exited = new Promise<void>((resolve) => {
      const ended = (): void => {
        this.#running.delete(id);
        if (this.#running.size === 0) process.off('exit', this.#killAtExit);
        resolve();
      };
      child.once('exit', ended);
      child.once('error', ended);
    });
    this.#running.set(id, { child, exited });
  }

  startAll(): void {
    for (const { id } of this.members) this.start(id);
  }

  /**
   * Resolves when these members (all, by default) are caught up and serve. Rejects with EXITED as soon
   * as one ends, and with NOT_READY after a minute.
   */
  async waitReady(ids: readonly number[] = this.members.map(({ id }) => id)): Promise<void> {
    const giveUpAtMs = this.#clock.monotonicMs() + READY_MS_MAX;
    const waiting = new Set(ids);
    while (waiting.size > 0) {
      for (const id of waiting) {
        if (!this.#running.has(id)) throw this.#failure('EXITED', id, 'ended before it was ready');
        if ((await this.status(id))?.ready === true) waiting.delete(id);
        else if (this.#clock.monotonicMs() > giveUpAtMs)
          throw this.#failure('NOT_READY', id, `was not ready after ${READY_MS_MAX} ms`);
      }
      if (waiting.size > 0) await pause(this.#clock, POLL_INTERVAL_MS);
    }
  }

  /** What a member says of itself; undefined when it does not answer within a second. */
  status(id: number): Promise<StatusMessage | undefined> {
    const address = this.members.find((member) => member.id === id)?.address;
    return address === undefined
      ? Promise.resolve(undefined)
      : askStatus(address, this.#options.credentials, STATUS_MS_MAX);
  }

  /** Sends a signal; after SIGKILL and SIGTERM resolves once the process is gone. */
  async kill(id: number, signal: NodeJS.Signals): Promise<void> {
    const running = this.#running.get(id);
    if (running === undefined) return;
    running.child.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await running.exited;
  }

  /** SIGTERM to all; what is still there after ten seconds gets SIGKILL. */
  async stopAll(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { child } of running) {
      // A paused process takes its SIGTERM only once it goes on.
      child.kill('SIGCONT');
      child.kill('SIGTERM');
    }
    const cancel = this.#clock.schedule(STOP_MS_MAX, () => {
      for (const { child } of running) child.kill('SIGKILL');
    });
    await Promise.all(running.map(({ exited }) => exited));
    cancel();
  }

  /** The last lines that a member wrote; empty when there are none. */
  logTail(id: number): string {
    try {
      const lines = readFileSync(this.logFile(id), 'utf8').trimEnd().split('\n');
      return lines.slice(-LOG_TAIL_LINES).join('\n');
    } catch (thrown) {
      return `no log: ${errorText(thrown)}`;
    }
  }

  #openLog(id: number): number {
    mkdirSync(this.#options.logsFolder, { recursive: true });
    return openSync(this.logFile(id), 'a');
  }

  #failure(code: 'EXITED' | 'NOT_READY', id: number, what: string): ProcessError {
    return new ProcessError(
      code,
      `member ${id} ${what}; its log ${this.logFile(id)} ends with:\n${this.logTail(id)}`,
      { fields: { memberId: id } },
    );
  }
}

/** How a member is started. */
export interface MemberStart {
  readonly configFile: string;
  readonly id: number;
  readonly nodeArguments: readonly string[];
  /** Takes the events of its Raft protocol. */
  readonly traceFile?: string | undefined;
  /** A file descriptor, which is closed here, or `pipe`. */
  readonly output: number | 'pipe';
  readonly environment: NodeJS.ProcessEnv;
}

const OVERRIDE_PREFIX = 'BLOCKRAFT_';

/** Members of a lab have what their cluster file says and nothing else. */
function withoutOverrides(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith(OVERRIDE_PREFIX)),
  );
}

/**
 * Starts `blockraft member` under this very node. It is no part of the terminal's process group, so that
 * Ctrl-C reaches only whoever started it, who stops it in order.
 */
export function spawnMember(start: MemberStart): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      ...start.nodeArguments,
      ENTRY,
      'member',
      '--config',
      start.configFile,
      '--id',
      String(start.id),
      '--exit-with-parent',
      ...(start.traceFile === undefined ? [] : ['--trace', start.traceFile]),
    ],
    {
      stdio: ['pipe', start.output, start.output],
      detached: true,
      env: start.environment,
    },
  );
  if (typeof start.output === 'number') closeSync(start.output);
  // A member that dies closes its end: nothing is ever written, so there is nothing to report.
  child.stdin?.on('error', () => undefined);
  return child;
}

/** What the member at an address says of itself; undefined when it does not answer in time. */
export async function askStatus(
  address: string,
  credentials: ChannelCredentials,
  deadlineMs: number,
): Promise<StatusMessage | undefined> {
  const connection = new MemberConnection(address, credentials);
  try {
    return await connection.call('GetStatus', {}, deadlineMs);
  } catch {
    return undefined;
  } finally {
    connection.close();
  }
}
