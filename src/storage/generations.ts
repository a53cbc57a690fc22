import { join } from 'node:path';
import { CodedError } from '../lib/error.ts';
import { type FolderFiles, writeWhole } from './folder_files.ts';
import { StorageError, unusableError } from './storage_error.ts';

/** A state and the log that belongs to it: they are only ever exchanged together. */
export interface Generation {
  /** From 1; each install of a snapshot makes the next one. */
  readonly number: number;
  readonly directory: string;
  /** Folder of the database. */
  readonly stateDirectory: string;
  /** Folder of the log. */
  readonly logDirectory: string;
}

const CURRENT_NAME = 'CURRENT';
const NAME_PATTERN = /^generation-([1-9][0-9]{0,14})$/;

/**
 * The generation in force, which the file CURRENT names; a member folder without one gets the first.
 * Throws a StorageError when CURRENT cannot be trusted: nothing is ever made anew beside existing data.
 */
export async function openGeneration(
  memberFolder: string,
  files: FolderFiles,
): Promise<Generation> {
  return refusing(memberFolder, async () => {
    const text = await files.readText(join(memberFolder, CURRENT_NAME));
    const names = await files.list(memberFolder);
    if (text === undefined) return makeFirst(memberFolder, names, files);
    const number = numberOf(text.endsWith('\n') ? text.slice(0, -1) : '');
    if (number === undefined)
      throw currentError(memberFolder, `it says "${text.slice(0, 40).trim()}"`);
    const generation = generationOf(memberFolder, number);
    if (!names.includes(nameOf(number)))
      throw currentError(memberFolder, `it names ${generation.directory}, which is not there`);
    // A process that was killed may have named it without waiting until the name was durable: what is
    // acknowledged from now on must not vanish behind the name that was there before.
    await files.syncFolder(memberFolder);
    return generation;
  });
}

/**
 * Makes the folder of the generation after the current one, empty. What an install that did not finish
 * left there goes. The database of the current one must be open: its lock keeps other processes out.
 */
export async function beginGeneration(
  memberFolder: string,
  current: Generation,
  files: FolderFiles,
): Promise<Generation> {
  return refusing(memberFolder, async () => {
    const next = generationOf(memberFolder, current.number + 1);
    await files.removeTree(next.directory);
    await files.makeFolder(next.directory);
    return next;
  });
}

/**
 * Puts a generation in force whose files are complete and durable. This is the one moment of an install:
 * whoever starts before it finds the old state and log, whoever starts after it the new ones.
 */
export async function commitGeneration(
  memberFolder: string,
  next: Generation,
  files: FolderFiles,
): Promise<void> {
  await refusing(memberFolder, async () => {
    await files.syncFolder(next.directory);
    // The folder's name must be durable before anything points to it.
    await files.syncFolder(memberFolder);
    await writeWhole(
      { directory: memberFolder, name: CURRENT_NAME, text: `${nameOf(next.number)}\n` },
      files,
    );
  });
}

/**
 * Removes the generations that are not in force: the one before an install, or one that was never finished.
 * The database of the current one must be open: its lock keeps other processes out.
 */
export async function removeOtherGenerations(
  memberFolder: string,
  current: Generation,
  files: FolderFiles,
): Promise<void> {
  await refusing(memberFolder, async () => {
    for (const name of await files.list(memberFolder)) {
      const number = numberOf(name);
      if (number === undefined || number === current.number) continue;
      await files.removeTree(join(memberFolder, name));
    }
  });
}

async function makeFirst(
  memberFolder: string,
  names: readonly string[],
  files: FolderFiles,
): Promise<Generation> {
  for (const name of names)
    if (numberOf(name) !== undefined && (await files.list(join(memberFolder, name))).length > 0)
      throw currentError(memberFolder, `it is missing beside ${name}, which holds data`);
  const first = generationOf(memberFolder, 1);
  await files.makeFolder(first.directory);
  await commitGeneration(memberFolder, first, files);
  return first;
}

function generationOf(memberFolder: string, number: number): Generation {
  const directory = join(memberFolder, nameOf(number));
  return {
    number,
    directory,
    stateDirectory: join(directory, 'state'),
    logDirectory: join(directory, 'log'),
  };
}

function nameOf(number: number): string {
  return `generation-${number}`;
}

function numberOf(name: string): number | undefined {
  const digits = NAME_PATTERN.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function currentError(memberFolder: string, what: string): StorageError {
  const path = join(memberFolder, CURRENT_NAME);
  return new StorageError(
    'CORRUPT',
    `${path} does not say which state and log are in force: ${what}; restore the whole data folder, or ` +
      'put a new member in its place with "blockraft members replace"',
    { fields: { path } },
  );
}

async function refusing<Value>(memberFolder: string, act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (thrown) {
    throw thrown instanceof CodedError ? thrown : unusableError(memberFolder, thrown);
  }
}
