import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StartableCluster, startableCluster } from '../../src/cli/startable_cluster.ts';
import { NodeClient } from '../../src/lab/client.ts';
import { ClusterWatch, leaderOf, type MemberView } from '../../src/lab/cluster_watch.ts';
import { systemClock } from '../../src/lib/environment.ts';
import type { TraceFile } from '../spec/check_trace.ts';

/** A cluster of real processes with fresh state, for the tests of one file. */
export interface TestCluster extends StartableCluster {
  readonly folder: string;
  /** Asks any member. */
  readonly client: NodeClient;
  readonly watch: ClusterWatch;
  readonly addresses: readonly string[];
  /** A client of one member alone. */
  clientOf(id: number): NodeClient;
  /** Waits for a member that says it leads and that a majority knows. */
  leader(): Promise<MemberView>;
  /** What traced members have written so far. */
  traces(): Promise<TraceFile[]>;
  /** Ends all processes and removes the folder. */
  stop(): Promise<void>;
}

/** Writes a cluster; `started` also waits until all members serve. */
export async function testCluster(
  template: string,
  options: { readonly started: boolean; readonly traced?: boolean } = { started: true },
): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'blockraft-e2e-'));
  const traceFolder = options.traced ? join(folder, 'traces') : undefined;
  const cluster = await startableCluster(
    { folder, template, traceFolder },
    { clock: systemClock, randomBytes },
  );
  const { processes, credentials } = cluster;
  const addresses = processes.members.map(({ address }) => address);
  const clients: NodeClient[] = [];
  const open = (chosen: readonly string[]): NodeClient => {
    const client = new NodeClient({ addresses: chosen, credentials }, systemClock);
    clients.push(client);
    return client;
  };
  const watch = new ClusterWatch(processes.members, { credentials, clock: systemClock });
  const stop = async (): Promise<void> => {
    for (const client of clients) client.close();
    watch.close();
    await processes.stopAll();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (options.started) {
      processes.startAll();
      await processes.waitReady();
    }
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return {
    ...cluster,
    folder,
    addresses,
    client: open(addresses),
    watch,
    stop,
    traces: () =>
      Promise.all(
        processes.members.map(async ({ id }) => {
          const name = `member-${id}.ndjson`;
          return { name, text: await readFile(join(folder, 'traces', name), 'utf8') };
        }),
      ),
    clientOf: (id) => open(processes.members.filter((m) => m.id === id).map((m) => m.address)),
    leader: async () => {
      const members = await watch.until(
        'a leader that a majority knows',
        (seen) =>
          leaderOf(seen) !== undefined &&
          seen.filter(({ status }) => status?.leaderId === leaderOf(seen)?.id).length * 2 >
            seen.length,
      );
      return leaderOf(members) as MemberView;
    },
  };
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
