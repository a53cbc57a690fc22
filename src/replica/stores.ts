import { readdir } from 'node:fs/promises';
import { type Config, memberOf } from '../config/config.ts';
import { readAppliedHead } from '../ledger/applied_head.ts';
import { LOCAL_RANGE, LOG_MADE_KEY, REMOVED_KEY } from '../ledger/keys.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import type { HeadRecord } from '../ledger/records.ts';
import type { Logger } from '../lib/environment.ts';
import { installStaged } from '../snapshot/install.ts';
import { Database } from '../storage/database.ts';
import { nodeFolderFiles } from '../storage/folder_files.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { MemberId } from '../types/entry.ts';
import { nodeFileSystem } from '../wal/node_file_system.ts';
import { Wal } from '../wal/wal.ts';
import { storedMark } from './marks.ts';
import { ReplicaError } from './replica_error.ts';

/** Puts a snapshot that was fetched in the place of state and log, if there is one and it is needed. */
export async function installSnapshot(
  { config, memberId }: { config: Config; memberId: MemberId },
  logger: Logger,
): Promise<void> {
  const { clusterId, wal } = config;
  const memberFolder = memberOf(config, memberId).dataFolder;
  await installStaged(
    { memberFolder, memberId, clusterId, ownKeys: LOCAL_RANGE, wal },
    {
      files: nodeFolderFiles,
      fileSystem: nodeFileSystem,
      openDatabase: (directory) => Database.open({ directory }),
      readHead: readAppliedHead,
      logger,
    },
  );
}

/** Throws REMOVED when the cluster went on without this member. */
export async function refuseWhenRemoved(memberId: MemberId, database: Database): Promise<void> {
  const reason = await storedMark(REMOVED_KEY, database);
  if (reason === undefined) return;
  throw new ReplicaError(
    'REMOVED',
    `${reason}: it never takes part again; to use this machine for the cluster, add a member under a new id, with a new data folder`,
    { fields: { memberId } },
  );
}

/** Opens the log, or makes it once: a member without the votes that it gave must not vote again. */
export async function openLog(
  options: {
    logDirectory: string;
    memberId: MemberId;
    config: Config;
    logger: Logger;
  },
  database: Database,
): Promise<Wal> {
  const { logDirectory: directory, memberId, config, logger } = options;
  const wasMade = (await database.get(LOG_MADE_KEY)) !== undefined;
  const files = await readdir(directory).catch(() => []);
  if (wasMade && files.length === 0)
    throw new LedgerError(
      'STORE_DAMAGED',
      `the log in ${directory} is gone, and with it the votes of this member: restore the whole data folder, ` +
        'or put a new member in its place with "blockraft members replace"',
      { fields: { path: directory } },
    );
  const wal = await Wal.open(
    { directory, identity: { clusterId: config.clusterId, memberId }, ...config.wal },
    { fileSystem: nodeFileSystem, logger },
  );
  if (wasMade) return wal;
  const batch = new WriteBatch();
  batch.put(LOG_MADE_KEY, Uint8Array.of(1));
  await database.write(batch);
  await database.flush();
  return wal;
}

/**
 * A log that ends below what was applied, or differs there, has lost entries that were acknowledged; one that
 * begins above it belongs to another state.
 */
export function checkLogReaches(wal: Wal, { appliedIndex, appliedTerm }: HeadRecord): void {
  const isHeld = appliedIndex >= wal.base.index && appliedIndex <= wal.lastIndex;
  if (isHeld && wal.term(appliedIndex) === appliedTerm) return;
  throw new LedgerError(
    'STORE_DAMAGED',
    `the log goes from ${wal.firstIndex} to ${wal.lastIndex} but the state holds entries up to ${appliedIndex}: one of them was lost or exchanged; ` +
      'restore the whole data folder, or put a new member in its place with "blockraft members replace"',
    { fields: { firstIndex: wal.firstIndex, lastIndex: wal.lastIndex, appliedIndex } },
  );
}
