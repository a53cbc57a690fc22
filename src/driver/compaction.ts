import { assert } from '../lib/assert.ts';
import type { Logger } from '../lib/environment.ts';

/** Bytes and entries of the log at which its beginning is dropped, and how much of it is kept. */
export interface CompactionLimits {
  readonly compactBytes: number;
  readonly compactEntries: number;
  /** Applied entries that stay, so that a follower that was away for a moment needs no snapshot. */
  readonly tailEntries: number;
}

/** What the log holds now. */
export interface LogExtent {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly retainedBytes: number;
}

/** Who still needs something of it. */
export interface LogDemands {
  readonly appliedIndex: number;
  /** Index of a snapshot that a member is fetching: it continues from there. */
  readonly pinnedIndex: number | undefined;
  /** Last entry that each follower heard lately is known to hold; empty unless this member leads. */
  readonly followers: readonly number[];
}

export interface CompactionDependencies {
  readonly log: LogExtent & {
    /** Durably drops everything up to the index. */
    compact(index: number): Promise<void>;
  };
  readonly database: {
    /** Makes everything durable that was written. */
    flush(): Promise<void>;
  };
  readonly demands: () => LogDemands;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

/** A log of this many times its limits waits for no follower: one that slow takes a snapshot. */
const PATIENCE_FACTOR = 4;
/** Less than this part of the log is not worth the flush that it costs. */
const GAIN_MIN = 1 / 8;

/** Drops the beginning of the log whenever it has become too long. */
export class Compaction {
  readonly #limits: CompactionLimits;
  readonly #dependencies: CompactionDependencies;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(limits: CompactionLimits, dependencies: CompactionDependencies) {
    this.#limits = limits;
    this.#dependencies = dependencies;
  }

  /** Entries were applied. */
  check(): void {
    if (this.#running !== undefined || this.#stopped) return;
    const { log, demands } = this.#dependencies;
    if (excessOf(log, this.#limits) < 1) return;
    const index = compactionIndex(log, this.#limits, demands());
    if (index === undefined) return;
    this.#running = this.#run(index).finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing is under way; nothing begins afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(index: number): Promise<void> {
    const { log, database, logger, onFatal } = this.#dependencies;
    try {
      // The log is what brings back what the machine's crash takes from the database: it goes last.
      await database.flush();
      if (this.#stopped) return;
      await log.compact(index);
      logger.info(
        { index, lastIndex: log.lastIndex, retainedBytes: log.retainedBytes },
        'log compacted',
      );
    } catch (thrown) {
      if (!this.#stopped) onFatal(thrown);
    }
  }
}

/**
 * The index up to which the log may be dropped; undefined when it is short enough, or too little can go. It is
 * applied here, below what a snapshot under way continues from, and held by every follower that was heard lately,
 * unless the log has become so long that waiting for the slowest would cost the disk.
 */
export function compactionIndex(
  log: LogExtent,
  limits: CompactionLimits,
  { appliedIndex, pinnedIndex, followers }: LogDemands,
): number | undefined {
  assert(appliedIndex <= log.lastIndex, 'what is applied is in the log');
  const excess = excessOf(log, limits);
  if (excess < 1) return undefined;
  const entries = log.lastIndex - log.firstIndex + 1;
  // When it is their bytes that are too many, fewer entries stay than the tail asks for.
  let index = appliedIndex - Math.min(limits.tailEntries, Math.floor(entries / 2));
  if (pinnedIndex !== undefined) index = Math.min(index, pinnedIndex);
  if (excess < PATIENCE_FACTOR) index = Math.min(index, ...followers);
  const gain = index - log.firstIndex + 1;
  return gain > 0 && gain >= entries * GAIN_MIN ? index : undefined;
}

/** At least 1 when the log is too long. */
function excessOf(log: LogExtent, { compactBytes, compactEntries }: CompactionLimits): number {
  const entries = log.lastIndex - log.firstIndex + 1;
  return Math.max(entries / compactEntries, log.retainedBytes / compactBytes);
}
