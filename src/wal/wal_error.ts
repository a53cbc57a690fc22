import { dirname } from 'node:path';
import { CodedError, errorText } from '../lib/error.ts';

/**
 * Why a log cannot be opened or read. IDENTITY_MISMATCH: it belongs to another cluster or member.
 * UNSUPPORTED_VERSION: written by other software. CORRUPT: bytes that were durable are damaged or
 * missing; the log is never shortened to hide that. UNUSABLE: the system refuses access to the
 * folder or a file. NOT_EMPTY: a new log was to be made where there is something already.
 * NOT_A_LOG: there is none to examine.
 */
export type WalErrorCode =
  | 'IDENTITY_MISMATCH'
  | 'UNSUPPORTED_VERSION'
  | 'CORRUPT'
  | 'UNUSABLE'
  | 'NOT_EMPTY'
  | 'NOT_A_LOG';

/**
 * The log cannot be opened or read; the fields name the file and, where known, the offset in
 * bytes.
 */
export class WalError extends CodedError<WalErrorCode> {}

/** The disk did not take what the log had to make durable. Final: the owner ends the process. */
export class WalFailedError extends CodedError<'WAL_FAILED'> {
  constructor(directory: string, cause: unknown) {
    super(
      'WAL_FAILED',
      `the log in ${directory} cannot be made durable (${errorText(cause)}): what was being ` +
        'written may or may not survive, so this process must stop; free space on the disk ' +
        'or replace it, then start again',
      { fields: { directory }, cause },
    );
  }
}

export function corruptError(path: string, offset: number, what: string): WalError {
  return new WalError(
    'CORRUPT',
    `${path} is damaged at byte ${offset}: ${what}. Entries that were acknowledged may be ` +
      'lost, so the log is neither shortened nor repaired: see what is left with "blockraft wal ' +
      `inspect ${dirname(path)}" and all damage with "blockraft wal verify ${dirname(path)}", ` +
      'check the disk, and put a new member in its place with "blockraft members replace"',
    { fields: { path, offset, problem: what } },
  );
}

export function unusableError(path: string, cause: unknown): WalError {
  return new WalError(
    'UNUSABLE',
    `${path} cannot be used for the log: ${errorText(cause)}; check that it is a folder on a ` +
      'healthy disk with free space and that this user may write to it',
    { fields: { path }, cause },
  );
}

export function notEmptyError(path: string): WalError {
  return new WalError(
    'NOT_EMPTY',
    `${path} is to hold a new log but is not empty: remove what is there if it is the remains of ` +
      'an attempt that did not finish',
    { fields: { path } },
  );
}
