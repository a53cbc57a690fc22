import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type ConfigProblem } from './config_error.ts';
import type { ConfigKind } from './json_schema.ts';
import { clusterProblems } from './load_cluster.ts';
import { type ConfigOptions, loadConfig } from './load_config.ts';
import { GENESIS_FILE_BYTES_MAX, loadGenesis } from './load_genesis.ts';
import { readYamlFile } from './yaml_source.ts';

export interface FileCheck {
  readonly kind: ConfigKind;
  readonly problems: readonly ConfigProblem[];
  /** What is not there yet, as sentences: no fault of the file. */
  readonly warnings: readonly string[];
}

/** Checks a cluster file with the genesis that it names, or a genesis file by itself; never throws a ConfigError. */
export async function checkFile(options: ConfigOptions): Promise<FileCheck> {
  const kind = await kindOf(options.file);
  const warnings: string[] = [];
  try {
    const problems =
      kind === 'cluster' ? await checkCluster(options, warnings) : await checkGenesis(options.file);
    return { kind, problems, warnings };
  } catch (thrown) {
    if (thrown instanceof ConfigError) return { kind, problems: thrown.problems, warnings };
    throw thrown;
  }
}

async function checkCluster(options: ConfigOptions, warnings: string[]): Promise<ConfigProblem[]> {
  const config = await loadConfig(options);
  if (!existsSync(join(config.secretsFolder, 'tls')))
    warnings.push(`${config.secretsFolder} holds no keys yet; "blockraft init" makes them`);
  if (!existsSync(config.genesisFile)) {
    warnings.push(`${config.genesisFile} is not there yet; "blockraft init" makes it`);
    return [];
  }
  return clusterProblems({ config, genesis: await loadGenesis(config.genesisFile) });
}

async function checkGenesis(file: string): Promise<ConfigProblem[]> {
  await loadGenesis(file);
  return [];
}

/** A file that has a chain id and no members is a genesis. */
async function kindOf(file: string): Promise<ConfigKind> {
  try {
    const { data } = await readYamlFile(file, GENESIS_FILE_BYTES_MAX);
    const isMap = typeof data === 'object' && data !== null;
    return isMap && 'chainId' in data && !('members' in data) ? 'genesis' : 'cluster';
  } catch {
    // Reading it as a cluster will say what is wrong.
    return 'cluster';
  }
}
