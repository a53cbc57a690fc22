import { onTestFinished } from 'vitest';
import { AdminServer } from '../../../src/api/admin_server.ts';
import { type Config, recordOf, tlsFiles } from '../../../src/config/config.ts';
import { freePorts } from '../../../src/lab/free_ports.ts';
import { type Logger, systemClock } from '../../../src/lib/environment.ts';
import { MemoryCluster } from '../api/memory_cluster.ts';
import { newCluster } from './cli_fixture.ts';

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export interface OperatedCluster {
  readonly config: Config;
  readonly cluster: MemoryCluster;
  /** Frees the admin port of a member: it does not answer any more. */
  stop(id: number): Promise<void>;
}

/** The real files of three members, and the service Admin of each over a cluster in memory; member 2 leads. */
export async function operatedCluster(
  options: { clusterId?: string } = {},
): Promise<OperatedCluster> {
  const ports = await freePorts(9);
  const { config } = await newCluster({
    template: 'local-3',
    ports: (id) => {
      const [peer = 0, api = 0, admin = 0] = ports.slice(3 * (id - 1));
      return { peer, api, admin };
    },
  });
  const clusterId = options.clusterId ?? config.clusterId;
  const cluster = new MemoryCluster(config.members.map(recordOf), 2);
  const servers = new Map<number, AdminServer>();
  for (const { id, host, ports: own } of config.members) {
    const server = new AdminServer(
      {
        listen: { host, port: own.admin },
        tls: tlsFiles(config, `member-${id}`),
        clusterId: config.clusterId,
      },
      { backend: cluster.backendOf(id, clusterId), logger: SILENT, clock: systemClock },
    );
    await server.start();
    servers.set(id, server);
  }
  const stop = async (id: number): Promise<void> => {
    const server = servers.get(id);
    servers.delete(id);
    await server?.stop();
  };
  onTestFinished(async () => {
    for (const id of [...servers.keys()]) await stop(id);
  });
  return { config, cluster, stop };
}
