import type { ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { CONFIG_DEFAULT } from './cluster_flags.ts';
import { CliError, EXIT } from './exit_codes.ts';
import { examples } from './help.ts';
import { onStopSignal } from './stop_signal.ts';
import { traceFileOf } from './trace_file.ts';

const STOP_MS_MAX = 10_000;
const READY_POLL_MS = 500;

interface UpFlags {
  readonly trace?: string;
}

export function registerUp(program: Command): void {
  program
    .command('up')
    .summary('start all members of a cluster on this machine')
    .description(
      'Starts every member as a child process, with their logs on stdout, until Ctrl-C. ' +
        'A member that dies is not started again: that is the matter of whoever supervises ' +
        'processes (systemd, Kubernetes), with `blockraft member`. The others go on, and the ' +
        'exit status is 1 in the end, unless the member ended because it was removed.',
    )
    .argument('[config]', `cluster file (default: ${CONFIG_DEFAULT})`)
    .option(
      '--trace <folder>',
      'append the events of the Raft protocol to member-<id>.ndjson there',
    )
    .addHelpText(
      'after',
      examples([
        ['blockraft init && blockraft up', 'a new cluster in ./cluster'],
        ['blockraft up cluster/cluster.yaml', 'the members of this file'],
      ]),
    )
    .action(async (file: string = CONFIG_DEFAULT, { trace }: UpFlags) => {
      const { loadCluster } = await import('../config/load_cluster.ts');
      const { spawnMember } = await import('../lab/processes.ts');
      const { config } = await loadCluster({ file, environment: process.env });
      const children = new Map<number, ChildProcess>();
      const killAll = (): void => {
        for (const child of children.values()) child.kill('SIGKILL');
      };
      process.once('exit', killAll);
      let stopping = false;
      let failed = false;
      const ended = config.members.map(({ id }) => {
        const child = spawnMember({
          configFile: config.file,
          id,
          nodeArguments: [],
          traceFile: trace && traceFileOf(resolve(trace), id),
          output: 'pipe',
          environment: process.env,
        });
        children.set(id, child);
        prefixLines(child, `${id} | `);
        return exitOf(child).then(({ isClean, how }) => {
          children.delete(id);
          if (stopping) return;
          failed ||= !isClean;
          // A member ends well by itself when it was removed from the cluster, or was told to stop.
          console.error(`blockraft: member ${id} ended (${how}); it is not started again`);
        });
      });
      onStopSignal(() => {
        stopping = true;
        for (const child of children.values()) child.kill('SIGTERM');
        setTimeout(killAll, STOP_MS_MAX).unref();
      });
      // Without a client certificate here the members run all the same; only nobody can ask them.
      tellWhenReady(config, {
        isRunning: (id) => children.has(id),
        isOver: () => stopping || failed || children.size === 0,
      }).catch(() => undefined);
      await Promise.all(ended);
      process.off('exit', killAll);
      if (failed) throw new CliError('failure', 'a member ended by itself; its log says why');
    });
}

/** One line on stderr once every member serves: what a person at the terminal waits for. */
async function tellWhenReady(
  config: Config,
  { isRunning, isOver }: { isRunning: (id: number) => boolean; isOver: () => boolean },
): Promise<void> {
  const { askStatus } = await import('../lab/processes.ts');
  const { apiEndpoints, clientCredentials } = await import('../lab/credentials.ts');
  const credentials = clientCredentials(config);
  while (!isOver()) {
    const endpoints = apiEndpoints(config).filter(({ id }) => isRunning(id));
    const statuses = await Promise.all(
      endpoints.map(({ address }) => askStatus(address, credentials, READY_POLL_MS)),
    );
    if (statuses.every((status) => status?.ready)) {
      const addresses = endpoints.map(({ address }) => address).join(', ');
      console.error(`blockraft: all members are ready, API at ${addresses}`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS).unref());
  }
}

/** Whole lines of both streams, so that members do not mix within one. */
function prefixLines(child: ChildProcess, prefix: string): void {
  for (const [source, target] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    if (source === null) continue;
    createInterface({ input: source }).on('line', (line) => target.write(`${prefix}${line}\n`));
  }
}

/** Resolves once the process is gone and all it wrote was read. */
function exitOf(child: ChildProcess): Promise<{ isClean: boolean; how: string }> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ isClean: false, how: error.message }));
    child.once('close', (code, signal) =>
      resolve({ isClean: code === EXIT.ok, how: signal ?? `exit status ${code}` }),
    );
  });
}
