import { FENCE_KEY, REMOVED_KEY } from '../ledger/keys.ts';
import type { Logger } from '../lib/environment.ts';
import type { Database } from '../storage/database.ts';
import { storedMark, storeMark } from './marks.ts';
import type { ReadinessWatch } from './readiness.ts';

export interface StandingDependencies {
  readonly database: Database;
  readonly readiness: ReadinessWatch;
  /** From now on this member neither leads nor produces blocks. */
  readonly onFenced: () => void;
  /** The mark is durable: the member shall be stopped. */
  readonly onRemoved: (reason: string) => void;
  readonly onFatal: (error: unknown) => void;
  readonly logger: Logger;
}

/** What takes a member out of service for good. Both outlast its process: nothing of it heals by a restart. */
export class Standing {
  readonly #dependencies: StandingDependencies;
  #removed = false;

  constructor(dependencies: StandingDependencies) {
    this.#dependencies = dependencies;
  }

  /** Takes up the fence of an earlier life; a removed member does not get here. */
  async recall(): Promise<void> {
    const { database, logger } = this.#dependencies;
    const reason = await storedMark(FENCE_KEY, database);
    if (reason === undefined) return;
    logger.error({ reason }, 'fenced since an earlier start; replace this member');
    this.#fence(reason);
  }

  /** A member that is wrong keeps its log and nothing else: it neither leads, executes, answers nor signs. */
  fence(reason: string): void {
    const { database, readiness, logger, onFatal } = this.#dependencies;
    if (readiness.fencedReason !== undefined) return;
    logger.error({ reason }, 'this member fences itself');
    this.#fence(reason);
    storeMark(FENCE_KEY, reason, database).catch(onFatal);
  }

  /** The cluster goes on without this member. */
  leave(reason: string): void {
    if (this.#removed) return;
    this.#removed = true;
    const { database, readiness, logger, onRemoved, onFatal } = this.#dependencies;
    logger.info({ reason }, 'this member was removed from the cluster');
    readiness.removed();
    storeMark(REMOVED_KEY, reason, database).then(() => onRemoved(reason), onFatal);
  }

  #fence(reason: string): void {
    this.#dependencies.readiness.fence(reason);
    this.#dependencies.onFenced();
  }
}
