import { CodedError, errorText } from '../lib/error.ts';

/**
 * LOCKED: another process uses the folder. UNUSABLE: the system refuses access to it, or
 * something is in its place. CORRUPT: what is stored is damaged. FAILED: a write did not succeed;
 * the database takes no more of them. CLOSED: the database was closed under a running iteration.
 * VERSION_MISMATCH: written by other software. IDENTITY_MISMATCH: the folder belongs to another
 * chain, cluster or member. NO_IDENTITY: it holds something that nothing says the owner of.
 */
export type StorageErrorCode =
  | 'LOCKED'
  | 'UNUSABLE'
  | 'CORRUPT'
  | 'FAILED'
  | 'CLOSED'
  | 'VERSION_MISMATCH'
  | 'IDENTITY_MISMATCH'
  | 'NO_IDENTITY';

/** What is wrong with stored data or its folder; the fields name the folder or file. */
export class StorageError extends CodedError<StorageErrorCode> {}

/**
 * How the system says no while everything stored is sound: what it says of ENOSPC, EDQUOT, EMFILE, ENFILE, EACCES,
 * EROFS and ENOMEM. The library gives no code, only text, and that names a file as it does for damage.
 */
const SYSTEM_REFUSAL =
  /No space left on device|Disk quota exceeded|Too many open files|Permission denied|Read-only file system|Cannot allocate memory/i;

export function unusableError(path: string, cause: unknown): StorageError {
  return new StorageError(
    'UNUSABLE',
    `${path} cannot be used: ${errorText(cause)}; check that it is a folder on a healthy ` +
      'disk with free space and that this user may write to it',
    { fields: { path }, cause },
  );
}

/** Names what the database's library reported when it opened the folder. */
export function openError(directory: string, cause: unknown): StorageError {
  const text = errorText(cause);
  const fields = { path: directory };
  if (/\block\b/i.test(text))
    return new StorageError(
      'LOCKED',
      `${directory} is in use by another running process: stop that one first, or give this ` +
        'member its own data folder',
      { fields, cause },
    );
  if (SYSTEM_REFUSAL.test(text)) return unusableError(directory, cause);
  if (/corrupt|checksum|newline|mismatch|MANIFEST|\.sst\b/i.test(text))
    return corruptDatabaseError(directory, cause);
  return unusableError(directory, cause);
}

/** Names what the library reported about a read. */
export function readError(directory: string, cause: unknown): StorageError {
  if (SYSTEM_REFUSAL.test(errorText(cause))) return unusableError(directory, cause);
  return corruptDatabaseError(directory, cause);
}

export function failedError(directory: string, cause: unknown): StorageError {
  return new StorageError(
    'FAILED',
    `the database in ${directory} did not take a write: ${errorText(cause)}. It takes no ` +
      'more of them, so this process must stop; free space on the disk or replace it, then ' +
      'start again',
    { fields: { path: directory }, cause },
  );
}

function corruptDatabaseError(directory: string, cause: unknown): StorageError {
  return new StorageError(
    'CORRUPT',
    `the database in ${directory} cannot be read: ${errorText(cause)}; check the disk, ` +
      'and put a new member in its place with "blockraft members replace"',
    { fields: { path: directory }, cause },
  );
}
