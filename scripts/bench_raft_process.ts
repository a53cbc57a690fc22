import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { errorText } from '../src/lib/error.ts';

const STOP_MS_MAX = 5_000;
const LOG_TAIL_LINES = 5;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * A child of the benchmark that does not outlive it. It is no part of the terminal's process group: Ctrl-C reaches
 * only the benchmark, which stops it in order.
 */
export class OwnProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly exited: Promise<void>;

  /** What it writes goes to the end of the file. */
  constructor(command: string, commandArguments: readonly string[], logFile: string) {
    const output = openSync(logFile, 'a');
    const child = spawn(command, commandArguments, {
      stdio: ['pipe', output, output],
      detached: true,
    });
    closeSync(output);
    child.stdin?.on('error', () => undefined);
    running.add(child);
    this.exited = new Promise((resolve) => {
      const ended = (): void => {
        running.delete(child);
        resolve();
      };
      child.once('exit', ended);
      child.once('error', ended);
    });
    this.#child = child;
    this.#logFile = logFile;
  }

  get isRunning(): boolean {
    return running.has(this.#child);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** At once; it may be gone only a moment later. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Takes the processor from it, until `resume`. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Asks it to end, ends it if it does not, and resolves when it is gone. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill('SIGTERM');
    // A paused process takes its SIGTERM only once it goes on.
    this.resume();
    const timer = setTimeout(() => this.kill(), STOP_MS_MAX);
    await this.exited;
    clearTimeout(timer);
  }

  /** The last lines that it wrote. */
  logTail(): string {
    try {
      const lines = readFileSync(this.#logFile, 'utf8').trimEnd().split('\n');
      return lines.slice(-LOG_TAIL_LINES).join('\n');
    } catch (thrown) {
      return `no log: ${errorText(thrown)}`;
    }
  }
}
