import { unionBlooms } from '../crypto/bloom.ts';
import { receiptsRoot } from '../crypto/merkle.ts';
import { assert } from '../lib/assert.ts';
import type { Outcome } from '../types/outcome.ts';
import type { Address, Hash } from '../types/primitives.ts';
import { decodeTransaction, type Transaction } from '../types/transaction.ts';
import type { BlockContext } from './block_context.ts';
import { BlockExecution, type TransferPath } from './block_execution.ts';
import { FlatState } from './flat_state.ts';
import { RuleBook } from './rules.ts';
import type { SlotKey, StateReader } from './state_reader.ts';

/** A valid block (block_rules.ts) with the senders that were recovered from its signatures. */
export interface BlockRequest {
  readonly blockId: Hash;
  readonly context: BlockContext;
  readonly transactions: readonly { readonly raw: Uint8Array; readonly sender: Address }[];
}

/** Executes a block on the state of the height below it, which the reader answers for. */
export async function executeBlock(request: BlockRequest, state: StateReader): Promise<Outcome> {
  const flatState = new FlatState({ cacheBytesMax: Number.POSITIVE_INFINITY }, { reader: state });
  return executeOn(request, { state: flatState, rules: new RuleBook() });
}

/**
 * Executes a block and leaves its effects in the flat state, not yet promoted.
 * When it rejects, state and rules must both be forgotten.
 */
export async function executeOn(
  request: BlockRequest,
  machine: { state: FlatState; rules: RuleBook },
  transfers: TransferPath = 'short',
): Promise<Outcome> {
  const { blockId, context } = request;
  const { state } = machine;
  const transactions = request.transactions.map(({ raw, sender }) => ({
    transaction: decodeTransaction(raw),
    sender,
  }));
  await prefetch(transactions, context, state);
  const rules = machine.rules.at(context);
  const execution = new BlockExecution({ context, transfers }, { rules, state });
  for (const { transaction, sender } of transactions) await execution.execute(transaction, sender);
  await execution.finish();
  const { receipts, gasUsed } = execution;
  assert(receipts.length === transactions.length, 'each transaction must have its receipt');
  return {
    height: context.height,
    blockId,
    delta: state.delta(),
    receipts,
    gasUsed,
    receiptsRoot: receiptsRoot(receipts),
    logsBloom: unionBlooms(
      receipts.filter(({ logs }) => logs.length > 0).map((receipt) => receipt.logsBloom),
    ),
  };
}

/** Asks at once for everything that the transactions name themselves. */
async function prefetch(
  transactions: readonly { transaction: Transaction; sender: Address }[],
  context: BlockContext,
  state: FlatState,
): Promise<void> {
  const addresses: Address[] = [context.coinbase];
  const slots: SlotKey[] = [];
  for (const { transaction, sender } of transactions) {
    addresses.push(sender);
    if (transaction.to !== undefined) addresses.push(transaction.to);
    for (const entry of transaction.accessList) {
      addresses.push(entry.address);
      for (const slot of entry.slots) slots.push({ address: entry.address, slot });
    }
  }
  await state.prefetch(addresses, slots);
}
