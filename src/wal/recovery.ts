import type { HardState } from '../types/entry.ts';
import type { EntryIndex } from './entry_index.ts';
import type { FileSystem, WalFile } from './file_system.ts';
import { findLogFiles } from './log_files.ts';
import type { LoadedSegment } from './replay.ts';
import { dirtyEnd, loadSegment, Replay } from './replay.ts';
import type { WalIdentity } from './segment.ts';
import { SegmentTable } from './segment_table.ts';

/** The log as its base and its segments tell it. */
export interface RecoveredLog {
  readonly index: EntryIndex;
  readonly hardState: HardState;
  readonly segments: SegmentTable;
  /** The segment that takes the next record; undefined when the folder holds no log yet. */
  readonly last: OpenSegment | undefined;
  /** Files that the log does not need, once the names in its folder are durable. */
  readonly leftovers: readonly string[];
}

/** The segment being written. */
export interface OpenSegment {
  readonly sequence: number;
  /** Opened so that a write is durable when it resolves. */
  readonly file: WalFile;
  readonly seed: number;
  readonly sizeBytes: number;
  /** Where the next record goes. */
  end: number;
}

/**
 * Replays the segments from the base on. Afterwards everything that was replayed is durable, and
 * the last segment holds nothing but zeros behind its last record. Throws a WalError when what had
 * been durable is damaged, before anything is changed on disk.
 */
export async function recoverLog(
  options: { directory: string; identity: WalIdentity; segmentBytes: number },
  dependencies: { fileSystem: FileSystem },
): Promise<RecoveredLog> {
  const { segmentBytes } = options;
  const { fileSystem } = dependencies;
  const files = await findLogFiles(options, fileSystem);
  const replay = new Replay(files.base);
  const segments = new SegmentTable();
  let buffer: Uint8Array = new Uint8Array(0);
  let end = 0;
  let tail: LoadedSegment | undefined;
  for (const [at, found] of files.segments.entries()) {
    segments.add(found, end);
    tail = loadSegment(found, { buffer, segmentBytes }, fileSystem);
    if (tail.source.bytes.length > buffer.length) buffer = tail.source.bytes;
    end = replay.segment(tail, files.segments[at + 1]?.previousEnd);
  }
  const { index, hardState } = replay;
  const last = tail === undefined ? undefined : await continueSegment(tail, end, fileSystem);
  return { index, hardState, segments, last, leftovers: files.leftovers };
}

/**
 * Makes the last segment ready for the next record. Remains of an unfinished batch become zeros,
 * so that they can never be taken for records after the new ones. The sync is needed even when
 * nothing is cut: a process that was killed leaves records in the system's cache that this
 * process has just read but that are not on the disk.
 */
async function continueSegment(
  segment: LoadedSegment,
  end: number,
  fileSystem: FileSystem,
): Promise<OpenSegment> {
  const { bytes } = segment.source;
  const to = dirtyEnd(bytes, end);
  const file = await fileSystem.open(segment.path, 'existing');
  try {
    await file.preallocate(bytes.length);
    if (to > end) await file.write(new Uint8Array(to - end), end);
    await file.fdatasync();
  } finally {
    await file.close();
  }
  const { path, sequence, seed } = segment;
  const opened = await fileSystem.open(path, 'synchronous');
  return { sequence, file: opened, seed, sizeBytes: bytes.length, end };
}
