import { join } from 'node:path';
import { bytesEqual } from '../lib/bytes.ts';
import type { MemberId } from '../types/entry.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, scalar } from '../types/rlp.ts';
import type { FileSystem } from '../wal/file_system.ts';
import { ChunkSequence } from './chunk_sequence.ts';
import { decodeManifest, encodeManifest, type SnapshotManifest } from './manifest.ts';
import { readSmallFile, writeSmallFile } from './small_file.ts';
import { SnapshotError } from './snapshot_error.ts';
import { FIRST_POSITION, type PartPosition, PartWriter, readParts } from './staging_parts.ts';
import { type ChunkResponse, decodeResponse, encodeResponse, type OpenedResponse } from './wire.ts';

/** Folder in the member's folder where a snapshot is kept until it is installed. */
const STAGING_NAME = 'incoming';
/** Who sends which snapshot. */
const SOURCE_NAME = 'source';
/** Present once all of the snapshot is here and durable. */
const MANIFEST_NAME = 'manifest';

/** Which snapshot is staged, and from whom. */
export interface StagedSource {
  readonly from: MemberId;
  readonly opened: OpenedResponse;
}

/** The chunks of one snapshot on their way into this member: durable now and then, and resumable. */
export class Staging {
  readonly source: StagedSource;
  readonly sequence: ChunkSequence;
  readonly #directory: string;
  readonly #fileSystem: FileSystem;
  readonly #writer: PartWriter;

  /** Throws away what was staged before. */
  static async begin(
    memberFolder: string,
    source: StagedSource,
    fileSystem: FileSystem,
  ): Promise<Staging> {
    const directory = join(memberFolder, STAGING_NAME);
    await fileSystem.createDirectory(directory);
    await discardStaging(memberFolder, fileSystem);
    const content = encodeRlp([scalar(source.from), encodeResponse(source.opened)]);
    await writeSmallFile({ directory, name: SOURCE_NAME, content }, fileSystem);
    await fileSystem.syncDirectory(memberFolder);
    const sequence = new ChunkSequence(source.opened);
    return new Staging({ directory, source, sequence, position: FIRST_POSITION }, { fileSystem });
  }

  /** Goes on behind the last chunk that is intact; undefined when nothing was begun. */
  static async resume(memberFolder: string, fileSystem: FileSystem): Promise<Staging | undefined> {
    const source = await readSource(memberFolder, fileSystem);
    if (source === undefined) return undefined;
    const directory = join(memberFolder, STAGING_NAME);
    const sequence = new ChunkSequence(source.opened);
    let position = FIRST_POSITION;
    for await (const { message, end } of readParts(directory, fileSystem)) {
      const chunk = intactChunk(message);
      if (chunk === undefined || !sequence.isNext(chunk)) break;
      sequence.add(chunk);
      position = end;
    }
    return new Staging({ directory, source, sequence, position }, { fileSystem });
  }

  /** Use `begin` or `resume`. */
  constructor(
    options: {
      directory: string;
      source: StagedSource;
      sequence: ChunkSequence;
      position: PartPosition;
    },
    dependencies: { fileSystem: FileSystem },
  ) {
    const { directory, position } = options;
    this.source = options.source;
    this.sequence = options.sequence;
    this.#directory = directory;
    this.#fileSystem = dependencies.fileSystem;
    this.#writer = new PartWriter({ directory, position }, dependencies);
  }

  /**
   * Stores the chunk that comes next, as the message that it came in. It may be lost with the power, and is then
   * fetched again.
   */
  async append(chunk: ChunkResponse, message: Uint8Array): Promise<void> {
    this.sequence.add(chunk);
    await this.#writer.append(message);
  }

  /** After the last chunk: from then on the snapshot survives. Throws DAMAGED when it is not what was sent. */
  async complete(): Promise<SnapshotManifest> {
    const manifest = this.sequence.manifest();
    await this.#writer.close();
    await writeSmallFile(
      { directory: this.#directory, name: MANIFEST_NAME, content: encodeManifest(manifest) },
      this.#fileSystem,
    );
    return manifest;
  }

  /** Gives the files back; what was stored stays. */
  close(): Promise<void> {
    return this.#writer.close();
  }
}

/** The snapshot that is completely here; undefined when there is none. */
export async function readStagedManifest(
  memberFolder: string,
  fileSystem: FileSystem,
): Promise<SnapshotManifest | undefined> {
  const content = await readStagingFile(memberFolder, MANIFEST_NAME, fileSystem);
  return content === undefined ? undefined : decodedOrNothing(() => decodeManifest(content));
}

/**
 * Index of the snapshot that is staged in whole or in part; 0 when that cannot be told any more, undefined when
 * nothing is.
 */
export async function readStagedIndex(
  memberFolder: string,
  fileSystem: FileSystem,
): Promise<number | undefined> {
  const names = await stagingNames(memberFolder, fileSystem);
  if (names.length === 0) return undefined;
  const source = await readSource(memberFolder, fileSystem);
  return source?.opened.header.index ?? 0;
}

/**
 * The payloads of a complete snapshot. Throws DAMAGED, at the end at the latest, when they are not those bound;
 * its field `resumable` says that what stands before the damage is good.
 */
export async function* readStagedChunks(
  options: { memberFolder: string; manifest: SnapshotManifest },
  fileSystem: FileSystem,
): AsyncGenerator<Uint8Array, void, void> {
  const { memberFolder, manifest } = options;
  const source = await readSource(memberFolder, fileSystem);
  if (source === undefined) throw damagedError(manifest);
  const sequence = new ChunkSequence(source.opened);
  for await (const { message } of readParts(join(memberFolder, STAGING_NAME), fileSystem)) {
    const chunk = intactChunk(message);
    if (chunk === undefined || !sequence.isNext(chunk)) break;
    sequence.add(chunk);
    yield chunk.payload;
    if (sequence.next === undefined) break;
  }
  if (sequence.next !== undefined) throw damagedError(manifest);
  if (!bytesEqual(encodeManifest(sequence.manifest()), encodeManifest(manifest)))
    throw damagedError(manifest);
}

/** What is staged counts as incomplete again, so that the damaged rest is fetched again. */
export async function distrustStaging(memberFolder: string, fileSystem: FileSystem): Promise<void> {
  const directory = join(memberFolder, STAGING_NAME);
  await fileSystem.remove(join(directory, MANIFEST_NAME));
  await fileSystem.syncDirectory(directory);
}

/** Removes all that is staged. */
export async function discardStaging(memberFolder: string, fileSystem: FileSystem): Promise<void> {
  const names = await stagingNames(memberFolder, fileSystem);
  if (names.length === 0) return;
  const directory = join(memberFolder, STAGING_NAME);
  // Whatever a crash leaves must not count as complete, and then not as begun.
  for (const first of [MANIFEST_NAME, SOURCE_NAME])
    if (names.includes(first)) {
      await fileSystem.remove(join(directory, first));
      await fileSystem.syncDirectory(directory);
    }
  for (const name of names)
    if (name !== MANIFEST_NAME && name !== SOURCE_NAME)
      await fileSystem.remove(join(directory, name));
  await fileSystem.syncDirectory(directory);
}

async function readSource(
  memberFolder: string,
  fileSystem: FileSystem,
): Promise<StagedSource | undefined> {
  const content = await readStagingFile(memberFolder, SOURCE_NAME, fileSystem);
  if (content === undefined) return undefined;
  return decodedOrNothing(() => {
    const reader = new FieldReader(decodeRlp(content), 'source', 2);
    const from = reader.number('from');
    const opened = decodeResponse(reader.bytes('opened'));
    return opened.type === 'opened' ? { from, opened } : undefined;
  });
}

async function readStagingFile(
  memberFolder: string,
  name: string,
  fileSystem: FileSystem,
): Promise<Uint8Array | undefined> {
  const names = await stagingNames(memberFolder, fileSystem);
  if (!names.includes(name)) return undefined;
  return readSmallFile(join(memberFolder, STAGING_NAME, name), fileSystem);
}

async function stagingNames(memberFolder: string, fileSystem: FileSystem): Promise<string[]> {
  const names = await fileSystem.list(memberFolder);
  return names.includes(STAGING_NAME) ? fileSystem.list(join(memberFolder, STAGING_NAME)) : [];
}

function intactChunk(message: Uint8Array): ChunkResponse | undefined {
  return decodedOrNothing(() => {
    const response = decodeResponse(message);
    return response.type === 'chunk' ? response : undefined;
  });
}

/** What is staged may be damaged, and then it is as good as absent: it can be had again. */
function decodedOrNothing<Value>(decode: () => Value): Value | undefined {
  try {
    return decode();
  } catch (thrown) {
    if (thrown instanceof CodecError) return undefined;
    throw thrown;
  }
}

function damagedError({ index }: SnapshotManifest): SnapshotError {
  return new SnapshotError(
    'DAMAGED',
    `the snapshot at ${index} was damaged on this member's disk: it is fetched again; check the disk`,
    { fields: { index, resumable: true } },
  );
}
