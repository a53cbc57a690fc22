import { type Config, memberOf } from '../config/config.ts';
import { RecoveryPool } from '../crypto/recovery_pool.ts';
import type { TraceSink } from '../driver/trace.ts';
import { ExecutorThread } from '../execution/executor_thread.ts';
import { FlatState } from '../ledger/flat_state.ts';
import { trieNodeKey } from '../ledger/keys.ts';
import { genesisState, type OpenedLedger, openLedger } from '../ledger/open_ledger.ts';
import { toPrefixedHex } from '../lib/bytes.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import { createOrVerifyDataFolder } from '../storage/data_folder.ts';
import { Database } from '../storage/database.ts';
import { nodeFolderFiles } from '../storage/folder_files.ts';
import { openGeneration, removeOtherGenerations } from '../storage/generations.ts';
import { TrieThread } from '../trie/trie_thread.ts';
import type { MemberId } from '../types/entry.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Wal } from '../wal/wal.ts';
import { firstConfiguration } from './first_configuration.ts';
import { FOLDER_ID_BYTES } from './member_message.ts';
import { PeerRegistry } from './peer_registry.ts';
import { checkLogReaches, installSnapshot, openLog, refuseWhenRemoved } from './stores.ts';

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
  /** The cluster goes on without this member, for good: it shall be stopped. */
  readonly onRemoved: (reason: string) => void;
  /** A snapshot is ready to be put in place of state and log: the member shall be stopped and started again. */
  readonly onInstall: () => void;
  /** Where the protocol's events are written down, if anywhere. */
  readonly trace?: TraceSink | undefined;
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
  await installSnapshot({ config, memberId }, logger);
  const generation = await openGeneration(dataFolder, nodeFolderFiles);
  // The database comes first: its lock keeps a second process out of the log as well.
  const database = await Database.open({ directory: generation.stateDirectory });
  closers.push(() => database.close());
  await removeOtherGenerations(dataFolder, generation, nodeFolderFiles);
  await refuseWhenRemoved(memberId, database);
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
  const { logDirectory } = generation;
  const wal = await openLog({ logDirectory, memberId, config, logger }, database);
  closers.push(() => wal.close());
  checkLogReaches(wal, ledger.head);
  const registry = new PeerRegistry(database);
  const flatState = new FlatState(
    database,
    async (height) => (await ledger.chain.block(height))?.blockId,
  );
  return { genesisHash, database, wal, ledger, registry, flatState };
}

async function startThreads(
  { config }: MemberOptions,
  parts: MemberDependencies & {
    database: Database;
    ledger: OpenedLedger;
    flatState: FlatState;
  },
  closers: (() => Promise<unknown>)[],
) {
  const { logger, database, ledger, flatState } = parts;
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
  return { trie, executor, recovery };
}

function randomBytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}
