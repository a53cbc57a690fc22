import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../lib/error.ts';
import { CliError } from './exit_codes.ts';

/**
 * Folder of the log that a path given by a user means: that of the generation in force of a member's
 * data folder, or the path itself. The identity is the one that the data folder has.
 */
export async function findLogFolder(folder: string): Promise<{
  directory: string;
  identity: { clusterId: string; memberId: number } | undefined;
}> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (thrown) {
    throw new CliError('usage', `${folder} cannot be read: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
  if (!names.includes('CURRENT')) return { directory: folder, identity: undefined };
  const name = (await readFile(join(folder, 'CURRENT'), 'utf8')).trim();
  if (!/^generation-\d+$/.test(name))
    throw new CliError(
      'failure',
      `${join(folder, 'CURRENT')} does not name a generation: give one of the log folders in ${folder}`,
    );
  return { directory: join(folder, name, 'log'), identity: await identityOf(folder, names) };
}

async function identityOf(
  folder: string,
  names: readonly string[],
): Promise<{ clusterId: string; memberId: number } | undefined> {
  if (!names.includes('IDENTITY')) return undefined;
  try {
    const { clusterId, memberId } = JSON.parse(await readFile(join(folder, 'IDENTITY'), 'utf8'));
    if (typeof clusterId === 'string' && typeof memberId === 'number')
      return { clusterId, memberId };
  } catch {
    // The log can be examined without knowing whose it should be.
  }
  return undefined;
}

/**
 * Whether a running member holds the lock of the database beside the log. Only Linux tells; elsewhere
 * nobody is seen.
 */
export async function isLocked(logDirectory: string): Promise<boolean> {
  try {
    const { ino } = await stat(join(logDirectory, '..', 'state', 'LOCK'));
    const locks = await readFile('/proc/locks', 'utf8');
    // Each line names a lock as "… device:device:inode start end".
    return new RegExp(`:${ino} \\d+ (\\d+|EOF)$`, 'm').test(locks);
  } catch {
    return false;
  }
}
