import { readAppliedHead } from '../ledger/applied_head.ts';
import { SNAPSHOT_RANGES } from '../ledger/keys.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import type { SnapshotPosition, SnapshotWanted } from '../raft/ready.ts';
import type { ChainIdentity } from '../snapshot/manifest.ts';
import { SnapshotError } from '../snapshot/snapshot_error.ts';
import { SnapshotFetch } from '../snapshot/snapshot_fetch.ts';
import { SnapshotSource } from '../snapshot/snapshot_source.ts';
import { discardStaging } from '../snapshot/staging.ts';
import { encodeResponse } from '../snapshot/wire.ts';
import type { Database } from '../storage/database.ts';
import type { MemberId } from '../types/entry.ts';
import type { FileSystem } from '../wal/file_system.ts';

export interface SnapshotExchangeOptions {
  readonly memberFolder: string;
  readonly chain: ChainIdentity;
}

export interface SnapshotExchangeDependencies {
  readonly database: Database;
  readonly fileSystem: FileSystem;
  /** Asks a member for a part of its snapshot. */
  readonly request: (to: MemberId, payload: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;
  /** Whom to ask when the leader cannot serve one: the voters that can be reached now. */
  readonly voters: () => readonly MemberId[];
  /** Whether this member's state is known to be wrong: nobody may get it then. */
  readonly isFenced: () => boolean;
  /** Asks the core whether the snapshot at hand must replace state and log. */
  readonly offer: (position: SnapshotPosition) => 'install' | 'notNeeded';
  /** It must: this member shall be stopped and started again. */
  readonly onInstall: () => void;
  readonly onFatal: (error: unknown) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Pause after a fetch that failed; the leader repeats its wish with each heartbeat. */
const RETRY_MS = 500;

interface Fetching {
  readonly wanted: SnapshotWanted;
  readonly abort: AbortController;
}

/** Snapshots of this member for others, and those of others for this member. */
export class SnapshotExchange {
  readonly #options: SnapshotExchangeOptions;
  readonly #dependencies: SnapshotExchangeDependencies;
  readonly #source: SnapshotSource;
  readonly #fetch: SnapshotFetch;
  /** Those that had none to give. They are asked again when nobody else is left. */
  readonly #useless = new Set<MemberId>();
  #fetching: Fetching | undefined;
  #running: Promise<void> = Promise.resolve();
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(options: SnapshotExchangeOptions, dependencies: SnapshotExchangeDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#source = new SnapshotSource(
      { chain: options.chain, ranges: SNAPSHOT_RANGES },
      { ...dependencies, readHead: readAppliedHead },
    );
    this.#fetch = new SnapshotFetch(options, dependencies);
  }

  /** The log must be kept above this index for a member that fetches a snapshot; undefined when none does. */
  get pinnedIndex(): number | undefined {
    return this.#source.pinnedIndex;
  }

  /** Answers a member that fetches. */
  async handle(request: Uint8Array): Promise<Uint8Array> {
    if (this.#dependencies.isFenced())
      return encodeResponse({ type: 'refused', refusal: 'damaged' });
    return this.#source.handle(request);
  }

  /** The leader's log begins behind what this member lacks. The latest wish counts. */
  wanted(wanted: SnapshotWanted): void {
    if (this.#stopped || this.#dependencies.clock.monotonicMs() < this.#restUntilMs) return;
    const current = this.#fetching?.wanted;
    if (current?.from === wanted.from && wanted.index <= current.index) return;
    this.#fetching?.abort.abort();
    const fetching = { wanted, abort: new AbortController() };
    this.#fetching = fetching;
    // One after the other: what the last one clears away must not be what this one stores.
    this.#running = this.#running.then(() => this.#run(fetching)).catch(this.#dependencies.onFatal);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#fetching?.abort.abort();
    await this.#running;
    await this.#source.stop();
  }

  async #run(fetching: Fetching): Promise<void> {
    const { wanted, abort } = fetching;
    const staged = await this.#fetched(wanted, abort.signal);
    if (abort.signal.aborted) return;
    if (staged === undefined) this.#restUntilMs = this.#dependencies.clock.monotonicMs() + RETRY_MS;
    else await this.#offer(staged);
    if (this.#fetching === fetching) this.#fetching = undefined;
  }

  async #offer(staged: SnapshotPosition): Promise<void> {
    const { offer, onInstall, fileSystem } = this.#dependencies;
    this.#useless.clear();
    if (offer(staged) === 'install') onInstall();
    // The log has gone on meanwhile and holds what the snapshot does.
    else await discardStaging(this.#options.memberFolder, fileSystem);
  }

  async #fetched(
    { from: leader, index }: SnapshotWanted,
    signal: AbortSignal,
  ): Promise<SnapshotPosition | undefined> {
    const from = this.#sourceFor(leader);
    try {
      return await this.#fetch.fetch({ from, atLeastIndex: index, signal });
    } catch (thrown) {
      if (signal.aborted) return undefined;
      if (isUseless(thrown, from === leader)) this.#useless.add(from);
      this.#dependencies.logger.warn(
        { from, index, reason: errorText(thrown) },
        'no snapshot could be fetched',
      );
      return undefined;
    }
  }

  /** The leader keeps its log for whoever fetches from it; the others only have the state as well. */
  #sourceFor(leader: MemberId): MemberId {
    const sources = [leader, ...this.#dependencies.voters()];
    const source = sources.find((id) => !this.#useless.has(id));
    if (source !== undefined) return source;
    this.#useless.clear();
    return leader;
  }
}

/**
 * Whether somebody else should be asked the next time: not when this member's own disk failed, nor when the leader could
 * not be reached for a moment, since what it sent so far is of use to the next attempt.
 */
function isUseless(thrown: unknown, isLeader: boolean): boolean {
  if (!(thrown instanceof SnapshotError)) return false;
  const { code } = thrown;
  return (
    code === 'DAMAGED' ||
    code === 'REFUSED' ||
    code === 'FOREIGN' ||
    (code === 'UNREACHABLE' && !isLeader)
  );
}
