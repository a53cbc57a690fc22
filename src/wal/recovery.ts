import { assert } from '../lib/assert.ts';
import type { HardState } from '../types/entry.ts';
import type { EntryIndex } from './entry_index.ts';
import type { FileSystem, WalFile } from './file_system.ts';
import type { RecordBytes } from './record.ts';
import {
  batchStartOf,
  findRecord,
  looksTorn,
  readRecord,
  recordBytes,
  validRecordSize,
} from './record.ts';
import type { WalIdentity } from './segment.ts';
import {
  decodeSegmentHeader,
  preparedPath,
  SEGMENT_HEADER_BYTES,
  segmentPath,
  segmentSequences,
} from './segment.ts';
import { corruptError } from './wal_error.ts';

/** What replay builds. */
export interface RecoveredLog {
  readonly index: EntryIndex;
  hardState: HardState;
  /** Checksum seeds of the segments, by sequence number. */
  readonly seeds: number[];
  /** The segment that takes the next record; undefined when the folder holds no log yet. */
  last: OpenSegment | undefined;
}

/** The segment being written. */
export interface OpenSegment {
  readonly sequence: number;
  readonly file: WalFile;
  readonly seed: number;
  readonly sizeBytes: number;
  /** Where the next record goes. */
  end: number;
}

interface LoadedSegment {
  readonly path: string;
  readonly source: RecordBytes;
  readonly seed: number;
  readonly sequence: number;
}

/**
 * Replays all segments in the folder into the log. Afterwards everything that was replayed is durable, and the last segment holds
 * nothing but zeros behind its last record. Throws a WalError; nothing is changed on disk in that case.
 */
export async function recoverLog(
  options: { directory: string; identity: WalIdentity; segmentBytes: number },
  dependencies: { fileSystem: FileSystem; index: EntryIndex },
): Promise<RecoveredLog> {
  const { directory, identity } = options;
  const { fileSystem, index } = dependencies;
  const log: RecoveredLog = { index, hardState: { term: 0, vote: undefined }, seeds: [], last: undefined };
  const sequences = segmentSequences(await fileSystem.list(directory));
  const buffer = { bytes: new Uint8Array(0) };
  let previous: { segment: LoadedSegment; end: number } | undefined;
  for (const [at, sequence] of sequences.entries()) {
    const path = segmentPath(directory, sequence);
    if (sequence !== at + 1)
      throw corruptError(segmentPath(directory, at + 1), 0, 'this segment is missing');
    const file = await fileSystem.open(path, 'existing');
    try {
      const bytes = await readWhole(file, buffer);
      const { header, seed } = decodeSegmentHeader(path, bytes, { identity, sequence });
      const segment = { path, source: recordBytes(bytes), seed, sequence };
    } finally {
      await file.close();
    }
  }
  return log;
}
