import { z } from 'zod';
import { isDialableHost } from '../lib/host.ts';
import { CLUSTER_ID_PATTERN } from '../types/certificate_identity.ts';
import { PRIORITY_DEFAULT, PRIORITY_MAX } from '../types/configuration.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Bulk between members travels in pieces of at most this size. */
const APPEND_BYTES_MAX = 256 * KIB;

const count = (least: number, most: number) => z.int().min(least).max(most);
const port = z
  .int()
  .min(1, 'must be at least 1: members find each other by fixed ports')
  .max(65_535);
const filePath = z.string().min(1);

export const memberSchema = z.strictObject({
  id: count(1, 65_535).describe('Number of the member, never used again for another one.'),
  host: z
    .string()
    .refine(isDialableHost, 'must be a name or an address that the other members can dial')
    .describe('Name or address under which the others reach it and on which it listens.'),
  ports: z.strictObject({
    peer: port.describe('For the other members (mutual TLS).'),
    api: port.describe('For clients.'),
    admin: port.describe('For operators (mutual TLS).'),
  }),
  joins: z
    .boolean()
    .default(false)
    .describe('Does not found the cluster: it takes log and state from those that are in it.'),
  priority: count(0, PRIORITY_MAX)
    .default(PRIORITY_DEFAULT)
    .describe('Of two healthy members the one with the higher priority leads.'),
});

const raftSchema = z.strictObject({
  tickMs: count(1, 1_000).default(10).describe('Step of the Raft clock.'),
  heartbeatMs: count(1, 10_000).default(50).describe('A multiple of tickMs.'),
  electionTimeoutMs: count(10, 60_000)
    .default(300)
    .describe(
      'Shortest silence that starts an election: a multiple of tickMs, at least 3 heartbeats.',
    ),
  appendBytesMax: count(4 * KIB, APPEND_BYTES_MAX)
    .default(APPEND_BYTES_MAX)
    .describe('Entry bytes of one append message.'),
  inflightAppendsMax: count(1, 4_096)
    .default(64)
    .describe('Append messages that a follower may leave unanswered.'),
  uncommittedBytesMax: count(64 * KIB, 1024 * MIB)
    .default(64 * MIB)
    .describe('Proposed but uncommitted bytes above which the leader refuses more.'),
  reads: z
    .enum(['quorum', 'lease'])
    .default('quorum')
    .describe(
      'How a leader makes sure that it still leads before it answers a read: it asks a majority, or relies on clocks.',
    ),
  leaseDriftPercent: count(0, 50)
    .default(10)
    .describe(
      'With lease reads: by how much the clocks of two members may differ in speed, at most.',
    ),
});

const walSchema = z.strictObject({
  segmentBytes: count(64 * KIB, 1024 * MIB)
    .default(64 * MIB)
    .describe('Disk space taken at once for the log.'),
  cacheBytesMax: count(64 * KIB, 4096 * MIB)
    .default(64 * MIB)
    .describe('Memory for the newest log entries.'),
  compactBytes: count(64 * KIB, 4096 * MIB)
    .default(256 * MIB)
    .describe(
      'Size of the log at which applied entries are removed from its beginning: at least two segments.',
    ),
  compactEntries: count(1, 100_000_000)
    .default(200_000)
    .describe('Entries of the log at which applied ones are removed from its beginning.'),
  tailEntries: count(0, 100_000_000)
    .default(20_000)
    .describe('Applied entries that are kept, so that a slow member needs no snapshot.'),
});

const blocksSchema = z.strictObject({
  intervalMs: count(1, 60_000).default(100).describe('Time between two blocks under load.'),
});

const mempoolSchema = z.strictObject({
  transactionsMax: count(1, 10_000_000).default(100_000),
  transactionsPerSenderMax: count(1, 1_000_000).default(4_096),
  nonceGapMax: count(0, 1_000_000)
    .default(1_024)
    .describe("How far a nonce may be ahead of the sender's next one."),
  lifetimeMs: count(1_000, 7 * 24 * HOUR_MS)
    .default(3 * HOUR_MS)
    .describe('After this long without inclusion a transaction expires.'),
});

const admissionSchema = z.strictObject({
  recoveryThreads: count(1, 64).default(1).describe('Worker threads that recover senders.'),
  batchTransactionsMax: count(1, 4_096)
    .default(256)
    .describe('Transactions that share one log entry.'),
  batchDelayMsMax: count(0, 1_000)
    .default(2)
    .describe('How long a transaction may wait for others to share its log entry.'),
});

const apiSchema = z.strictObject({
  security: z
    .enum(['plaintext', 'mutual-tls'])
    .default('mutual-tls')
    .describe('plaintext only when every member is on a loopback address.'),
  messageBytesMax: count(64 * KIB, 64 * MIB).default(4 * MIB),
  streamsMax: count(1, 100_000).default(1_024).describe('Open streams of one member.'),
  pageSizeMax: count(1, 10_000).default(1_000).describe('Entries of one answer.'),
});

const loggingSchema = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

/** The cluster file as written; relations between the values are checked apart. */
export const clusterSchema = z
  .strictObject({
    version: z.literal(1).describe('Version of this form.'),
    cluster: z
      .string()
      .regex(CLUSTER_ID_PATTERN, 'must be 1 to 63 lower-case letters, digits and inner dashes')
      .describe('Id of the cluster; it is in every certificate and data folder.'),
    genesis: filePath.default('genesis.yaml').describe('Genesis file, relative to this file.'),
    secrets: filePath.default('secrets').describe('Folder of keys, relative to this file.'),
    data: filePath
      .optional()
      .describe("Parent of the members' data; absent: $XDG_STATE_HOME/blockraft/<cluster>."),
    members: z
      .array(memberSchema)
      .describe('1, 3, 5 or 7 that found the cluster, and any that join it later.'),
    raft: raftSchema.prefault({}),
    wal: walSchema.prefault({}),
    blocks: blocksSchema.prefault({}),
    mempool: mempoolSchema.prefault({}),
    admission: admissionSchema.prefault({}),
    api: apiSchema.prefault({}),
    logging: loggingSchema.prefault({}),
  })
  .describe('A BlockRaFT cluster.');

export type ClusterFile = z.output<typeof clusterSchema>;
export type ClusterMember = z.output<typeof memberSchema>;
