import { bytesEqual, compareBytes } from '../lib/bytes.ts';
import type { Logger } from '../lib/environment.ts';
import { CodedError, errorText } from '../lib/error.ts';
import type { Database } from '../storage/database.ts';
import type { FolderFiles } from '../storage/folder_files.ts';
import {
  beginGeneration,
  commitGeneration,
  type Generation,
  openGeneration,
  removeOtherGenerations,
} from '../storage/generations.ts';
import { type KeyRange, keyAfter } from '../storage/keys.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { HardState, MemberId } from '../types/entry.ts';
import { CodecError } from '../types/rlp.ts';
import type { FileSystem } from '../wal/file_system.ts';
import { Wal, type WalOptions } from '../wal/wal.ts';
import { PairAssembler } from './chunk.ts';
import { encodeHeader, type HeadReader, type SnapshotManifest } from './manifest.ts';
import { SnapshotError, unusableError } from './snapshot_error.ts';
import {
  discardStaging,
  distrustStaging,
  readStagedChunks,
  readStagedIndex,
  readStagedManifest,
} from './staging.ts';

export interface InstallOptions {
  readonly memberFolder: string;
  readonly memberId: MemberId;
  readonly clusterId: string;
  /** Keys that are this member's alone: they stay as they are. */
  readonly ownKeys: KeyRange;
  /** As the member opens its log. */
  readonly wal: Omit<WalOptions, 'directory' | 'identity'>;
}

export interface InstallDependencies {
  readonly files: FolderFiles;
  readonly fileSystem: FileSystem;
  readonly openDatabase: (directory: string) => Promise<Database>;
  readonly readHead: HeadReader;
  readonly logger: Logger;
}

/** Pairs written to the new state at once. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const OWN_KEYS_PAGE = 256;

/**
 * Puts the staged snapshot, if there is a complete one that is needed, in the place of this
 * member's state and log; true when it did. To be called while nothing of the member is open. The
 * term, the vote and the member's own keys stay. A crash or an error at any point leaves the old
 * state and log in force or the new ones, never a mixture, and the next call ends the work. A
 * snapshot that turns out to be damaged goes, as far as it is, so that it is fetched again; one
 * that the state has reached goes, complete or not. Throws STORE_DAMAGED when this member's log or
 * state has lost what it promised, CONFLICT when the snapshot contradicts what was committed here,
 * and the errors of the disk.
 */
export async function installStaged(
  options: InstallOptions,
  dependencies: InstallDependencies,
): Promise<boolean> {
  const { memberFolder } = options;
  try {
    const { fileSystem } = dependencies;
    const stagedIndex = await readStagedIndex(memberFolder, fileSystem);
    if (stagedIndex === undefined) return false;
    const manifest = await readStagedManifest(memberFolder, fileSystem);
    const current = await openGeneration(memberFolder, dependencies.files);
    // Its lock keeps other processes of this member out until the new generation is in force.
    const database = await dependencies.openDatabase(current.stateDirectory);
    try {
      if (manifest !== undefined)
        return await replaceGeneration({ ...options, manifest, current, database }, dependencies);
      const head = await dependencies.readHead(database);
      if (head !== undefined && stagedIndex <= head.index)
        await discardStaging(memberFolder, fileSystem);
      return false;
    } finally {
      await database.close();
    }
  } catch (thrown) {
    throw thrown instanceof CodedError ? thrown : unusableError(memberFolder, thrown);
  }
}

interface Replacement extends InstallOptions {
  readonly manifest: SnapshotManifest;
  readonly current: Generation;
  /** Of the current generation. */
  readonly database: Database;
}

async function replaceGeneration(
  options: Replacement,
  dependencies: InstallDependencies,
): Promise<boolean> {
  const { memberFolder, manifest, current } = options;
  const { files, fileSystem, logger } = dependencies;
  const { index, term } = manifest;
  const hardState = await hardStateToKeep(options, dependencies);
  if (hardState === undefined) {
    logger.info({ index }, 'the staged snapshot is not needed');
    await discardStaging(memberFolder, fileSystem);
    return false;
  }
  const next = await beginGeneration(memberFolder, current, files);
  try {
    await buildState({ ...options, directory: next.stateDirectory }, dependencies);
  } catch (thrown) {
    if (!(thrown instanceof SnapshotError && thrown.code === 'DAMAGED')) throw thrown;
    logger.error({ index, error: thrown.message }, 'the staged snapshot cannot be installed');
    // Chunks that are as they were sent, and yet no state, would come to the same again.
    if (thrown.fields.resumable === true) await distrustStaging(memberFolder, fileSystem);
    else await discardStaging(memberFolder, fileSystem);
    await removeOtherGenerations(memberFolder, current, files);
    return false;
  }
  await Wal.create(walOptions(options, next), { base: { index, term }, hardState }, { fileSystem });
  await commitGeneration(memberFolder, next, files);
  logger.info({ index, term, generation: next.number }, 'snapshot installed');
  await discardStaging(memberFolder, fileSystem);
  await removeOtherGenerations(memberFolder, next, files);
  return true;
}

/**
 * The hard state for the new log; undefined when the snapshot is not needed, since this member's state or log
 * holds all of it. A log that goes on behind the snapshot may hold entries that were acknowledged: it stays.
 */
async function hardStateToKeep(
  options: Replacement,
  { files, fileSystem, readHead, logger }: InstallDependencies,
): Promise<HardState | undefined> {
  const { manifest, current, database } = options;
  const head = await readHead(database);
  if (head === undefined || (await files.list(current.logDirectory)).length === 0)
    throw lostError(current, 'the state or the log is missing');
  const wal = await Wal.open(walOptions(options, current), { fileSystem, logger });
  try {
    const reaches = (index: number): boolean => index >= wal.base.index && index <= wal.lastIndex;
    if (!reaches(head.index) || wal.term(head.index) !== head.term)
      throw lostError(current, `the log ends at ${wal.lastIndex}, the state at ${head.index}`);
    const { index, term } = manifest;
    const isHeld = reaches(index) && wal.term(index) === term;
    if (index > head.index) return isHeld ? undefined : keptHardState(wal.hardState, term);
    if (index < wal.base.index || isHeld) return undefined;
    throw new SnapshotError(
      'CONFLICT',
      `entry ${index} was committed here in term ${wal.term(index)}, and the snapshot says ${term}: two histories ` +
        'were committed, so this member must not go on; find out which members lost data',
      { fields: { index, term } },
    );
  } finally {
    await wal.close();
  }
}

/** Terms never fall: a log does not begin above its own member's term. */
function keptHardState(hardState: HardState, baseTerm: number): HardState {
  return hardState.term >= baseTerm ? hardState : { term: baseTerm, vote: undefined };
}

async function buildState(
  options: Replacement & { readonly directory: string },
  dependencies: InstallDependencies,
): Promise<void> {
  const database = await dependencies.openDatabase(options.directory);
  try {
    await writeChunks(options, { ...dependencies, target: database });
    await copyOwnKeys(options.ownKeys, options.database, database);
    const head = await dependencies.readHead(database);
    const { manifest } = options;
    if (
      head === undefined ||
      !bytesEqual(encodeHeader({ ...manifest, ...head }), encodeHeader(manifest))
    )
      throw new SnapshotError(
        'DAMAGED',
        `the state in the snapshot is not the one at ${manifest.index} that it is bound to`,
        { fields: { index: manifest.index } },
      );
    await database.flush();
  } finally {
    await database.close();
  }
}

async function writeChunks(
  { memberFolder, manifest, ownKeys }: Replacement,
  { fileSystem, target }: InstallDependencies & { target: Database },
): Promise<void> {
  const pairs = new PairAssembler();
  let batch = new WriteBatch();
  let written: Promise<void> = Promise.resolve();
  const put = (key: Uint8Array, value: Uint8Array): void => {
    if (isWithin(key, ownKeys)) throw new CodecError('it holds a key that never travels');
    batch.put(key, value);
  };
  for await (const payload of readStagedChunks({ memberFolder, manifest }, fileSystem)) {
    damagedWhenMalformed(manifest, () => pairs.add(payload, put));
    if (batch.sizeBytes < BATCH_BYTES_MAX) continue;
    // One batch is written while the next is read.
    await written;
    written = target.write(batch);
    written.catch(() => undefined);
    batch = new WriteBatch();
  }
  damagedWhenMalformed(manifest, () => pairs.finish());
  await written;
  await target.write(batch);
}

async function copyOwnKeys(range: KeyRange, from: Database, to: Database): Promise<void> {
  let { gte } = range;
  for (;;) {
    const pairs = await from.page({ gte, lt: range.lt, pairsMax: OWN_KEYS_PAGE });
    const batch = new WriteBatch();
    for (const [key, value] of pairs) batch.put(key, value);
    await to.write(batch);
    const last = pairs.at(-1);
    if (last === undefined || pairs.length < OWN_KEYS_PAGE) return;
    gte = keyAfter(last[0]);
  }
}

function damagedWhenMalformed({ index }: SnapshotManifest, act: () => void): void {
  try {
    act();
  } catch (thrown) {
    if (!(thrown instanceof CodecError)) throw thrown;
    throw new SnapshotError(
      'DAMAGED',
      `the snapshot at ${index} cannot be read: ${errorText(thrown)}`,
      { fields: { index }, cause: thrown },
    );
  }
}

function isWithin(key: Uint8Array, { gte, lt }: KeyRange): boolean {
  return compareBytes(gte, key) <= 0 && compareBytes(key, lt) < 0;
}

function walOptions(
  { clusterId, memberId, wal }: InstallOptions,
  { logDirectory }: Generation,
): WalOptions {
  return { ...wal, directory: logDirectory, identity: { clusterId, memberId } };
}

function lostError({ directory }: Generation, what: string): SnapshotError {
  return new SnapshotError(
    'STORE_DAMAGED',
    `${directory} has lost what this member promised (${what}), so no snapshot is installed over it: restore the ` +
      'whole data folder, or put a new member in its place with "blockraft members replace"',
    { fields: { path: directory } },
  );
}
