import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import type { Signer } from '../lab/signer.ts';
import { systemClock } from '../lib/environment.ts';
import {
  type ClusterFlags,
  cliErrorFrom,
  clusterAccess,
  printJson,
  withClusterFlags,
} from './cluster_flags.ts';
import { CliError, EXIT } from './exit_codes.ts';
import { examples } from './help.ts';
import { onStopSignal } from './stop_signal.ts';
import { readKey } from './submit.ts';
import { grouped } from './table.ts';
import { type WorkloadFlags, withWorkloadFlags, workloadOf } from './workload_flags.ts';

interface Flags extends ClusterFlags, WorkloadFlags {
  readonly fromKeyFile?: string;
  readonly json?: boolean;
}

const TRANSACTIONS_DEFAULT = 10_000;

export function registerWorkload(program: Command): void {
  const command = program
    .command('workload')
    .summary('run a published or generated workload against a cluster')
    .description(
      'Creates the contract, funds signers, runs the set-up, submits the transactions to all members as ' +
        'fast as they are acknowledged, waits until all are in blocks, and compares the contract with an ' +
        'independent replay in block order. The cluster may be in use by others meanwhile.',
    )
    .argument('[file]', 'a published workload; its setup.txt is run first when it lies beside it');
  withWorkloadFlags(withClusterFlags(command), TRANSACTIONS_DEFAULT)
    .option('--from-key-file <file>', 'who pays (default: dev account 0 of `init --dev-accounts`)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft workload --generate wallet -n 5000 --conflict 20', 'generated'],
        ['blockraft workload workloads/wallet/4000-3.txt', 'a published one'],
      ]),
    )
    .action(async (file: string | undefined, flags: Flags) => {
      const workload = await workloadOf(file === undefined ? flags : { ...flags, workload: file });
      const { runWorkload } = await import('../lab/workload_run.ts');
      const { members, credentials } = await clusterAccess(flags);
      const interrupted = new AbortController();
      const undo = onStopSignal(() =>
        interrupted.abort(new CliError('failure', 'interrupted before the end')),
      );
      try {
        const result = await runWorkload(
          {
            addresses: members.map(({ address }) => address),
            credentials,
            workload,
            funder: await funderOf(flags.fromKeyFile),
            // Keys of signers must be new to the chain, also when the same workload runs again.
            seed: randomBytes(8).toString('hex'),
          },
          { clock: systemClock, signal: interrupted.signal },
        );
        if (result.differences.length > 0 || result.missing > 0) process.exitCode = EXIT.failure;
        if (flags.json) return printJson({ workload: workload.name, ...result });
        console.log(`workload      ${workload.name}`);
        console.log(`sent          ${grouped(result.sent)}`);
        console.log(`acknowledged  ${grouped(result.acknowledged)}`);
        console.log(`refused       ${grouped(result.refused)}`);
        console.log(`not in blocks ${grouped(result.missing)}`);
        console.log(`throughput    ${grouped(result.throughputPerSecond)}/s, in blocks`);
        console.log(
          `acknowledged after ${result.latencyMsMedian.toFixed(1)} ms (median), ${result.latencyMs99.toFixed(1)} ms (99 %)`,
        );
        for (const difference of result.differences) console.log(`WRONG: ${difference}`);
        if (result.differences.length === 0)
          console.log(`state         ${result.compared} values as in an independent replay`);
      } catch (thrown) {
        throw cliErrorFrom(thrown);
      } finally {
        undo();
      }
    });
}

async function funderOf(keyFile: string | undefined): Promise<Signer> {
  const { addressOf } = await import('../crypto/transaction.ts');
  const { fromHex } = await import('../lib/bytes.ts');
  const { makeDevAccounts } = await import('./init_cluster.ts');
  const secretKey =
    keyFile === undefined
      ? (fromHex(makeDevAccounts(1)[0]?.privateKey ?? '') ?? new Uint8Array(0))
      : readKey(keyFile);
  return { address: addressOf(secretKey), secretKey, nextNonce: 0n };
}
