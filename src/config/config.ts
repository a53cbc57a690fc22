import { join } from 'node:path';
import type { TlsFiles } from '../lib/tls_files.ts';
import type { MemberRecord } from '../types/configuration.ts';
import { ConfigError } from './config_error.ts';

/** A cluster file after defaults, environment and checks: frozen, with absolute paths. */
export interface Config {
  /** The file that it was read from. */
  readonly file: string;
  readonly clusterId: string;
  readonly genesisFile: string;
  /** Holds `validator.key` and `tls/`. */
  readonly secretsFolder: string;
  /** Parent of the members' own folders. */
  readonly dataFolder: string;
  /** Ascending by id: 1, 3, 5 or 7 that found the cluster, or none, and any that join it. */
  readonly members: readonly MemberConfig[];
  readonly raft: RaftConfig;
  readonly wal: WalConfig;
  readonly blocks: BlocksConfig;
  readonly mempool: MempoolConfig;
  readonly admission: AdmissionConfig;
  readonly api: ApiConfig;
  readonly logging: LoggingConfig;
}

export interface MemberConfig {
  /** At least 1, never used again for another member. */
  readonly id: number;
  /** Name or address under which the others reach it and on which it listens. */
  readonly host: string;
  readonly ports: MemberPorts;
  /** Does not found the cluster: it takes log and state from those that are in it. */
  readonly joins: boolean;
  /** Of two healthy members the one with the higher priority leads. */
  readonly priority: number;
  /** `<dataFolder>/member-<id>`. */
  readonly dataFolder: string;
}

export interface MemberPorts {
  /** Service Cluster, for members only. */
  readonly peer: number;
  /** Service Node, for clients. */
  readonly api: number;
  /** Service Admin, for operators only. */
  readonly admin: number;
}

interface RaftConfig {
  readonly tickMs: number;
  /** A multiple of the tick, at most a third of the election timeout. */
  readonly heartbeatMs: number;
  /** A multiple of the tick: the shortest silence that starts an election. */
  readonly electionTimeoutMs: number;
  /** Entry bytes of one append message, at most. */
  readonly appendBytesMax: number;
  /** Append messages to one follower that it has not answered yet, at most. */
  readonly inflightAppendsMax: number;
  /** Proposed but uncommitted bytes above which the leader refuses more. */
  readonly uncommittedBytesMax: number;
  /** How a leader makes sure that it still leads before it answers a read. */
  readonly reads: 'quorum' | 'lease';
  /** By how much the clocks of two members may differ in speed, at most. */
  readonly leaseDriftPercent: number;
}

interface WalConfig {
  readonly segmentBytes: number;
  readonly cacheBytesMax: number;
  /** Size and length of the log at which applied entries are removed from its beginning. */
  readonly compactBytes: number;
  readonly compactEntries: number;
  /** Applied entries that are kept for slow members. */
  readonly tailEntries: number;
}

interface BlocksConfig {
  /** Time between two blocks while there are transactions. */
  readonly intervalMs: number;
}

interface MempoolConfig {
  readonly transactionsMax: number;
  readonly transactionsPerSenderMax: number;
  /** How far a nonce may be ahead of the sender's next one. */
  readonly nonceGapMax: number;
  /** After this long without inclusion a transaction has expired. */
  readonly lifetimeMs: number;
}

interface AdmissionConfig {
  /** Worker threads that recover senders. */
  readonly recoveryThreads: number;
  readonly batchTransactionsMax: number;
  /** How long a transaction may wait for others to share its log entry. */
  readonly batchDelayMsMax: number;
}

type ApiSecurity = 'plaintext' | 'mutual-tls';

interface ApiConfig {
  /** Plaintext only when every member is on a loopback address. */
  readonly security: ApiSecurity;
  readonly messageBytesMax: number;
  /** Open streams and subscriptions of one member, at most. */
  readonly streamsMax: number;
  readonly pageSizeMax: number;
}

type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

interface LoggingConfig {
  readonly level: LogLevel;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The member of this id. Throws a ConfigError that names those there are. */
export function memberOf(config: Config, id: number): MemberConfig {
  const member = config.members.find((candidate) => candidate.id === id);
  if (member === undefined) {
    const ids = config.members.map((candidate) => candidate.id).join(', ');
    throw new ConfigError([
      {
        file: config.file,
        path: 'members',
        value: undefined,
        fix: `there is no member ${id}, only ${ids}`,
      },
    ]);
  }
  return member;
}

/** A member as the cluster's configuration describes it. */
export function recordOf({ id, host, ports, priority }: MemberConfig): MemberRecord {
  const { peer, api, admin } = ports;
  return { id, address: { host, peerPort: peer, apiPort: api, adminPort: admin }, priority };
}

/**
 * How long a majority's answer lets a leader read alone; undefined when it must ask each time. A follower counts whole
 * ticks, of which the first may be over at once, on a clock that runs faster by the drift.
 */
export function leaseMs({ raft }: Config): number | undefined {
  const { reads, tickMs, electionTimeoutMs, leaseDriftPercent } = raft;
  if (reads === 'quorum') return undefined;
  return Math.floor(((electionTimeoutMs - tickMs) * 100) / (100 + leaseDriftPercent));
}

/** The validator's BLS secret key: 64 hex digits. */
export function validatorKeyFile(config: Config): string {
  return join(config.secretsFolder, 'validator.key');
}

/** `name` is `member-<id>`, `operator` or `client`. */
export function tlsFiles(config: Config, name: string): TlsFiles {
  const folder = join(config.secretsFolder, 'tls');
  return {
    caFile: join(folder, 'ca.pem'),
    certificateFile: join(folder, `${name}.pem`),
    keyFile: join(folder, `${name}.key.pem`),
  };
}
