import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CodedError, errorText } from '../lib/error.ts';
import type { MemberId } from '../types/entry.ts';
import { nodeFolderFiles, writeWhole } from './folder_files.ts';
import { StorageError, unusableError } from './storage_error.ts';

/** Whose data a folder holds. */
export interface DataFolderIdentity {
  /** Hash of the genesis block, as hex with 0x. */
  readonly genesisHash: string;
  readonly clusterId: string;
  readonly memberId: MemberId;
}

const FORMAT_VERSION = 2;
const VERSION_NAME = 'VERSION';
const IDENTITY_NAME = 'IDENTITY';
/** Written by us before there is an identity, or by a file system that is mounted here. */
const NAMES_WITHOUT_DATA = new Set([
  VERSION_NAME,
  `${VERSION_NAME}.tmp`,
  `${IDENTITY_NAME}.tmp`,
  'lost+found',
]);

/**
 * Makes a data folder of this identity, or checks that the existing one has it; `created` says
 * which. To be called before anything else in the folder is opened. The identity is written last
 * and as a whole: a folder without one never held data, and one that has data but no identity is
 * refused, as is one of another format, chain, cluster or member (StorageError).
 *
 * It takes no lock. The database inside of the folder has one of the operating system's, which
 * ends with its process: open the database before the log and before any file is changed.
 */
export async function createOrVerifyDataFolder(options: {
  directory: string;
  identity: DataFolderIdentity;
}): Promise<{ created: boolean }> {
  const { directory, identity } = options;
  try {
    await mkdir(directory, { recursive: true });
    const names = await readdir(directory);
    if (names.includes(VERSION_NAME)) await verifyVersion(directory);
    if (names.includes(IDENTITY_NAME)) {
      await verifyIdentity(directory, identity);
      return { created: false };
    }
    await refuseUnownedData(directory, names);
    await writeWhole(
      { directory, name: VERSION_NAME, text: `${FORMAT_VERSION}\n` },
      nodeFolderFiles,
    );
    const content = { formatVersion: FORMAT_VERSION, ...identity };
    const text = `${JSON.stringify(content, undefined, 2)}\n`;
    await writeWhole({ directory, name: IDENTITY_NAME, text }, nodeFolderFiles);
    await nodeFolderFiles.syncFolder(dirname(directory));
    return { created: true };
  } catch (thrown) {
    throw thrown instanceof CodedError ? thrown : unusableError(directory, thrown);
  }
}

async function verifyVersion(directory: string): Promise<void> {
  const path = join(directory, VERSION_NAME);
  const found = (await readFile(path, 'utf8')).trim();
  if (found === String(FORMAT_VERSION)) return;
  throw new StorageError(
    'VERSION_MISMATCH',
    `${path} says format version "${found.slice(0, 20)}" and this program reads version ` +
      `${FORMAT_VERSION}: start the version of the program that wrote it, or choose an empty ` +
      'data folder',
    { fields: { path, expected: FORMAT_VERSION, found: found.slice(0, 20) } },
  );
}

async function verifyIdentity(directory: string, expected: DataFolderIdentity): Promise<void> {
  const path = join(directory, IDENTITY_NAME);
  const found = parseIdentity(path, await readFile(path, 'utf8'));
  for (const name of ['genesisHash', 'clusterId', 'memberId'] as const) {
    if (found[name] === expected[name]) continue;
    throw new StorageError(
      'IDENTITY_MISMATCH',
      `the data folder ${directory} has ${name} ${found[name]} but this member is configured ` +
        `with ${expected[name]}: correct the configuration, or give this member its own data ` +
        'folder; data of another chain or member is never reused',
      { fields: { path: directory, field: name, expected: expected[name], found: found[name] } },
    );
  }
}

function parseIdentity(path: string, text: string): DataFolderIdentity {
  try {
    const { genesisHash, clusterId, memberId } = JSON.parse(text);
    if (
      typeof genesisHash === 'string' &&
      typeof clusterId === 'string' &&
      typeof memberId === 'number'
    )
      return { genesisHash, clusterId, memberId };
    throw new TypeError('genesisHash, clusterId or memberId is missing');
  } catch (thrown) {
    throw new StorageError(
      'CORRUPT',
      `${path} is not readable as the identity of a data folder: ${errorText(thrown)}; it is ` +
        'written once and never changed, so check the disk, and put a new member in its place with ' +
        '"blockraft members replace"',
      { fields: { path }, cause: thrown },
    );
  }
}

async function refuseUnownedData(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (NAMES_WITHOUT_DATA.has(name)) continue;
    const path = join(directory, name);
    if (await isEmptyFolder(path)) continue;
    throw new StorageError(
      'NO_IDENTITY',
      `the data folder ${directory} holds ${name} but no file ${IDENTITY_NAME} that says ` +
        'whose it is: restore that file from where the data came, or choose an empty folder',
      { fields: { path } },
    );
  }
}

async function isEmptyFolder(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOTDIR') return false;
    throw thrown;
  }
}
