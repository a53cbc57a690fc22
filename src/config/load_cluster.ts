import type { Genesis } from '../types/genesis.ts';
import type { Config } from './config.ts';
import { ConfigError, type ConfigProblem } from './config_error.ts';
import { type ConfigOptions, loadConfig } from './load_config.ts';
import { loadGenesis } from './load_genesis.ts';

/** What a message carries beside the transactions in it, at most. */
const MESSAGE_OVERHEAD_BYTES = 16 * 1024;

export interface Cluster {
  readonly config: Config;
  readonly genesis: Genesis;
}

/** Reads the cluster file and its genesis, and checks that they fit together. Throws a ConfigError. */
export async function loadCluster(options: ConfigOptions): Promise<Cluster> {
  const config = await loadConfig(options);
  const genesis = await loadGenesis(config.genesisFile);
  const problems = clusterProblems({ config, genesis });
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({ config, genesis });
}

/** What does not fit between a cluster file and its genesis. */
export function clusterProblems({ config, genesis }: Cluster): ConfigProblem[] {
  const { transactionBytesMax, blockBytesMax } = genesis.parameters;
  const { messageBytesMax } = config.api;
  const { uncommittedBytesMax } = config.raft;
  const problems: ConfigProblem[] = [];
  if (messageBytesMax < transactionBytesMax + MESSAGE_OVERHEAD_BYTES)
    problems.push({
      file: config.file,
      path: 'api.messageBytesMax',
      value: String(messageBytesMax),
      fix: `must be at least ${transactionBytesMax + MESSAGE_OVERHEAD_BYTES}, so that the largest transaction of the genesis fits`,
    });
  if (uncommittedBytesMax < 2 * blockBytesMax)
    problems.push({
      file: config.file,
      path: 'raft.uncommittedBytesMax',
      value: String(uncommittedBytesMax),
      fix: `must be at least ${2 * blockBytesMax}, two blocks of the genesis (blockBytesMax ${blockBytesMax})`,
    });
  return problems;
}
