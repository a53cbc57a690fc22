import { bytesEqual } from '../lib/bytes.ts';
import type { Clock, Logger } from '../lib/environment.ts';
import { CodedError, errorText } from '../lib/error.ts';
import type { MemberId } from '../types/entry.ts';
import { CodecError } from '../types/rlp.ts';
import type { FileSystem } from '../wal/file_system.ts';
import type { ChainIdentity, SnapshotManifest } from './manifest.ts';
import { SnapshotError, unusableError } from './snapshot_error.ts';
import { discardStaging, readStagedManifest, Staging } from './staging.ts';
import {
  type ChunkResponse,
  decodeResponse,
  encodeRequest,
  type OpenedResponse,
  type SnapshotRequest,
  type SnapshotResponse,
} from './wire.ts';

/** A snapshot that is completely on this member's disk. */
export type StagedSnapshot = SnapshotManifest;

export interface FetchProgress {
  readonly from: MemberId;
  /** Of the snapshot. */
  readonly index: number;
  readonly chunks: number;
  readonly bytes: number;
}

export interface SnapshotFetchOptions {
  readonly memberFolder: string;
  readonly chain: ChainIdentity;
}

export interface SnapshotFetchDependencies {
  /** Asks a member; rejects when there is no response. Responses may be late, doubled or damaged. */
  readonly request: (to: MemberId, payload: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Answer<Response> {
  readonly response: Response;
  /** The bytes that it came in. */
  readonly message: Uint8Array;
}

/** Attempts of one request before the source counts as unreachable. */
const ATTEMPTS_MAX = 6;
/** Pause after the first failed attempt; it doubles with each. */
const PAUSE_MS_FIRST = 50;
/** Snapshots that one call begins: a source that always loses its own is asked later. */
const BEGINNINGS_MAX = 3;

/**
 * Pulls a snapshot from another member onto this member's disk. It holds two chunks in memory, stores one
 * while it waits for the next, and goes on where it stopped: after lost responses, lost connections and
 * restarts, as long as the source still has the snapshot.
 */
export class SnapshotFetch {
  readonly #memberFolder: string;
  readonly #chain: ChainIdentity;
  readonly #dependencies: SnapshotFetchDependencies;
  #progress: FetchProgress | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #supersede = new AbortController();

  constructor(options: SnapshotFetchOptions, dependencies: SnapshotFetchDependencies) {
    this.#memberFolder = options.memberFolder;
    this.#chain = options.chain;
    this.#dependencies = dependencies;
  }

  /** Of the fetch that is running; undefined when none is. */
  get progress(): FetchProgress | undefined {
    return this.#progress;
  }

  /**
   * Resolves once a snapshot at or above the index is on the disk as a whole, durable and checked; one that is
   * there already will do. A call ends the one before it (ABORTED), and goes on with its chunks when they are
   * of the same source and new enough. Rejects with a SnapshotError; what was stored serves the next call.
   */
  fetch(options: {
    readonly from: MemberId;
    readonly atLeastIndex: number;
    readonly signal: AbortSignal;
  }): Promise<StagedSnapshot> {
    this.#supersede.abort();
    this.#supersede = new AbortController();
    const signal = AbortSignal.any([options.signal, this.#supersede.signal]);
    const fetched = this.#running.then(() => this.#run({ ...options, signal }));
    this.#running = fetched.catch(() => undefined);
    return fetched;
  }

  async #run(options: {
    from: MemberId;
    atLeastIndex: number;
    signal: AbortSignal;
  }): Promise<StagedSnapshot> {
    try {
      const { fileSystem } = this.#dependencies;
      const staged = await readStagedManifest(this.#memberFolder, fileSystem);
      if (staged !== undefined && staged.index >= options.atLeastIndex && this.#isOurs(staged))
        return staged;
      for (let beginning = 0; beginning < BEGINNINGS_MAX; beginning += 1) {
        const staging = await this.#resumeOrBegin(options);
        const complete = await this.#pull(staging, options.signal);
        if (complete !== undefined) return complete;
        await discardStaging(this.#memberFolder, fileSystem);
      }
      throw refusedError(options.from, 'unknown-snapshot');
    } catch (thrown) {
      if (options.signal.aborted) throw abortedError();
      throw thrown instanceof CodedError ? thrown : unusableError(this.#memberFolder, thrown);
    } finally {
      this.#progress = undefined;
    }
  }

  async #resumeOrBegin(options: {
    from: MemberId;
    atLeastIndex: number;
    signal: AbortSignal;
  }): Promise<Staging> {
    const { from, atLeastIndex, signal } = options;
    const { fileSystem, logger } = this.#dependencies;
    const begun = await Staging.resume(this.#memberFolder, fileSystem);
    if (begun !== undefined) {
      const { header } = begun.source.opened;
      const isWanted = begun.source.from === from && header.index >= atLeastIndex;
      if (isWanted && this.#isOurs(header)) return begun;
    }
    const { response: opened } = await this.#ask({ type: 'open', atLeastIndex }, isOpened, {
      from,
      signal,
    });
    if (!this.#isOurs(opened.header))
      throw new SnapshotError(
        'FOREIGN',
        `member ${from} offers a snapshot of cluster ${opened.header.clusterId} or of another genesis`,
        { fields: { from } },
      );
    if (opened.header.index < atLeastIndex) throw refusedError(from, 'behind');
    logger.info({ from, index: opened.header.index }, 'fetching a snapshot');
    return Staging.begin(this.#memberFolder, { from, opened }, fileSystem);
  }

  #isOurs({ clusterId, genesisHash }: ChainIdentity): boolean {
    return clusterId === this.#chain.clusterId && bytesEqual(genesisHash, this.#chain.genesisHash);
  }

  /** Undefined when the source does not have the snapshot any more. */
  async #pull(staging: Staging, signal: AbortSignal): Promise<StagedSnapshot | undefined> {
    const { sequence } = staging;
    try {
      let asked = this.#askNext(staging, signal);
      while (asked !== undefined) {
        const { response, message } = await asked;
        // The next chunk is on its way while this one is stored; adding it to the sequence comes first.
        const stored = staging.append(response, message);
        asked = this.#askNext(staging, signal);
        asked?.catch(() => undefined);
        await stored;
        this.#report(staging);
      }
      const manifest = await staging.complete();
      const { index, chunkCount } = manifest;
      this.#dependencies.logger.info(
        { index, chunks: chunkCount, bytes: sequence.payloadBytes },
        'snapshot fetched',
      );
      return manifest;
    } catch (thrown) {
      await staging.close().catch(() => undefined);
      if (!(thrown instanceof SnapshotError)) throw thrown;
      if (thrown.fields.refusal === 'unknown-snapshot') return undefined;
      // What does not add up is of no use to the next call.
      if (thrown.code === 'DAMAGED' && sequence.next === undefined)
        await discardStaging(this.#memberFolder, this.#dependencies.fileSystem);
      throw thrown;
    }
  }

  #report({ source, sequence }: Staging): void {
    this.#progress = {
      from: source.from,
      index: source.opened.header.index,
      chunks: sequence.count,
      bytes: sequence.payloadBytes,
    };
  }

  #askNext(
    { source, sequence }: Staging,
    signal: AbortSignal,
  ): Promise<Answer<ChunkResponse>> | undefined {
    const start = sequence.next;
    if (start === undefined) return undefined;
    const { snapshotId } = source.opened;
    return this.#ask(
      { type: 'chunk', snapshotId, number: sequence.count, start },
      (response) => (response.type === 'chunk' && sequence.isNext(response) ? response : undefined),
      { from: source.from, signal },
    );
  }

  /** Asks until there is an answer that fits: a lost, late or damaged one is asked for again. */
  async #ask<Response>(
    request: SnapshotRequest,
    accept: (response: SnapshotResponse) => Response | undefined,
    { from, signal }: { from: MemberId; signal: AbortSignal },
  ): Promise<Answer<Response>> {
    const { clock, logger } = this.#dependencies;
    const payload = encodeRequest(request);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const message = await this.#dependencies.request(from, payload, signal);
        const response = decodeResponse(message);
        if (signal.aborted) throw abortedError();
        if (response.type === 'refused') throw refusedError(from, response.refusal);
        const accepted = accept(response);
        if (accepted !== undefined) return { response: accepted, message };
        throw new CodecError('it answers something else');
      } catch (thrown) {
        if (signal.aborted) throw abortedError();
        if (thrown instanceof SnapshotError) throw thrown;
        logger.warn({ from, attempt, error: errorText(thrown) }, 'asking for a snapshot failed');
        if (attempt === ATTEMPTS_MAX) throw givenUpError(from, thrown);
      }
      await pause(PAUSE_MS_FIRST * 2 ** (attempt - 1), clock, signal);
    }
  }
}

function isOpened(response: SnapshotResponse): OpenedResponse | undefined {
  return response.type === 'opened' ? response : undefined;
}

function pause(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.schedule(delayMs, end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}

function refusedError(from: MemberId, refusal: string): SnapshotError {
  const code = refusal === 'damaged' ? 'DAMAGED' : 'REFUSED';
  return new SnapshotError(code, `member ${from} serves no snapshot: ${refusal}`, {
    fields: { from, refusal },
  });
}

/** A source whose every answer is damaged is no better than one that cannot read its own disk. */
function givenUpError(from: MemberId, cause: unknown): SnapshotError {
  const [code, what] =
    cause instanceof CodecError
      ? (['DAMAGED', 'sends what cannot be read'] as const)
      : (['UNREACHABLE', 'does not answer'] as const);
  return new SnapshotError(code, `member ${from} ${what}: ${errorText(cause)}`, {
    fields: { from },
    cause,
  });
}

function abortedError(): SnapshotError {
  return new SnapshotError('ABORTED', 'the snapshot is not wanted any more, or a newer one is');
}
