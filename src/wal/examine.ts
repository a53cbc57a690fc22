import type { EntryType, HardState } from '../types/entry.ts';
import type { BaseRecord, LogBase } from './base.ts';
import { BASE_NAME, basePath, decodeBase, FIRST_BASE, readBaseBytes } from './base.ts';
import type { FileSystem } from './file_system.ts';
import type { FoundSegment } from './log_files.ts';
import { leftoversOf, readHeader } from './log_files.ts';
import type { RecordContent } from './record.ts';
import { batchStartOf, findRecord, validRecordSize } from './record.ts';
import type { LoadedSegment } from './replay.ts';
import { dirtyEnd, loadSegment, Replay } from './replay.ts';
import type { WalIdentity } from './segment.ts';
import { SEGMENT_HEADER_BYTES, segmentPath, segmentSequences } from './segment.ts';
import { corruptError, unusableError, WalError } from './wal_error.ts';

/** One thing that is wrong with a log. */
export interface LogDamage {
  readonly path: string;
  readonly offset: number;
  readonly problem: string;
}

export interface SegmentReport {
  readonly path: string;
  readonly sequence: number;
  /** Index that the log had reached when the segment was begun, plus one. */
  readonly firstIndex: number;
  /** Valid records, those of replaced entries and those behind damage included. */
  readonly records: number;
  /** Where the last valid record ends. */
  readonly endOffset: number;
  readonly fileBytes: number;
}

export interface PlacedRecord {
  readonly sequence: number;
  readonly offset: number;
  readonly record: RecordContent;
}

/** All that the files of a log say, up to the first damage where that stops the replay. */
export interface LogReport {
  readonly directory: string;
  /** Of the first file that says so. */
  readonly identity: WalIdentity | undefined;
  readonly base: LogBase;
  readonly segments: readonly SegmentReport[];
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Term of the last entry, or of the base. */
  readonly lastTerm: number;
  readonly hardState: HardState;
  /** Entries of the log by type. */
  readonly entries: Readonly<Record<EntryType, number>>;
  /** The newest records, the newest last. */
  readonly lastRecords: readonly PlacedRecord[];
  /** Where the next record would go, and what an unfinished write left behind that. */
  readonly tail:
    | { readonly path: string; readonly offset: number; readonly remainsBytes: number }
    | undefined;
  /** Empty when the log is sound. */
  readonly damage: readonly LogDamage[];
  /** Files of an interrupted rotation or compaction; harmless. */
  readonly leftovers: readonly string[];
}

const LAST_RECORDS = 5;
/** Damaged places that are reported of one segment. */
const DAMAGE_PER_SEGMENT_MAX = 20;

/**
 * Reads every record of the log in the folder and changes nothing. The identity is checked where it
 * is given; without, the files must agree on one. Throws a WalError when the folder cannot be read
 * or holds no log; whatever is wrong with the log is reported.
 */
export async function examineLog(
  options: { directory: string; identity?: WalIdentity | undefined },
  dependencies: { fileSystem: FileSystem },
): Promise<LogReport> {
  try {
    const names = await dependencies.fileSystem.list(options.directory);
    if (!names.includes(BASE_NAME) && segmentSequences(names).length === 0)
      throw new WalError('NOT_A_LOG', `${options.directory} holds no log`);
    return new Examination({ ...options, names }, dependencies).run();
  } catch (thrown) {
    throw thrown instanceof WalError ? thrown : unusableError(options.directory, thrown);
  }
}

class Examination {
  readonly #directory: string;
  readonly #names: readonly string[];
  readonly #fileSystem: FileSystem;
  readonly #damage: LogDamage[] = [];
  readonly #segments: SegmentReport[] = [];
  readonly #lastRecords: PlacedRecord[] = [];
  /** Type of each entry above the base. */
  readonly #types: EntryType[] = [];
  #identity: WalIdentity | undefined;
  #base: BaseRecord = FIRST_BASE;
  #tail: LogReport['tail'];
  /** The segment that replay may go on with; undefined behind the first damage. */
  #nextSequence: number | undefined;

  constructor(
    options: { directory: string; identity?: WalIdentity | undefined; names: readonly string[] },
    dependencies: { fileSystem: FileSystem },
  ) {
    this.#directory = options.directory;
    this.#identity = options.identity;
    this.#names = options.names;
    this.#fileSystem = dependencies.fileSystem;
  }

  run(): LogReport {
    this.#readBase();
    if (this.#damage.length === 0) this.#nextSequence = this.#base.firstSequence;
    const segments = this.#readHeaders();
    const replay = new Replay(this.#base, (place, record) => this.#note(place, record));
    let buffer: Uint8Array = new Uint8Array(0);
    for (const [at, found] of segments.entries()) {
      const segment = loadSegment(found, { buffer, segmentBytes: 0 }, this.#fileSystem);
      if (segment.source.bytes.length > buffer.length) buffer = segment.source.bytes;
      this.#examine(segment, segments[at + 1], replay);
    }
    const entries = { noop: 0, command: 0, configuration: 0 };
    for (const type of this.#types) entries[type] += 1;
    return {
      directory: this.#directory,
      identity: this.#identity,
      base: { index: this.#base.index, term: this.#base.term },
      segments: this.#segments,
      firstIndex: replay.index.firstIndex,
      lastIndex: replay.index.lastIndex,
      lastTerm: replay.index.term(replay.index.lastIndex),
      hardState: replay.hardState,
      entries,
      lastRecords: this.#lastRecords,
      tail: this.#tail,
      damage: this.#damage,
      leftovers: leftoversOf(this.#directory, this.#names, this.#base),
    };
  }

  #readBase(): void {
    if (!this.#names.includes(BASE_NAME)) return;
    this.#noting(() => {
      const bytes = readBaseBytes(this.#directory, this.#fileSystem);
      const { base, identity } = decodeBase(basePath(this.#directory), bytes, this.#identity);
      this.#base = base;
      this.#identity ??= identity;
    });
  }

  /** The segments whose headers can be read. */
  #readHeaders(): FoundSegment[] {
    const found: FoundSegment[] = [];
    const sequences = segmentSequences(this.#names);
    const last = sequences.at(-1) ?? 0;
    for (let sequence = this.#base.firstSequence; sequence <= last; sequence += 1) {
      this.#noting(() => {
        const path = segmentPath(this.#directory, sequence);
        if (!sequences.includes(sequence)) throw corruptError(path, 0, 'this segment is missing');
        const identity = this.#identity;
        const header = readHeader({ path, identity, sequence }, this.#fileSystem);
        this.#identity ??= header.identity;
        found.push(header);
      });
    }
    if (last < this.#base.firstSequence)
      this.#noting(() => {
        const path = segmentPath(this.#directory, this.#base.firstSequence);
        throw corruptError(path, 0, 'this segment is missing');
      });
    return found;
  }

  /** Replays the segment as long as nothing is damaged; behind damage it only looks for records. */
  #examine(segment: LoadedSegment, next: FoundSegment | undefined, replay: Replay): void {
    const { path, sequence, firstIndex, fileBytes, source } = segment;
    const sealedEnd = next?.sequence === sequence + 1 ? next.previousEnd : undefined;
    const isReplayed = this.#nextSequence === sequence;
    this.#nextSequence = undefined;
    if (isReplayed)
      this.#noting(() => {
        const end = replay.segment(segment, sealedEnd);
        this.#nextSequence = sequence + 1;
        const remainsBytes = dirtyEnd(source.bytes, end) - end;
        if (next === undefined) this.#tail = { path, offset: end, remainsBytes };
      });
    const { records, endOffset } = this.#scan(segment, sealedEnd);
    this.#segments.push({ path, sequence, firstIndex, records, endOffset, fileBytes });
  }

  /**
   * Counts the valid records and notes what is damaged between them. In a segment without a
   * successor only what had been synced counts as damage, as in recovery: the rest can be what is
   * left of a write that was under way when the power failed.
   */
  #scan(
    segment: LoadedSegment,
    sealedEnd: number | undefined,
  ): { records: number; endOffset: number } {
    const { path, source, seed } = segment;
    const to = sealedEnd ?? dirtyEnd(source.bytes, SEGMENT_HEADER_BYTES);
    let records = 0;
    let places = 0;
    let at = SEGMENT_HEADER_BYTES;
    for (;;) {
      const size = validRecordSize(source, { at, offset: at, seed });
      if (size !== undefined) {
        records += 1;
        at += size;
        continue;
      }
      const later = findRecord(source, { from: at, to, seed }, () => true);
      if (later === undefined) break;
      const wasSynced = sealedEnd !== undefined || batchStartOf(source, later) > at;
      if (wasSynced && places < DAMAGE_PER_SEGMENT_MAX) {
        places += 1;
        this.#add({ path, offset: at, problem: `no valid record up to byte ${later}` });
      }
      at = later;
    }
    if (sealedEnd !== undefined && at !== sealedEnd)
      this.#add({ path, offset: at, problem: `its records should end at byte ${sealedEnd}` });
    return { records, endOffset: at };
  }

  #note(place: { sequence: number; offset: number }, record: RecordContent): void {
    this.#lastRecords.push({ ...place, record });
    if (this.#lastRecords.length > LAST_RECORDS) this.#lastRecords.shift();
    if (record.kind !== 'entry') return;
    this.#types.length = Math.max(
      0,
      Math.min(this.#types.length, record.index - this.#base.index - 1),
    );
    if (record.index > this.#base.index) this.#types.push(record.type);
  }

  #noting(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.#add(damageOf(thrown, this.#directory));
    }
  }

  #add(damage: LogDamage): void {
    const known = this.#damage.some(
      ({ path, offset }) => path === damage.path && offset === damage.offset,
    );
    if (!known) this.#damage.push(damage);
  }
}

function damageOf(thrown: unknown, directory: string): LogDamage {
  const error = thrown instanceof WalError ? thrown : unusableError(directory, thrown);
  const { path = directory, offset = 0, problem = error.message } = error.fields;
  return { path: String(path), offset: Number(offset), problem: String(problem) };
}
