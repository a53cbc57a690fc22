import { bytesEqual, toHex } from '../lib/bytes.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import type { PagedRange } from '../storage/keys.ts';
import { CodecError } from '../types/rlp.ts';
import type { PageReader } from './chunk_cursor.ts';
import type { ChainIdentity, HeadReader, SnapshotHead, StateReader } from './manifest.ts';
import { OpenSnapshot } from './open_snapshot.ts';
import {
  CHUNK_BYTES_MAX,
  decodeRequest,
  encodeResponse,
  type Refusal,
  SNAPSHOT_ID_BYTES,
  type SnapshotRequest,
  type SnapshotResponse,
} from './wire.ts';

/** The database at one moment, whatever is written later. */
export interface SnapshotReader extends PageReader, StateReader {
  /** May be called more than once. */
  close(): Promise<void>;
}

/** Where snapshots are taken from (storage/). */
export interface SnapshotDatabase {
  snapshot(): SnapshotReader;
}

export interface SnapshotSourceLimits {
  /** Snapshots held at once; each keeps what is deleted meanwhile on the disk. */
  readonly openMax: number;
  /** A snapshot that is not older than this is served to whoever asks for one. */
  readonly reuseMsMax: number;
  /**
   * One that nobody asked for during this time is closed; the receiver installs meanwhile, and catches up. One that was
   * long in use stays for longer: else a large state would never be installed before the log behind it is gone.
   */
  readonly idleMsMax: number;
  /** One that was asked for within this time is never closed in favour of another. */
  readonly busyMs: number;
  /** Payload of a chunk at most. */
  readonly chunkBytes: number;
}

const DEFAULT_LIMITS: SnapshotSourceLimits = {
  openMax: 2,
  reuseMsMax: 10_000,
  idleMsMax: 300_000,
  busyMs: 5_000,
  chunkBytes: CHUNK_BYTES_MAX,
};

/** An install, and the log behind it, take at most so many times as long as the fetch. */
const INSTALL_FACTOR = 2;
/** The log grows meanwhile, and the receiver may be dead: nobody is waited for longer than so many times `idleMsMax`. */
const IDLE_FACTOR_MAX = 12;

interface Held {
  readonly snapshot: OpenSnapshot;
  readonly reader: SnapshotReader;
  readonly openedMs: number;
  lastUsedMs: number;
}

/**
 * Serves snapshots of this member's state to others, while writes go on. It only answers: the receivers ask
 * for one chunk after the other, as fast as they can store them.
 */
export class SnapshotSource {
  readonly #chain: ChainIdentity;
  readonly #ranges: readonly PagedRange[];
  readonly #limits: SnapshotSourceLimits;
  readonly #database: SnapshotDatabase;
  readonly #readHead: HeadReader;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  #held: Held[] = [];
  #opening: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(
    options: {
      chain: ChainIdentity;
      /** What a snapshot carries. */
      ranges: readonly PagedRange[];
      limits?: Partial<SnapshotSourceLimits>;
    },
    dependencies: {
      database: SnapshotDatabase;
      /** Reads the head from the snapshot itself: the one in memory may lag behind it. */
      readHead: HeadReader;
      clock: Clock;
      random: Random;
      logger: Logger;
    },
  ) {
    this.#chain = options.chain;
    this.#ranges = options.ranges;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#database = dependencies.database;
    this.#readHead = dependencies.readHead;
    this.#clock = dependencies.clock;
    this.#random = dependencies.random;
    this.#logger = dependencies.logger;
  }

  /**
   * The log must be kept above this index, since a receiver will need what follows its snapshot; undefined
   * when nobody does. 0 while a snapshot is being taken.
   */
  get pinnedIndex(): number | undefined {
    if (this.#opening !== undefined) return 0;
    if (this.#held.length === 0) return undefined;
    return Math.min(...this.#held.map(({ snapshot }) => snapshot.header.index));
  }

  /** Answers one request; what is wrong with it or with this member is an answer too. */
  async handle(request: Uint8Array): Promise<Uint8Array> {
    return encodeResponse(await this.#answer(request));
  }

  /** Closes all snapshots. Requests that come later are refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#opening;
    this.#cancelTimer?.();
    await this.#close(this.#held);
  }

  async #answer(bytes: Uint8Array): Promise<SnapshotResponse> {
    let request: SnapshotRequest;
    try {
      request = decodeRequest(bytes);
    } catch (thrown) {
      this.#logger.warn({ error: errorText(thrown) }, 'request for a snapshot refused');
      return refused('malformed');
    }
    try {
      if (this.#stopped) return refused('stopping');
      if (request.type === 'open') return await this.#open(request.atLeastIndex);
      return await this.#chunk(request);
    } catch (thrown) {
      return this.#failed(request, thrown);
    }
  }

  async #open(atLeastIndex: number): Promise<SnapshotResponse> {
    for (;;) {
      const held = this.#reusable(atLeastIndex);
      if (held !== undefined) {
        held.lastUsedMs = this.#clock.monotonicMs();
        const { id, header, first } = held.snapshot;
        return { type: 'opened', snapshotId: id, header, start: first };
      }
      // One that is being taken may be too old for this request: it is looked at when it is there.
      if (this.#opening !== undefined) await this.#opening;
      else if (this.#stopped) return refused('stopping');
      else {
        const refusal = await this.#take(atLeastIndex);
        if (refusal !== undefined) return refused(refusal);
      }
    }
  }

  #reusable(atLeastIndex: number): Held | undefined {
    const now = this.#clock.monotonicMs();
    return this.#held.findLast(
      ({ snapshot, openedMs }) =>
        snapshot.header.index >= atLeastIndex && now - openedMs <= this.#limits.reuseMsMax,
    );
  }

  async #take(atLeastIndex: number): Promise<Refusal | undefined> {
    let settle: () => void = () => undefined;
    this.#opening = new Promise((resolve) => {
      settle = resolve;
    });
    try {
      if (!(await this.#makeRoom())) return 'busy';
      const reader = this.#database.snapshot();
      try {
        const head = await this.#readHead(reader);
        if (head === undefined || head.index < atLeastIndex) {
          await reader.close();
          return 'behind';
        }
        this.#hold(reader, head);
        return undefined;
      } catch (thrown) {
        await reader.close();
        throw thrown;
      }
    } finally {
      this.#opening = undefined;
      settle();
    }
  }

  async #makeRoom(): Promise<boolean> {
    if (this.#held.length < this.#limits.openMax) return true;
    const [idle] = [...this.#held].sort((left, right) => left.lastUsedMs - right.lastUsedMs);
    if (idle === undefined) return true;
    if (this.#clock.monotonicMs() - idle.lastUsedMs < this.#limits.busyMs) return false;
    await this.#close([idle]);
    return true;
  }

  #hold(reader: SnapshotReader, head: SnapshotHead): void {
    const now = this.#clock.monotonicMs();
    const id = Uint8Array.from({ length: SNAPSHOT_ID_BYTES }, () => this.#random() * 256);
    const header = { ...this.#chain, ...head };
    const { chunkBytes } = this.#limits;
    const snapshot = new OpenSnapshot({ id, header, ranges: this.#ranges, chunkBytes }, { reader });
    this.#held.push({ snapshot, reader, openedMs: now, lastUsedMs: now });
    this.#logger.info({ index: head.index, snapshot: toHex(id) }, 'snapshot opened');
    this.#schedule();
  }

  async #chunk(request: SnapshotRequest & { readonly type: 'chunk' }): Promise<SnapshotResponse> {
    const held = this.#find(request.snapshotId);
    if (held === undefined) return refused('unknown-snapshot');
    held.lastUsedMs = this.#clock.monotonicMs();
    return held.snapshot.chunk(request.number, request.start);
  }

  #find(id: Uint8Array): Held | undefined {
    return this.#held.find(({ snapshot }) => bytesEqual(snapshot.id, id));
  }

  /** A snapshot that cannot be read is given up: the receiver asks another member. */
  async #failed(request: SnapshotRequest, thrown: unknown): Promise<SnapshotResponse> {
    if (thrown instanceof CodecError) return refused('unknown-snapshot');
    if (this.#stopped) return refused('stopping');
    const held = request.type === 'chunk' ? this.#find(request.snapshotId) : undefined;
    // Closed while it was being read.
    if (request.type === 'chunk' && held === undefined) return refused('unknown-snapshot');
    this.#logger.error({ error: errorText(thrown) }, 'a snapshot cannot be read');
    if (held !== undefined) await this.#close([held]);
    return refused('damaged');
  }

  #schedule(): void {
    this.#cancelTimer ??= this.#clock.schedule(this.#limits.idleMsMax, () => {
      this.#cancelTimer = undefined;
      void this.#close(this.#held.filter((held) => this.#isIdle(held)));
      if (this.#held.length > 0 && !this.#stopped) this.#schedule();
    });
  }

  #isIdle({ openedMs, lastUsedMs }: Held): boolean {
    const { idleMsMax } = this.#limits;
    const installMs = INSTALL_FACTOR * (lastUsedMs - openedMs);
    const patienceMs = Math.min(Math.max(idleMsMax, installMs), IDLE_FACTOR_MAX * idleMsMax);
    return this.#clock.monotonicMs() - lastUsedMs >= patienceMs;
  }

  async #close(closing: readonly Held[]): Promise<void> {
    this.#held = this.#held.filter((held) => !closing.includes(held));
    for (const { snapshot, reader } of closing) {
      this.#logger.info({ index: snapshot.header.index }, 'snapshot closed');
      await reader.close();
    }
  }
}

function refused(refusal: Refusal): SnapshotResponse {
  return { type: 'refused', refusal };
}
