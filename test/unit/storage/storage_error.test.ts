import { describe, expect, test } from 'vitest';
import { openError, readError } from '../../../src/storage/storage_error.ts';

const DIRECTORY = '/data/member-1/state';

describe('what the database reports', () => {
  test.each([
    `While appending to file: ${DIRECTORY}/000019.sst: No space left on device`,
    `While open a file for appending: ${DIRECTORY}/MANIFEST-000020: Disk quota exceeded`,
    `While open a file for random read: ${DIRECTORY}/000012.sst: Too many open files`,
    `While open a file for random read: ${DIRECTORY}/000012.sst: Permission denied`,
    `While open a file for appending: ${DIRECTORY}/MANIFEST-000020: Read-only file system`,
  ])('a refusal of the system is no damage: nobody is told to throw the data away: %s', (text) => {
    for (const error of [
      openError(DIRECTORY, new Error(text)),
      readError(DIRECTORY, new Error(text)),
    ]) {
      expect(error).toMatchObject({ code: 'UNUSABLE', fields: { path: DIRECTORY } });
      expect(error.message).toContain('free space');
      expect(error.message).not.toMatch(/remove this member|empty data folder/);
    }
  });

  test.each([
    `Corruption: block checksum mismatch: stored = 1, computed = 2 in ${DIRECTORY}/000012.sst`,
    'Corruption: CURRENT file does not end with newline',
    `Can't access /000012.sst: IO error: No such file or directory: while stat a file for size: ${DIRECTORY}/000012.sst`,
  ])('damage is called so: %s', (text) => {
    for (const error of [
      openError(DIRECTORY, new Error(text)),
      readError(DIRECTORY, new Error(text)),
    ])
      expect(error.code).toBe('CORRUPT');
  });

  test('a lock that another process holds', () => {
    const text = `lock hold by current process: ${DIRECTORY}/LOCK: No locks available`;
    expect(openError(DIRECTORY, new Error(text)).code).toBe('LOCKED');
  });
});
