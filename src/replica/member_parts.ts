import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MemberTransport } from '../cluster/member_transport.ts';
import { type Config, memberOf, tlsFiles } from '../config/config.ts';
import { RecoveryPool } from '../crypto/recovery_pool.ts';
import { ExecutorThread } from '../execution/executor_thread.ts';
import { FlatState } from '../ledger/flat_state.ts';
import { LOG_MADE_KEY, trieNodeKey } from '../ledger/keys.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import { genesisState, type OpenedLedger, openLedger } from '../ledger/open_ledger.ts';
import { toPrefixedHex } from '../lib/bytes.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import { createOrVerifyDataFolder } from '../storage/data_folder.ts';
import { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import { TrieThread } from '../trie/trie_thread.ts';
import type { MemberId } from '../types/entry.ts';
import type { Genesis } from '../types/genesis.ts';
import { nodeFileSystem } from '../wal/node_file_system.ts';
import { Wal } from '../wal/wal.ts';
import { firstConfiguration } from './first_configuration.ts';
import { FOLDER_ID_BYTES } from './member_message.ts';
import { PeerRegistry } from './peer_registry.ts';

export interface MemberOptions {
  readonly config: Config;
  readonly memberId: MemberId;
  readonly genesis: Genesis;
  /** The validator's BLS secret. */
  readonly secretKey: Uint8Array;
}

export interface MemberDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The member cannot go on and must be ended; everything acknowledged is durable. */
  readonly onFatal: (error: unknown) => void;
}

/** Everything of a member that holds a file, a thread or a port, and how to give it back. */
export interface MemberParts {
  readonly genesisHash: Uint8Array;
  readonly database: Database;
  readonly wal: Wal;
  readonly ledger: OpenedLedger;
  readonly flatState: FlatState;
  readonly registry: PeerRegistry;
  readonly trie: TrieThread;
  readonly executor: ExecutorThread;
  readonly recovery: RecoveryPool;
  readonly transport: MemberTransport;
  /** In the order in which they must run. */
  readonly closers: (() => Promise<unknown>)[];
}

/** Memory of the executor for state kept between blocks. */
const EXECUTOR_CACHE_BYTES_MAX = 128 * 1024 * 1024;
const EXECUTOR_REQUESTS_MAX = 1024;
/** Trie nodes kept in memory; a full branch takes about 3 KiB. */
const TRIE_CACHE_NODES_MAX = 65_536;
/** Transactions that may wait for their senders to be recovered. */
const RECOVERY_QUEUE_MAX = 65_536;

/**
 * Opens the data folder and starts the threads. Throws the typed error of whatever is wrong, with
 * everything closed that was opened before it.
 */
export async function openParts(
  options: MemberOptions,
  dependencies: MemberDependencies,
): Promise<MemberParts> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const stored = await openStores(options, dependencies, closers);
    const threads = await startThreads(options, { ...dependencies, ...stored }, closers);
    return { ...stored, ...threads, closers };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

/** Runs the closers, last opened first. */
export async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
}

async function openStores(
  { config, memberId, genesis }: MemberOptions,
  { random, logger }: MemberDependencies,
  closers: (() => Promise<unknown>)[],
) {
  const { dataFolder } = memberOf(config, memberId);
  const state = await genesisState(genesis);
  const genesisHash = state.block.blockId;
  const { clusterId } = config;
  const identity = { genesisHash: toPrefixedHex(genesisHash), clusterId, memberId };
  await createOrVerifyDataFolder({ directory: dataFolder, identity });
  // The database comes first: its lock keeps a second process out of the log as well.
  const database = await Database.open({ directory: join(dataFolder, 'state') });
  closers.push(() => database.close());
  const ledger = await openLedger(
    {
      genesis,
      state,
      limits: config.mempool,
      configuration: firstConfiguration(config, memberId),
      newFolderId: () => randomBytes(FOLDER_ID_BYTES, random),
    },
    database,
  );
  const wal = await openLog({ dataFolder, clusterId, memberId, config, logger }, database);
  closers.push(() => wal.close());
  checkLogReaches(wal, ledger);
  const registry = await PeerRegistry.load(
    config.members.map(({ id }) => id),
    database,
  );
  const flatState = new FlatState(
    database,
    async (height) => (await ledger.chain.block(height))?.blockId,
  );
  return { genesisHash, database, wal, ledger, registry, flatState };
}

/** Opens the log, or makes it once: a member without the votes that it gave must not vote again. */
async function openLog(
  options: {
    dataFolder: string;
    clusterId: string;
    memberId: MemberId;
    config: Config;
    logger: Logger;
  },
  database: Database,
): Promise<Wal> {
  const { clusterId, memberId, config, logger } = options;
  const directory = join(options.dataFolder, 'log');
  const wasMade = (await database.get(LOG_MADE_KEY)) !== undefined;
  const files = await readdir(directory).catch(() => []);
  if (wasMade && files.length === 0)
    throw new LedgerError(
      'STORE_DAMAGED',
      `the log in ${directory} is gone, and with it the votes of this member: restore the whole data folder, ` +
        'or remove this member and add a new one under a new id',
      { fields: { path: directory } },
    );
  const wal = await Wal.open(
    { directory, identity: { clusterId, memberId }, ...config.wal },
    { fileSystem: nodeFileSystem, logger },
  );
  if (wasMade) return wal;
  const batch = new WriteBatch();
  batch.put(LOG_MADE_KEY, Uint8Array.of(1));
  await database.write(batch);
  await database.flush();
  return wal;
}

/** A log that ends below what was applied, or differs there, has lost entries that were acknowledged. */
function checkLogReaches(wal: Wal, { head }: OpenedLedger): void {
  const { appliedIndex, appliedTerm } = head;
  if (appliedIndex === 0) return;
  if (wal.lastIndex >= appliedIndex && wal.term(appliedIndex) === appliedTerm) return;
  throw new LedgerError(
    'STORE_DAMAGED',
    `the log ends at ${wal.lastIndex} but the state holds entries up to ${appliedIndex}: the log was lost or exchanged; ` +
      'restore the whole data folder, or remove this member and add a new one under a new id',
    { fields: { lastIndex: wal.lastIndex, appliedIndex } },
  );
}

async function startThreads(
  { config, memberId }: MemberOptions,
  parts: MemberDependencies & {
    database: Database;
    ledger: OpenedLedger;
    flatState: FlatState;
    genesisHash: Uint8Array;
  },
  closers: (() => Promise<unknown>)[],
) {
  const { clock, random, logger, database, ledger, flatState, genesisHash } = parts;
  const trie = new TrieThread(
    {
      height: ledger.trieHeight,
      root: ledger.trieRoot,
      cacheNodesMax: TRIE_CACHE_NODES_MAX,
    },
    { nodes: { getMany: (keys) => database.getMany(keys.map(trieNodeKey)) }, logger },
  );
  closers.push(() => trie.stop());
  const executor = new ExecutorThread(
    { cacheBytesMax: EXECUTOR_CACHE_BYTES_MAX, requestsMax: EXECUTOR_REQUESTS_MAX },
    { state: flatState, logger },
  );
  closers.push(() => executor.stop());
  const recovery = new RecoveryPool(
    { threads: config.admission.recoveryThreads, queueMax: RECOVERY_QUEUE_MAX },
    { logger },
  );
  closers.push(() => recovery.stop());
  await Promise.all([trie.start(), executor.start(), recovery.start()]);
  const { host, ports } = memberOf(config, memberId);
  const transport = new MemberTransport(
    {
      self: memberId,
      clusterId: config.clusterId,
      genesisHash,
      listen: { host, port: ports.peer },
      peers: config.members
        .filter(({ id }) => id !== memberId)
        .map((member) => ({ id: member.id, host: member.host, port: member.ports.peer })),
      tls: tlsFiles(config, `member-${memberId}`),
    },
    { clock, random, logger },
  );
  return { trie, executor, recovery, transport };
}

function randomBytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}
