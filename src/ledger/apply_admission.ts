import { assert } from '../lib/assert.ts';
import type { AdmitTransactions } from '../types/command.ts';
import type { Entry } from '../types/entry.ts';
import { refused, type SubmitResult } from '../types/submission.ts';
import type { ApplyRange } from './apply_range.ts';
import { pendingKey } from './keys.ts';
import { pooledTransaction } from './pooled_transaction.ts';
import { encodePending } from './records.ts';

/** Transactions of one command, so that (entry, position) makes a sequence number that is a safe integer. */
export const ADMISSION_TRANSACTIONS_MAX = 4096;

/**
 * Makes transactions durable, in the order of the log. The leader checked them before, but what holds is
 * what holds here: another entry may have used the nonce or the balance meanwhile.
 */
export function applyAdmission(range: ApplyRange, entry: Entry, command: AdmitTransactions): void {
  assert(
    command.transactions.length <= ADMISSION_TRANSACTIONS_MAX,
    'an admission is small enough to number its transactions',
  );
  const results = command.transactions.map((transaction, position): SubmitResult => {
    const hash = range.hashOf(transaction);
    const known = range.state(hash);
    if (known !== undefined) return { kind: 'admitted', hash, alreadyKnown: true, state: known };
    const pooled = pooledTransaction(transaction, {
      hash,
      expiresAtMs: command.expiresAtMs,
      sequence: entry.index * ADMISSION_TRANSACTIONS_MAX + position,
    });
    const admission = range.mempool.admit(pooled, range.account(transaction.sender));
    if (admission.result === 'refused') return refused(admission);
    range.setStates(admission.effects);
    range.batch.put(pendingKey(hash), encodePending(pooled));
    return { kind: 'admitted', hash, alreadyKnown: false, state: { state: 'pending' } };
  });
  range.effects.admissions.push({ index: entry.index, term: entry.term, results });
}
