import { join } from 'node:path';
import { MemberTransport } from '../src/cluster/member_transport.ts';
import { clusterSchema } from '../src/config/cluster_schema.ts';
import { Compaction } from '../src/driver/compaction.ts';
import { RaftDriver } from '../src/driver/raft_driver.ts';
import { type Logger, systemClock } from '../src/lib/environment.ts';
import { errorText } from '../src/lib/error.ts';
import type { TlsFiles } from '../src/lib/tls_files.ts';
import { decodeMessage, encodeMessage } from '../src/raft/message_codec.ts';
import { Raft } from '../src/raft/raft.ts';
import { Database } from '../src/storage/database.ts';
import {
  type Configuration,
  initialConfiguration,
  PRIORITY_DEFAULT,
} from '../src/types/configuration.ts';
import { nodeFileSystem } from '../src/wal/node_file_system.ts';
import { Wal } from '../src/wal/wal.ts';
import { startService } from './bench_raft_service.ts';
import { PairStore } from './bench_raft_store.ts';
import { WaitingProposals } from './bench_raft_waiting.ts';

/** How a member of ours is started: JSON, the first argument of this program. */
export interface BenchMemberOptions {
  readonly id: number;
  readonly folder: string;
  readonly clusterId: string;
  readonly tls: TlsFiles;
  /** Of the API, in plaintext on the loopback address. */
  readonly port: number;
  /** All members with their ports for each other. */
  readonly members: readonly { readonly id: number; readonly peerPort: number }[];
}

const HOST = '127.0.0.1';
/** The benchmark has no genesis; members want to know that they have the same. */
const GENESIS_HASH = new Uint8Array(32);

const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, event) => console.error(event, JSON.stringify(fields)),
  error: (fields, event) => console.error(event, JSON.stringify(fields)),
};

/**
 * One member of the product without its chain: the same core, driver, log, transport and database with the
 * product's defaults, around a state machine of pairs.
 */
async function run(options: BenchMemberOptions): Promise<void> {
  const raftOptions = clusterSchema.shape.raft.parse(undefined);
  const proposals = new WaitingProposals();
  const database = await Database.open({ directory: join(options.folder, 'state') });
  const store = await PairStore.open(database, (entries) => proposals.applied(entries));
  const { id, clusterId } = options;
  const walOptions = clusterSchema.shape.wal.parse(undefined);
  const wal = await Wal.open(
    {
      directory: join(options.folder, 'log'),
      identity: { clusterId, memberId: id },
      ...walOptions,
    },
    { fileSystem: nodeFileSystem, logger },
  );
  const { tickMs, heartbeatMs, electionTimeoutMs } = raftOptions;
  const raft = new Raft(
    {
      id,
      configuration: { index: 0, configuration: configurationOf(options) },
      electionTicks: Math.round(electionTimeoutMs / tickMs),
      heartbeatTicks: Math.round(heartbeatMs / tickMs),
      maxAppendBytes: raftOptions.appendBytesMax,
      maxInflightAppends: raftOptions.inflightAppendsMax,
      maxUncommittedBytes: raftOptions.uncommittedBytesMax,
      hardState: wal.hardState,
      applied: store.appliedIndex,
    },
    { log: wal, random: Math.random },
  );
  const transport = makeTransport(options);
  const compaction = new Compaction(walOptions, {
    log: wal,
    database,
    demands: () => ({
      appliedIndex: store.appliedIndex,
      pinnedIndex: undefined,
      followers: driver.status().peers.map(({ match }) => match),
    }),
    logger,
    onFatal: fail,
  });
  const driver: RaftDriver = new RaftDriver(
    { tickMs, applied: store.appliedIndex },
    {
      raft,
      log: wal,
      stateMachine: {
        apply: async (entries) => {
          const applied = await store.apply(entries);
          compaction.check();
          return applied;
        },
      },
      clock: systemClock,
      defer: setImmediate,
      send: (message) => {
        const channel = message.type === 'append' ? 'bulk' : 'control';
        transport.send(message.to, channel, encodeMessage(message));
      },
      onLeadership: ({ role }) => {
        if (role !== 'leader') proposals.leadershipLost();
      },
      // Nothing changes the configuration here, and a member that was killed is back within the log's tail.
      onConfiguration: () => undefined,
      onSnapshotWanted: ({ from, index }) =>
        fail(new Error(`member ${from} lacks what lies below ${index}: it needs a snapshot`)),
      onFatal: fail,
    },
  );
  transport.onMessage((_from, payload) => driver.receive(decodeMessage(payload)));
  transport.onConnection((peer, isConnected) => {
    if (isConnected) driver.peerConnected(peer);
    else driver.peerDisconnected(peer);
  });
  await transport.start();
  driver.start();
  await startService(options.port, { driver, store, proposals });
}

/** Nothing changes it here: it is always that of the first start. */
function configurationOf({ members }: BenchMemberOptions): Configuration {
  return initialConfiguration(
    members.map(({ id, peerPort }) => ({
      id,
      priority: PRIORITY_DEFAULT,
      address: { host: HOST, peerPort, apiPort: 0, adminPort: 0 },
    })),
  );
}

function makeTransport({ id, clusterId, tls, members }: BenchMemberOptions): MemberTransport {
  return new MemberTransport(
    {
      self: id,
      clusterId,
      genesisHash: GENESIS_HASH,
      listen: { host: HOST, port: members.find((member) => member.id === id)?.peerPort ?? 0 },
      peers: members
        .filter((member) => member.id !== id)
        .map((member) => ({ id: member.id, host: HOST, port: member.peerPort })),
      tls,
    },
    { clock: systemClock, random: Math.random, logger },
  );
}

function fail(thrown: unknown): void {
  console.error(`the member failed: ${errorText(thrown)}`);
  process.exit(1);
}

// Without whoever started it nobody would end it. A profile, when asked for, is written on the way out.
process.stdin.resume().once('close', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));
run(JSON.parse(process.argv[2] ?? '') as BenchMemberOptions).catch(fail);
