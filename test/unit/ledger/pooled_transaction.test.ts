import { expect, it } from 'vitest';
import { transactionHash } from '../../../src/crypto/transaction.ts';
import { pooledTransaction } from '../../../src/ledger/pooled_transaction.ts';
import { transfer } from './chain_fixture.ts';

it('keeps nothing alive of the buffer that a transaction came in', () => {
  const bytes = transfer(0n);
  const received = Buffer.alloc(65_536);
  received.set(bytes, 1_000);
  received.set(new Uint8Array(20).fill(5), 3_000);
  const raw = received.subarray(1_000, 1_000 + bytes.length);
  const sender = received.subarray(3_000, 3_020);
  const place = { hash: transactionHash(bytes), sequence: 1, expiresAtMs: 2 };
  const pooled = pooledTransaction({ raw, sender }, place);
  expect(pooled.raw).toEqual(bytes);
  expect(pooled.raw.buffer.byteLength).toBe(bytes.length);
  expect(pooled.sender.buffer.byteLength).toBe(20);
});
