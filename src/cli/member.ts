import type { Command } from 'commander';
import { CONFIG_DEFAULT } from './cluster_flags.ts';
import { examples } from './help.ts';
import { wholeNumber } from './workload_flags.ts';

interface MemberFlags {
  readonly config: string;
  readonly id: number;
  readonly exitWithParent?: boolean;
  readonly trace?: string;
}

export function registerMember(program: Command): void {
  program
    .command('member')
    .summary('run one member in the foreground')
    .description(
      'Runs one member of a cluster until SIGTERM or Ctrl-C: what systemd or a container runs. Its log goes to ' +
        'stdout as one JSON object a line. On SIGTERM a leader hands over first. Exit status 0 means that it was ' +
        'told to stop or that the cluster removed it, 2 that the configuration is wrong, 1 that the member could ' +
        'not start or had to stop.\n\n' +
        'BLOCKRAFT_DATA, BLOCKRAFT_SECRETS and BLOCKRAFT_GENESIS replace paths of the cluster file, ' +
        'BLOCKRAFT_PEER_PORT, BLOCKRAFT_API_PORT and BLOCKRAFT_ADMIN_PORT the ports of this member.',
    )
    .requiredOption('--id <number>', 'which member of the cluster file this is', wholeNumber)
    .option('--config <file>', 'cluster file', CONFIG_DEFAULT)
    .option('--exit-with-parent', 'also stop when standard input closes')
    .option(
      '--trace <file>',
      'append the events of the Raft protocol to this file, one JSON object a line',
    )
    .addHelpText(
      'after',
      examples([['blockraft member --config cluster/cluster.yaml --id 1', 'run member 1']]),
    )
    .action(async (flags: MemberFlags) => {
      const { runMember } = await import('./run_member.ts');
      await runMember({ ...flags, environment: process.env });
    });
}
