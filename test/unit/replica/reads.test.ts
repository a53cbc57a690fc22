import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { transactionHash } from '../../../src/crypto/transaction.ts';
import { Reads } from '../../../src/replica/reads.ts';
import { TestLedger, transfer } from '../ledger/chain_fixture.ts';

let node: TestLedger;
let reads: Reads;

beforeEach(async () => {
  node = await TestLedger.open();
  const { chain, mempool } = node.opened;
  reads = new Reads({ database: node.database, chain, mempool });
});

afterEach(() => node.close());

/** Lets the next entry be applied between a read's snapshot and everything that it reads. */
function applyAfterSnapshot(): void {
  const { database } = node;
  const snapshotOf = database.snapshot.bind(database);
  database.snapshot = () => {
    database.snapshot = snapshotOf;
    const snapshot = snapshotOf();
    const applied = node.applyNext();
    const get = snapshot.get.bind(snapshot);
    snapshot.get = async (key) => {
      await applied;
      return get(key);
    };
    return snapshot;
  };
}

describe('Reads', () => {
  it('see one moment: a transaction that is not admitted yet has no state', async () => {
    const raw = transfer(0n);
    node.admit(raw);
    applyAfterSnapshot();
    await expect(reads.transaction(transactionHash(raw))).rejects.toMatchObject({
      code: 'TRANSACTION_NOT_FOUND',
    });
    const { value } = await reads.transaction(transactionHash(raw));
    expect(value).toEqual({ state: { state: 'pending' }, raw });
  });
});
