import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import type { DemoResult, Victim } from '../lab/demo.ts';
import type { ClusterProcesses } from '../lab/processes.ts';
import type { Workload } from '../lab/workload_operation.ts';
import { systemClock } from '../lib/environment.ts';
import { cliErrorFrom } from './cluster_flags.ts';
import { CliError, EXIT, exitCodeOf } from './exit_codes.ts';
import { examples } from './help.ts';
import { onStopSignal } from './stop_signal.ts';
import { type WorkloadFlags, withWorkloadFlags, workloadOf } from './workload_flags.ts';

interface Flags extends WorkloadFlags {
  readonly config?: string;
  readonly kill: Victim;
  readonly exit?: boolean;
  readonly report?: string;
}

const TRANSACTIONS_DEFAULT = 10_000;

export function registerDemo(program: Command): void {
  const command = program
    .command('demo')
    .summary('bring up a cluster, kill its leader under load, audit what is left')
    .description(
      'Starts a cluster with fresh state in a temporary folder, submits a workload to all members, kills ' +
        'one with SIGKILL half-way, starts it again, waits until it has caught up, and audits from outside: ' +
        'nothing acknowledged is lost or doubled, contract and accounts are what a replay gives, all members ' +
        'have one root, the chain links. Then it stays up until Ctrl-C.',
    )
    .addOption(
      new Option('--kill <whom>', 'whom to kill half-way')
        .choices(['none', 'leader', 'follower'])
        .default('leader'),
    )
    .option('--config <file>', 'cluster file or template to start from; ports are chosen anew')
    .option('--workload <file>', 'a published workload instead of a generated one')
    .option('--exit', 'end after the audit, with status 0 only if it holds')
    .option('--report <file>', 'write the figures as one JSON object');
  withWorkloadFlags(command, TRANSACTIONS_DEFAULT)
    .addHelpText(
      'after',
      examples([
        ['blockraft demo', 'three members, the leader is killed'],
        ['blockraft demo --exit --report report.json', 'for scripts'],
        [
          'blockraft demo --kill none --workload workloads/wallet/4000-3.txt',
          'a published workload',
        ],
      ]),
    )
    .action(async (flags: Flags) => {
      const workload = await workloadOf(flags);
      requireReportFolder(flags.report);
      const stop = new AbortController();
      const undo = onStopSignal(() =>
        stop.abort(new CliError('failure', 'interrupted before the audit')),
      );
      const folder = await mkdtemp(join(tmpdir(), 'blockraft-demo-'));
      let keep = false;
      try {
        keep = !(await runIn(folder, { workload, flags, signal: stop.signal }));
        if (keep) process.exitCode = EXIT.failure;
      } catch (thrown) {
        // What was asked for wrongly has left nothing to look at.
        keep = !stop.signal.aborted && exitCodeOf(thrown) !== EXIT.usage;
        throw cliErrorFrom(stop.signal.aborted ? stop.signal.reason : thrown);
      } finally {
        undo();
        if (keep) console.error(`data and logs of the members are kept in ${folder}`);
        else await rm(folder, { recursive: true, force: true });
      }
    });
}

/** Returns whether the audit holds. Members are gone when it resolves. */
async function runIn(
  folder: string,
  run: { workload: Workload; flags: Flags; signal: AbortSignal },
): Promise<boolean> {
  const { flags, workload, signal } = run;
  const { DemoView, verdictText } = await import('./demo_view.ts');
  const { startableCluster } = await import('./startable_cluster.ts');
  const { Demo } = await import('../lab/demo.ts');
  const { processes, credentials, genesis, funder } = await startableCluster(
    { folder, template: flags.config },
    { clock: systemClock, randomBytes },
  );
  if (flags.kill === 'follower' && processes.members.length === 1)
    throw new CliError('usage', 'one member alone leads: there is no follower to kill');
  console.log(`workload: ${workload.name}`);
  // Whatever the demonstration waits for then fails at once.
  signal.addEventListener('abort', () => void processes.stopAll());
  const view = new DemoView(process.stdout, systemClock.monotonicMs);
  try {
    const demo = new Demo(
      {
        processes,
        credentials,
        genesis,
        workload,
        funder,
        victim: flags.kill,
        seed: String(flags.seed),
      },
      { clock: systemClock, onProgress: (progress) => view.show(progress), signal },
    );
    const result = await demo.run();
    view.end();
    console.log(verdictText(result));
    if (flags.report !== undefined) await writeReport(flags.report, result);
    if (!flags.exit) await stayUp(processes, signal);
    return result.audit.holds;
  } finally {
    await processes.stopAll();
  }
}

/** Nobody should wait for a demonstration to learn this. */
function requireReportFolder(report: string | undefined): void {
  if (report !== undefined && !existsSync(dirname(report)))
    throw new CliError('usage', `there is no folder ${dirname(report)} for the report`);
}

async function writeReport(file: string, { report }: DemoResult): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

async function stayUp(processes: ClusterProcesses, signal: AbortSignal): Promise<void> {
  console.log('\nThe cluster stays up. Its API (gRPC, blockraft.v1.Node):');
  for (const { id, address } of processes.members)
    console.log(
      `  member ${id}  ${address}  pid ${processes.pidOf(id)}  log ${processes.logFile(id)}`,
    );
  const addresses = processes.members.map(({ address }) => address).join(' ');
  console.log(`  npx blockraft status --address ${addresses}`);
  console.log('Ctrl-C stops it and removes its data.');
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
