import { randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Config } from '../config/config.ts';
import { isLoopbackHost } from '../lib/host.ts';
import { examples } from './help.ts';

interface Flags {
  readonly directory: string;
  readonly members?: number;
  readonly chainId?: bigint;
  readonly fund: readonly string[];
  readonly devAccounts?: number;
  readonly rewardAddress?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerInit(program: Command): void {
  program
    .command('init')
    .summary('write a new cluster: configuration, genesis, keys, certificates')
    .description(
      'Writes everything that a new cluster needs into an empty folder: cluster.yaml, genesis.yaml, ' +
        "the validator's key and the certificates of members, operator and client.",
    )
    .argument(
      '[template]',
      'solo, local-3, local-5, local-7, three-machines, or a cluster file (default: local-3)',
    )
    .option('-d, --directory <dir>', 'folder to write into; made when missing', 'cluster')
    .option(
      '-m, --members <n>',
      '1, 3, 5 or 7 members on this machine, instead of a template',
      count,
    )
    .option('--chain-id <n>', 'EIP-155 chain id (default: 1337)', chainId)
    .option('--fund <address...>', 'give these accounts a million ether each', [])
    .option('--dev-accounts <n>', 'make funded accounts with publicly known keys, for tests', count)
    .option('--reward-address <address>', "where fees go (default: the validator's own address)")
    .option('--force', 'write into a folder that is not empty; no file is ever replaced')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft init', 'three members on this machine, in ./cluster'],
        ['blockraft init solo -d one --dev-accounts 3', 'one member, with accounts to play with'],
        ['blockraft init my-cluster.yaml --chain-id 4242', 'from a cluster file of your own'],
      ]),
    )
    .action(async (template: string | undefined, flags: Flags) => {
      const { initCluster } = await import('./init_cluster.ts');
      const result = await initCluster(
        {
          directory: flags.directory,
          template,
          memberCount: flags.members,
          chainId: flags.chainId,
          fund: flags.fund,
          devAccountCount: flags.devAccounts,
          rewardAddress: flags.rewardAddress,
          force: flags.force,
        },
        { nowMs: Date.now, randomBytes },
      );
      const { config, devAccounts, chainId, ...paths } = result;
      const members = config.members.map(({ id, host, ports }) => ({ id, host, ...ports }));
      if (flags.json) {
        const addresses = devAccounts.map(({ address }) => address);
        const { clusterId } = config;
        const report = { clusterId, chainId: chainId.toString(), members, ...paths };
        console.log(JSON.stringify({ ...report, devAccounts: addresses }, null, 2));
        return;
      }
      console.log(`cluster ${config.clusterId}, chain ${chainId}, in ${flags.directory}:`);
      for (const { id, host, peer, api, admin } of members)
        console.log(`  member ${id}   ${host}   peer ${peer}, api ${api}, admin ${admin}`);
      console.log(`  cluster file   ${shown(paths.clusterFile)}`);
      console.log(`  genesis        ${shown(paths.genesisFile)}`);
      console.log(`  secrets        ${shown(paths.secretsFolder)}`);
      console.log(`  validator      ${paths.validatorAddress}`);
      for (const { address } of devAccounts) console.log(`  dev account    ${address}`);
      for (const note of paths.notes) console.log(`note: ${note}`);
      console.log(`next: ${nextCommand(config, shown(paths.clusterFile))}`);
    });
}

/** Members on this machine start together; others are each started on their own. */
function nextCommand(config: Config, file: string): string {
  return config.members.every(({ host }) => isLoopbackHost(host))
    ? `npx blockraft up ${file}`
    : `on each machine, with its id: node_modules/.bin/node src/cli/main.ts member --config ${file} --id ${config.members[0]?.id}`;
}

/** Paths as the user would type them. */
function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

function count(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError('give a whole number.');
  return Number(text);
}

function chainId(text: string): bigint {
  if (!/^[1-9][0-9]{0,18}$/.test(text)) throw new InvalidArgumentError('give a whole number.');
  return BigInt(text);
}
