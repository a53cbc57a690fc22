import { join } from 'node:path';
import type { BaseRecord } from './base.ts';
import {
  BASE_NAME,
  basePath,
  decodeBase,
  FIRST_BASE,
  NEW_BASE_NAME,
  readBaseBytes,
} from './base.ts';
import type { FileSystem } from './file_system.ts';
import type { WalIdentity } from './segment.ts';
import {
  decodeSegmentHeader,
  PREPARED_NAME,
  SEGMENT_HEADER_BYTES,
  segmentPath,
  segmentSequences,
} from './segment.ts';
import type { SegmentInfo } from './segment_table.ts';
import { corruptError } from './wal_error.ts';

/** What the folder of a log holds. */
export interface LogFiles {
  readonly base: BaseRecord;
  /** In order and without gaps; none in a folder that holds no log yet. */
  readonly segments: readonly FoundSegment[];
  /** What a crash left of a rotation or a compaction: paths of files that the log does not need. */
  readonly leftovers: readonly string[];
}

export interface FoundSegment extends SegmentInfo {
  readonly path: string;
  /** Where the records of the segment before it end. */
  readonly previousEnd: number;
}

/**
 * Reads the base and the headers of the segments. Throws a WalError when one is damaged, missing,
 * or belongs to somebody else than expected, where that is known.
 */
export async function findLogFiles(
  options: { directory: string; identity: WalIdentity | undefined },
  fileSystem: FileSystem,
): Promise<LogFiles> {
  const { directory, identity } = options;
  const names = await fileSystem.list(directory);
  const hasBase = names.includes(BASE_NAME);
  const base = hasBase
    ? decodeBase(basePath(directory), readBaseBytes(directory, fileSystem), identity).base
    : FIRST_BASE;
  const sequences = segmentSequences(names);
  const kept = sequences.filter((sequence) => sequence >= base.firstSequence);
  if (hasBase && kept.length === 0)
    throw corruptError(segmentPath(directory, base.firstSequence), 0, 'this segment is missing');
  const segments: FoundSegment[] = [];
  for (const sequence of kept) {
    const expected = base.firstSequence + segments.length;
    if (sequence !== expected)
      throw corruptError(segmentPath(directory, expected), 0, 'this segment is missing');
    segments.push(
      readHeader({ path: segmentPath(directory, sequence), identity, sequence }, fileSystem),
    );
  }
  return { base, segments, leftovers: leftoversOf(directory, names, base) };
}

/** Reads and checks the header of one segment. */
export function readHeader(
  options: { path: string; identity: WalIdentity | undefined; sequence: number },
  fileSystem: FileSystem,
): FoundSegment & { identity: WalIdentity } {
  const { path } = options;
  const reader = fileSystem.openReader(path);
  try {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const length = reader.read(bytes, 0);
    const { header, seed } = decodeSegmentHeader(path, bytes.subarray(0, length), options);
    return { path, seed, ...header };
  } finally {
    reader.close();
  }
}

/** Paths of the files among these names that the log does not need. */
export function leftoversOf(
  directory: string,
  names: readonly string[],
  base: BaseRecord,
): string[] {
  const leftovers = segmentSequences(names)
    .filter((sequence) => sequence < base.firstSequence)
    .map((sequence) => segmentPath(directory, sequence));
  for (const name of [PREPARED_NAME, NEW_BASE_NAME])
    if (names.includes(name)) leftovers.push(join(directory, name));
  return leftovers;
}
