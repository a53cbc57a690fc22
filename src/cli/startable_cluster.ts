import { join } from 'node:path';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { loadCluster } from '../config/load_cluster.ts';
import { addressOf } from '../crypto/transaction.ts';
import { apiEndpoints, clientCredentials } from '../lab/credentials.ts';
import { freePorts } from '../lab/free_ports.ts';
import { ClusterProcesses } from '../lab/processes.ts';
import type { Signer } from '../lab/signer.ts';
import { assert } from '../lib/assert.ts';
import { fromHex } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import type { Genesis } from '../types/genesis.ts';
import { type InitDependencies, initCluster } from './init_cluster.ts';
import { traceFileOf } from './trace_file.ts';

export interface StartableOptions {
  /** The cluster is written into `cluster/` of it, logs into `logs/`. */
  readonly folder: string;
  /** As of `blockraft init`; by default local-3. */
  readonly template?: string | undefined;
  readonly nodeArguments?: readonly string[];
  /** Members write their traces there. */
  readonly traceFolder?: string | undefined;
}

/** A fresh cluster on free ports that only has to be started. */
export interface StartableCluster {
  readonly configFile: string;
  readonly processes: ClusterProcesses;
  readonly credentials: ChannelCredentials;
  readonly genesis: Genesis;
  /** Has a million ether. */
  readonly funder: Signer;
}

const PORTS_PER_MEMBER = 3;
const MEMBERS_MAX = 7;

/** Writes a new cluster whose members are not started yet. Throws a CliError or a ConfigError. */
export async function startableCluster(
  options: StartableOptions,
  dependencies: { clock: Clock; randomBytes: InitDependencies['randomBytes'] },
): Promise<StartableCluster> {
  const { clock, randomBytes } = dependencies;
  const { traceFolder } = options;
  const ports = await freePorts(PORTS_PER_MEMBER * MEMBERS_MAX);
  const placeOf = new Map<number, number>();
  const { clusterFile, devAccounts } = await initCluster(
    {
      directory: join(options.folder, 'cluster'),
      template: options.template,
      // Fresh state, wherever the template keeps its own.
      data: 'data',
      devAccountCount: 1,
      ports: (id) => {
        const place = placeOf.get(id) ?? placeOf.size;
        placeOf.set(id, place);
        const [peer = 0, api = 0, admin = 0] = ports.slice(place * PORTS_PER_MEMBER);
        return { peer, api, admin };
      },
    },
    { nowMs: clock.wallMs, randomBytes },
  );
  const { config, genesis } = await loadCluster({ file: clusterFile, environment: {} });
  const credentials = clientCredentials(config);
  const secretKey = fromHex(devAccounts[0]?.privateKey ?? '');
  assert(secretKey !== undefined, 'a dev account was asked for');
  return {
    configFile: clusterFile,
    credentials,
    genesis,
    funder: { address: addressOf(secretKey), secretKey, nextNonce: 0n },
    processes: new ClusterProcesses(
      {
        configFile: clusterFile,
        members: apiEndpoints(config),
        credentials,
        logsFolder: join(options.folder, 'logs'),
        nodeArguments: options.nodeArguments ?? [],
        traceFile: traceFolder === undefined ? undefined : (id) => traceFileOf(traceFolder, id),
      },
      clock,
    ),
  };
}
