import { blockId, commitHash } from '../crypto/block.ts';
import { receiptsRoot, transactionsRoot } from '../crypto/merkle.ts';
import { transactionHash } from '../crypto/transaction.ts';
import { assert } from '../lib/assert.ts';
import { bytesEqual, toHex } from '../lib/bytes.ts';
import type { Commit } from '../types/block.ts';
import { decodeHeader, encodeCommit } from '../types/block.ts';
import type {
  AdmittedTransaction,
  BlockDecided,
  BlockOutcome,
  BlockProposed,
} from '../types/command.ts';
import { decodeOutcome, encodeDelta, type Outcome } from '../types/outcome.ts';
import type { Hash } from '../types/primitives.ts';
import type { ApplyRange } from './apply_range.ts';
import {
  blockHeightKey,
  blockKey,
  commitKey,
  outcomeKey,
  reverseDeltaKey,
  UNDECIDED_KEY,
} from './keys.ts';
import { encodeHeight } from './records.ts';
import { checkDelta, reverseOf, writeDelta } from './state_changes.ts';
import { encodeStoredBlock, type StoredBlock } from './stored_block.ts';

/**
 * Fixes the block of the next height. The first proposal of a height stands and any later one is void: what
 * is signed there is always this block, so two signatures for one height cannot differ, whoever leads.
 * A proposal is void as well when an earlier entry took one of its transactions out of the mempool.
 */
export function applyProposal(range: ApplyRange, command: BlockProposed): void {
  const header = decodeHeader(command.header);
  const isNext =
    range.undecided === undefined &&
    range.executedHeight === range.decidedHeight &&
    header.height === range.decidedHeight + 1 &&
    bytesEqual(header.parentId, range.decided.blockId) &&
    bytesEqual(header.lastCommitHash, commitHash(command.lastCommit));
  if (!isNext) return;
  const transactions = proposedTransactions(range, command);
  if (transactions === undefined) return;
  const raws = transactions.map(({ raw }) => raw);
  assert(
    bytesEqual(transactionsRoot(raws), header.transactionsRoot),
    'a proposed header holds the root of its transactions',
  );
  const stored: StoredBlock = {
    block: { header, transactions: raws, lastCommit: command.lastCommit },
    blockId: blockId(header),
    senders: transactions.map(({ sender }) => sender),
    transactionHashes: command.transactionHashes,
  };
  range.undecided = stored;
  range.mempool.fix(stored.transactionHashes);
  range.batch.put(blockKey(header.height), encodeStoredBlock(stored));
  range.batch.put(UNDECIDED_KEY, encodeHeight(header.height));
}

/** Undefined when one of them is neither in the durable mempool nor in the command. */
function proposedTransactions(
  range: ApplyRange,
  command: BlockProposed,
): AdmittedTransaction[] | undefined {
  const carried = new Map(
    command.transactionsNotAdmitted.map((item) => [toHex(transactionHash(item.raw)), item]),
  );
  const transactions: AdmittedTransaction[] = [];
  for (const hash of command.transactionHashes) {
    const found = range.mempool.get(hash) ?? carried.get(toHex(hash));
    if (found === undefined) return undefined;
    transactions.push(found);
  }
  return transactions;
}

/**
 * Makes the undecided block final. A second decision of a height says the same and is void; so is one that was
 * signed in another round than this one, which belongs to the cluster as it was before its last recovery.
 */
export function applyDecision(
  range: ApplyRange,
  command: BlockDecided,
  certificateHolds: (commit: Commit, id: Hash) => boolean,
): void {
  const { commit } = command;
  const { undecided } = range;
  if (undecided === undefined || commit.height !== range.decidedHeight + 1) return;
  if (commit.round !== range.configuration.configuration.recoveries) return;
  if (!certificateHolds(commit, undecided.blockId)) return;
  const { height } = commit;
  range.batch.put(blockHeightKey(undecided.blockId), encodeHeight(height));
  range.batch.put(commitKey(height), encodeCommit(commit));
  range.batch.delete(UNDECIDED_KEY);
  // This header carries the state root of two heights below, whose outcome can no longer be revoked.
  if (height > 2) range.batch.delete(reverseDeltaKey(height - 2));
  range.decidedHeight = height;
  range.decided = undecided;
  range.undecided = undefined;
  range.effects.decided.push(undecided);
}

/** Brings flat state, receipts and the mempool to the height of the decided block; duplicates are void. */
export async function applyOutcome(range: ApplyRange, command: BlockOutcome): Promise<void> {
  const outcome = decodeOutcome(command.outcome);
  const isNext =
    outcome.height === range.executedHeight + 1 &&
    outcome.height === range.decidedHeight &&
    bytesEqual(outcome.blockId, range.decided.blockId);
  if (!isNext) return;
  checkOutcome(outcome, range.decided);
  const reverse = await reverseOf(outcome.delta, range.database);
  writeDelta(outcome.delta, range.batch);
  range.batch.put(reverseDeltaKey(outcome.height), encodeDelta(reverse));
  range.batch.put(outcomeKey(outcome.height), command.outcome);
  range.executedHeight = outcome.height;
  range.results = outcome;
  range.effects.executed = { outcome, encoded: command.outcome };
  settleTransactions(range, outcome);
}

/** Asserts what every execution gives; the leader asks before it writes an outcome for all. */
export function checkOutcome(outcome: Outcome, { block }: StoredBlock): void {
  assert(
    outcome.receipts.length === block.transactions.length,
    'an outcome has a receipt for each transaction',
  );
  assert(
    bytesEqual(receiptsRoot(outcome.receipts), outcome.receiptsRoot),
    'an outcome holds the root of its receipts',
  );
  checkDelta(outcome.delta);
}

/** Each transaction of the block is included; those that its nonces or its time rule out are given up. */
function settleTransactions(range: ApplyRange, outcome: Outcome): void {
  for (const [index, hash] of range.decided.transactionHashes.entries())
    range.setState(hash, { state: 'included', height: outcome.height, index });
  const senders = outcome.delta.accounts.map(({ address, account }) => ({
    sender: address,
    accountNonce: account?.nonce ?? 0n,
  }));
  range.setStates(range.mempool.executed(senders));
  range.setStates(range.mempool.expire(range.decided.block.header.timestampMs));
}
