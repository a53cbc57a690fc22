import { verifyCommit } from '../crypto/block.ts';
import { assert, unreachable } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import type { Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { Database } from '../storage/database.ts';
import { type Command, decodeCommand } from '../types/command.ts';
import { decodeConfiguration } from '../types/configuration.ts';
import type { Entry } from '../types/entry.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Hash } from '../types/primitives.ts';
import { applyAdmission } from './apply_admission.ts';
import { applyDecision, applyOutcome, applyProposal } from './apply_block.ts';
import {
  type AppliedOutcome,
  ApplyRange,
  type DecodedEntry,
  type RangeEffects,
} from './apply_range.ts';
import type { Chain } from './chain.ts';
import { HEAD_KEY } from './keys.ts';
import { LedgerError } from './ledger_error.ts';
import type { LedgerHead } from './ledger_head.ts';
import { encodeHead } from './records.ts';

/**
 * The replicated state machine: applies committed entries in order. Equal logs give equal state on
 * every member; nothing here looks at time, randomness, roles or configuration of one member alone.
 */
export class Ledger {
  readonly #clusterId: string;
  readonly #genesis: Genesis;
  readonly #database: Database;
  readonly #mempool: Mempool;
  readonly #chain: Chain;
  readonly #logger: Logger;
  readonly #beforeOutcome: (applied: AppliedOutcome) => void;
  #head: LedgerHead;
  #applying = false;

  constructor(
    options: { clusterId: string; genesis: Genesis; head: LedgerHead },
    dependencies: {
      database: Database;
      mempool: Mempool;
      chain: Chain;
      logger: Logger;
      /** An outcome is about to become the state that readers see. */
      beforeOutcome: (applied: AppliedOutcome) => void;
    },
  ) {
    this.#clusterId = options.clusterId;
    this.#genesis = options.genesis;
    this.#head = options.head;
    this.#database = dependencies.database;
    this.#mempool = dependencies.mempool;
    this.#chain = dependencies.chain;
    this.#logger = dependencies.logger;
    this.#beforeOutcome = dependencies.beforeOutcome;
  }

  get head(): LedgerHead {
    return this.#head;
  }

  /**
   * Applies a prefix of the entries in one atomic batch that also holds the applied index: all of them,
   * or those up to and with the first outcome, so that flat state never changes within a batch.
   * The effects are durable in the order of the log when this resolves. Any error is fatal for the member.
   */
  async apply(entries: readonly Entry[]): Promise<RangeEffects> {
    assert(!this.#applying, 'ranges are applied one after the other');
    assert(entries.length > 0, 'a range has an entry');
    this.#applying = true;
    const range = await ApplyRange.prepare(
      { entries: this.#decodeRange(entries), head: this.#head },
      { database: this.#database, mempool: this.#mempool, chain: this.#chain },
    );
    for (const { entry, command, configuration } of range.entries) {
      assert(entry.index === range.appliedIndex + 1, 'entries are applied without gaps');
      if (configuration !== undefined) range.configure({ index: entry.index, configuration });
      if (command !== undefined) await this.#dispatch(range, entry, command);
      range.appliedIndex = entry.index;
      range.appliedTerm = entry.term;
    }
    const head = range.headAfter();
    range.batch.put(HEAD_KEY, encodeHead(head));
    if (range.effects.executed !== undefined) this.#beforeOutcome(range.effects.executed);
    await this.#database.write(range.batch);
    this.#head = head;
    this.#applying = false;
    return range.effects;
  }

  async #dispatch(range: ApplyRange, entry: Entry, command: Command): Promise<void> {
    switch (command.type) {
      case 'AdmitTransactions':
        return applyAdmission(range, entry, command);
      case 'BlockProposed':
        return applyProposal(range, command);
      case 'BlockDecided':
        return applyDecision(range, command, (commit, blockHash) =>
          this.#certificateHolds(commit, blockHash),
        );
      case 'BlockOutcome':
        return applyOutcome(range, command);
      default:
        return unreachable(command);
    }
  }

  #certificateHolds(commit: Parameters<typeof verifyCommit>[0], id: Hash): boolean {
    if (!bytesEqual(commit.blockId, id)) return false;
    try {
      verifyCommit(commit, this.#genesis.validators, this.#genesis.chainId);
      return true;
    } catch (thrown) {
      this.#logger.error(
        { height: commit.height, reason: errorText(thrown) },
        'certificate in the log does not verify',
      );
      return false;
    }
  }

  #decodeRange(entries: readonly Entry[]): DecodedEntry[] {
    const decoded: DecodedEntry[] = [];
    for (const entry of entries) {
      const item = this.#decode(entry);
      decoded.push(item);
      if (item.command?.type === 'BlockOutcome') break;
    }
    return decoded;
  }

  #decode(entry: Entry): DecodedEntry {
    const decoded = { entry, command: undefined, configuration: undefined };
    if (entry.type === 'noop') return decoded;
    try {
      if (entry.type === 'configuration')
        return { ...decoded, configuration: decodeConfiguration(entry.data) };
      const envelope = decodeCommand(entry.data);
      if (envelope.clusterId !== this.#clusterId)
        throw new Error(`it belongs to cluster ${envelope.clusterId}, not ${this.#clusterId}`);
      if (envelope.term !== entry.term)
        throw new Error(`it was written in term ${envelope.term} but stands in ${entry.term}`);
      return { ...decoded, command: envelope.command };
    } catch (thrown) {
      throw new LedgerError(
        'CANNOT_APPLY',
        `entry ${entry.index} of the log cannot be applied: ${errorText(thrown)}`,
        { fields: { index: entry.index, term: entry.term }, cause: thrown },
      );
    }
  }
}
