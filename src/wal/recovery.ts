import type { HardState } from '../types/entry.ts';
import { EntryIndex } from './entry_index.ts';
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
import type { SegmentHeader, WalIdentity } from './segment.ts';
import {
  decodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  segmentPath,
  segmentSequences,
} from './segment.ts';
import { corruptError } from './wal_error.ts';

/** The log as its segments tell it. */
export interface RecoveredLog {
  readonly index: EntryIndex;
  hardState: HardState;
  /** Checksum seeds of the segments; that of segment n is at n - 1. */
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
  readonly sequence: number;
  readonly seed: number;
  readonly source: RecordBytes;
}

/**
 * Replays all segments in the folder. Afterwards everything that was replayed is durable, and the
 * last segment holds nothing but zeros behind its last record. Throws a WalError when what had
 * been durable is damaged, before anything is changed on disk.
 */
export async function recoverLog(
  options: { directory: string; identity: WalIdentity; segmentBytes: number },
  dependencies: { fileSystem: FileSystem },
): Promise<RecoveredLog> {
  const { fileSystem } = dependencies;
  const headers = await readHeaders(options, fileSystem);
  const log: RecoveredLog = {
    index: new EntryIndex(),
    hardState: { term: 0, vote: undefined },
    seeds: headers.map(({ seed }) => seed),
    last: undefined,
  };
  let buffer = new Uint8Array(0);
  for (const [at, { header, seed, path }] of headers.entries()) {
    const file = await fileSystem.open(path, 'existing');
    let keepOpen = false;
    try {
      // Where a file is shorter than it was made, zeros are taken to be missing.
      const sizeBytes = Math.max(await file.sizeBytes(), options.segmentBytes);
      if (buffer.length < sizeBytes) buffer = new Uint8Array(sizeBytes);
      const bytes = buffer.subarray(0, sizeBytes);
      bytes.fill(0, await file.read(bytes, 0));
      const segment = { path, sequence: header.sequence, seed, source: recordBytes(bytes) };
      const next = headers[at + 1]?.header;
      const end = replaySegment(log, segment, next?.previousEnd);
      if (next === undefined) {
        log.last = await continueSegment(file, segment, end);
        keepOpen = true;
      }
    } finally {
      if (!keepOpen) await file.close();
    }
  }
  return log;
}

interface FoundHeader {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly seed: number;
}

async function readHeaders(
  options: { directory: string; identity: WalIdentity },
  fileSystem: FileSystem,
): Promise<FoundHeader[]> {
  const { directory, identity } = options;
  const found: FoundHeader[] = [];
  for (const sequence of segmentSequences(await fileSystem.list(directory))) {
    const path = segmentPath(directory, sequence);
    const missing = found.length + 1;
    if (sequence !== missing)
      throw corruptError(segmentPath(directory, missing), 0, 'this segment is missing');
    const reader = fileSystem.openReader(path);
    try {
      const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
      const length = reader.read(bytes, 0);
      const decoded = decodeSegmentHeader(path, bytes.subarray(0, length), { identity, sequence });
      found.push({ path, ...decoded });
    } finally {
      reader.close();
    }
  }
  return found;
}

/**
 * Applies the segment's records in the order in which they were written and returns where they
 * end.
 *
 * A segment that has a successor was complete and synced before that one came to be, and the
 * successor's header says where it ends: anything else there is damage. In the last segment the
 * records end at the first that is not valid, if that can be what a crash left (see `checkTail`).
 */
function replaySegment(
  log: RecoveredLog,
  segment: LoadedSegment,
  sealedEnd: number | undefined,
): number {
  const { path, source, seed } = segment;
  let end = SEGMENT_HEADER_BYTES;
  while (sealedEnd === undefined || end < sealedEnd) {
    const size = validRecordSize(source, { at: end, offset: end, seed });
    if (size === undefined) break;
    applyRecord(log, segment, end);
    end += size;
  }
  if (sealedEnd === undefined) checkTail(segment, end);
  else if (end !== sealedEnd)
    throw corruptError(path, end, `its records should end at byte ${sealedEnd}`);
  return end;
}

/**
 * An entry at or below the last index replaces that entry and cuts all that followed it. No
 * record says "truncate": the overwriting entry itself is the truncation. That is safe at any
 * moment of a crash, because replay runs in the order of writing: if the overwriting record
 * survived, every replay passes it after the old suffix and cuts that; if it did not survive, it
 * was never acknowledged, and the old suffix is still the member's log.
 */
function applyRecord(log: RecoveredLog, segment: LoadedSegment, offset: number): void {
  const { path, sequence, source } = segment;
  const record = readRecord(source, offset);
  if (record === undefined) throw corruptError(path, offset, 'a record of an unknown type');
  if (record.kind === 'hardState') {
    log.hardState = record.hardState;
    return;
  }
  const { index, term, length } = record;
  if (index < log.index.firstIndex || index > log.index.lastIndex + 1)
    throw corruptError(
      path,
      offset,
      `entry ${index} does not follow entry ${log.index.lastIndex}: entries between them are ` +
        'missing',
    );
  log.index.put({ index, term, sequence, offset, length });
}

/**
 * Decides whether the end of the records is the end of the log or damage in its middle. At most
 * one batch is ever being written, so only the last batch can be incomplete after a crash, and
 * any of its sectors may be missing, not only the last ones.
 * - A valid record further on whose batch starts after the end was written when everything before
 *   its batch had been synced: what is missing at the end had been durable.
 * - A record that shows no trace of an unfinished write was written whole and has been changed
 *   since.
 */
function checkTail(segment: LoadedSegment, end: number): void {
  const { path, source, seed } = segment;
  const to = dirtyEnd(source.bytes, end);
  if (to === end) return;
  const later = findRecord(source, { from: end, to, seed }, (at) => batchStartOf(source, at) > end);
  if (later !== undefined)
    throw corruptError(
      path,
      end,
      `a record that was synced is invalid; one at byte ${later} follows`,
    );
  if (!looksTorn(source, { at: end, offset: end, seed }))
    throw corruptError(path, end, 'a record that was written whole has changed');
}

/** Where the last byte that is not zero ends, at least `from`. */
function dirtyEnd(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}

/**
 * Makes the last segment ready for the next record. Remains of an unfinished batch become zeros,
 * so that they can never be taken for records after the new ones. The sync is needed even when
 * nothing is cut: a process that was killed leaves records in the system's cache that this
 * process has just read but that are not on the disk.
 */
async function continueSegment(
  file: WalFile,
  segment: LoadedSegment,
  end: number,
): Promise<OpenSegment> {
  const { bytes } = segment.source;
  const to = dirtyEnd(bytes, end);
  await file.preallocate(bytes.length);
  if (to > end) await file.write(new Uint8Array(to - end), end);
  await file.fdatasync();
  const { sequence, seed } = segment;
  return { sequence, file, seed, sizeBytes: bytes.length, end };
}
