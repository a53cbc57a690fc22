import { expect, test } from 'vitest';
import { Mempool, type MempoolLimits } from '../../../src/mempool/mempool.ts';
import type { PooledTransaction } from '../../../src/mempool/pooled_transaction.ts';
import { pooled, senderOf } from './pooled.ts';

const LIMITS: MempoolLimits = {
  transactionsMax: 1_000,
  transactionsPerSenderMax: 100,
  nonceGapMax: 4,
};
const RICH = { nonce: 0n, balance: 10n ** 30n };

function mempool(limits: Partial<MempoolLimits> = {}): Mempool {
  return new Mempool({ ...LIMITS, ...limits });
}

/** Everything that a block may take, in its order. */
function readySequences(pool: Mempool, baseFeePerGas = 0n): number[] {
  const cursor = pool.ready(baseFeePerGas);
  const sequences: number[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) {
    sequences.push(next.sequence);
    cursor.accept(next);
  }
  return sequences;
}

test('one sender runs in nonce order, whatever the order of arrival and the fees', () => {
  const pool = mempool();
  pool.admit(pooled({ sequence: 1, sender: 1, nonce: 2n, maxPriorityFeePerGas: 50n }), RICH);
  expect(readySequences(pool)).toEqual([]);
  pool.admit(pooled({ sequence: 2, sender: 1, nonce: 0n, maxPriorityFeePerGas: 1n }), RICH);
  expect(readySequences(pool)).toEqual([2]);
  pool.admit(pooled({ sequence: 3, sender: 1, nonce: 1n }), RICH);
  expect(readySequences(pool)).toEqual([2, 3, 1]);
  expect(pool.pendingNonce(senderOf(1), 0n)).toBe(3n);
});

test('senders are ordered by effective tip, equal ones by arrival', () => {
  const pool = mempool();
  pool.admit(pooled({ sequence: 1, sender: 1, maxPriorityFeePerGas: 10n }), RICH);
  pool.admit(pooled({ sequence: 2, sender: 2, maxPriorityFeePerGas: 30n }), RICH);
  pool.admit(pooled({ sequence: 3, sender: 3, maxPriorityFeePerGas: 10n }), RICH);
  // A high cap is worth little when the fee cap leaves no room above the base fee.
  pool.admit(
    pooled({ sequence: 4, sender: 4, maxPriorityFeePerGas: 60n, maxFeePerGas: 65n }),
    RICH,
  );
  expect(readySequences(pool, 0n)).toEqual([4, 2, 1, 3]);
  expect(readySequences(pool, 50n)).toEqual([2, 4, 1, 3]);
  expect(readySequences(pool, 60n)).toEqual([2, 1, 3, 4]);
  expect(readySequences(pool, 66n)).toEqual([2, 1, 3]);
});

test('a sender whose transaction the block does not take holds back its later ones', () => {
  const pool = mempool();
  pool.admit(pooled({ sequence: 1, sender: 1, nonce: 0n }), RICH);
  pool.admit(pooled({ sequence: 2, sender: 1, nonce: 1n }), RICH);
  const cursor = pool.ready(0n);
  expect(cursor.next()?.sequence).toBe(1);
  expect(cursor.next()).toBeUndefined();
});

test('a cursor refuses to speak for a pool that has changed', () => {
  const pool = mempool();
  pool.admit(pooled({ sequence: 1, sender: 1 }), RICH);
  const cursor = pool.ready(0n);
  pool.admit(pooled({ sequence: 2, sender: 2 }), RICH);
  expect(() => cursor.next()).toThrow(/does not change/);
});

test('a replacement must raise both fees', () => {
  const pool = mempool();
  const first = pooled({ sequence: 1, sender: 1, maxFeePerGas: 100n, maxPriorityFeePerGas: 15n });
  const bid = (sequence: number, maxFeePerGas: bigint, maxPriorityFeePerGas: bigint) =>
    pooled({ sequence, sender: 1, maxFeePerGas, maxPriorityFeePerGas });
  pool.admit(first, RICH);
  for (const candidate of [bid(2, 109n, 17n), bid(3, 110n, 16n)]) {
    expect(pool.precheck(candidate, RICH)).toMatchObject({
      code: 'REPLACEMENT_UNDERPRICED',
      fields: { minimumFeePerGas: '110', minimumPriorityFeePerGas: '17' },
    });
    expect(pool.admit(candidate, RICH)).toMatchObject({ code: 'REPLACEMENT_UNDERPRICED' });
  }
  const winner = bid(4, 110n, 17n);
  expect(pool.precheck(winner, RICH)).toBeUndefined();
  expect(pool.admit(winner, RICH)).toEqual({
    result: 'admitted',
    effects: [
      { hash: winner.hash, state: { state: 'pending' } },
      { hash: first.hash, state: { state: 'replaced', by: winner.hash } },
    ],
  });
  expect(pool.size).toBe(1);
  expect(pool.gasLimitTotal).toBe(21_000n);
  expect(readySequences(pool)).toEqual([4]);
});

test('what a block being decided holds is not replaced', () => {
  const pool = mempool();
  const first = pooled({ sequence: 1, sender: 1 });
  pool.admit(first, RICH);
  pool.fix([first.hash]);
  const bid = pooled({ sequence: 2, sender: 1, maxFeePerGas: 900n, maxPriorityFeePerGas: 900n });
  expect(pool.precheck(bid, RICH)).toMatchObject({
    code: 'NONCE_TOO_LOW',
    fields: { expectedNonce: '1' },
  });
  expect(pool.admit(bid, RICH)).toMatchObject({ result: 'refused', code: 'NONCE_TOO_LOW' });
});

test('a block takes its own transactions silently and invalidates others of the same nonces', () => {
  const pool = mempool();
  const [own, other, later] = [
    pooled({ sequence: 1, sender: 1, nonce: 0n }),
    pooled({ sequence: 2, sender: 2, nonce: 0n }),
    pooled({ sequence: 3, sender: 2, nonce: 1n }),
  ] as [PooledTransaction, PooledTransaction, PooledTransaction];
  for (const transaction of [own, other, later]) pool.admit(transaction, RICH);
  pool.fix([own.hash, new Uint8Array(32)]);
  const effects = pool.executed([
    { sender: senderOf(1), accountNonce: 1n },
    { sender: senderOf(2), accountNonce: 1n },
    { sender: senderOf(9), accountNonce: 5n },
  ]);
  expect(effects).toEqual([{ hash: other.hash, state: { state: 'invalidated' } }]);
  expect(readySequences(pool)).toEqual([3]);
  expect(pool.get(own.hash)).toBeUndefined();
});

test('what nobody took in time expires, the oldest first', () => {
  const pool = mempool();
  const times = [30, 10, 20, 10, 40];
  const transactions = times.map((expiresAtMs, index) =>
    pooled({ sequence: index + 1, sender: index + 1, expiresAtMs }),
  );
  for (const transaction of transactions) pool.admit(transaction, RICH);
  expect(pool.oldestExpiryMs()).toBe(10);
  expect(pool.expire(9)).toEqual([]);
  const expired = pool.expire(30).map(({ hash, state }) => [hash.at(-1), state.state]);
  expect(expired).toEqual([
    [2, 'expired'],
    [4, 'expired'],
    [3, 'expired'],
    [1, 'expired'],
  ]);
  expect(pool.oldestExpiryMs()).toBe(40);
  expect(pool.size).toBe(1);
});

test('nonces used, or further ahead than the gap, are refused', () => {
  const pool = mempool();
  const account = { nonce: 5n, balance: RICH.balance };
  const at = (nonce: bigint, sequence = 1) => pooled({ sequence, sender: 1, nonce });
  expect(pool.precheck(at(4n), account)).toMatchObject({
    code: 'NONCE_TOO_LOW',
    fields: { expectedNonce: '5' },
  });
  expect(pool.admit(at(4n), account)).toMatchObject({ result: 'refused', code: 'NONCE_TOO_LOW' });
  expect(pool.precheck(at(9n), account)).toBeUndefined();
  expect(pool.precheck(at(10n), account)).toMatchObject({ code: 'NONCE_TOO_FAR' });
  // What waits in a row does not count as a gap, and neither does what is on its way.
  for (let nonce = 5n; nonce < 25n; nonce += 1n) pool.admit(at(nonce, Number(nonce)), account);
  for (let nonce = 25n; nonce < 40n; nonce += 1n) pool.reserve(at(nonce));
  expect(pool.precheck(at(44n), account)).toBeUndefined();
  expect(pool.precheck(at(45n), account)).toMatchObject({
    code: 'NONCE_TOO_FAR',
    fields: { expectedNonce: '40' },
  });
  pool.release(at(30n));
  expect(pool.precheck(at(35n), account)).toMatchObject({ code: 'NONCE_TOO_FAR' });
});

test('the sender must be able to pay for everything that waits or is on its way', () => {
  const pool = mempool();
  const account = { nonce: 0n, balance: 3_000n };
  const at = (nonce: bigint, worstCaseCost: bigint) =>
    pooled({ sequence: Number(nonce) + 1, sender: 1, nonce, worstCaseCost });
  pool.admit(at(0n, 1_000n), account);
  pool.reserve(at(1n, 1_500n));
  expect(pool.precheck(at(2n, 500n), account)).toBeUndefined();
  expect(pool.precheck(at(2n, 501n), account)).toMatchObject({
    code: 'INSUFFICIENT_FUNDS',
    fields: { balance: '3000', needed: '3001' },
  });
  // Another of a reserved nonce comes instead of it, not beside it.
  expect(pool.precheck(at(1n, 2_000n), account)).toBeUndefined();
  pool.release(at(1n, 1_500n));
  expect(pool.precheck(at(2n, 2_000n), account)).toBeUndefined();
});

test('limits count what is on its way, and only bind the leader', () => {
  const pool = mempool({ transactionsMax: 3, transactionsPerSenderMax: 2 });
  const of = (sender: number, nonce: bigint, sequence: number) =>
    pooled({ sender, nonce, sequence });
  pool.admit(of(1, 0n, 1), RICH);
  pool.reserve(of(1, 1n, 2));
  expect(pool.precheck(of(1, 2n, 3), RICH)).toMatchObject({ code: 'SENDER_LIMIT_REACHED' });
  pool.reserve(of(2, 0n, 4));
  expect(pool.precheck(of(3, 0n, 5), RICH)).toMatchObject({ code: 'MEMPOOL_FULL' });
  // A replacement needs no room.
  const bid = { ...of(1, 0n, 6), maxFeePerGas: 200n, maxPriorityFeePerGas: 20n };
  expect(pool.precheck(bid, RICH)).toBeUndefined();
  // Members may be configured differently: the log's word holds.
  for (let sender = 3; sender < 9; sender += 1)
    expect(pool.admit(of(sender, 0n, 10 + sender), RICH)).toMatchObject({ result: 'admitted' });
});

test('what the log has admitted is not counted as on its way as well', () => {
  const pool = mempool();
  const account = { nonce: 0n, balance: 3_000n };
  const at = (nonce: bigint) =>
    pooled({ sequence: Number(nonce) + 1, sender: 1, nonce, worstCaseCost: 1_000n });
  for (const nonce of [0n, 1n]) pool.reserve(at(nonce));
  for (const nonce of [0n, 1n]) pool.admit(at(nonce), account);
  // Admitted, but whoever reserved them has not been told yet.
  expect(pool.precheck(at(2n), account)).toBeUndefined();
  for (const nonce of [0n, 1n]) pool.release(at(nonce));
  expect(pool.precheck(at(2n), account)).toBeUndefined();
});

test('two reservations of one nonce are two, also when everything is given back', () => {
  const pool = mempool();
  const first = pooled({ sequence: 1, sender: 1, worstCaseCost: 10n });
  const second = pooled({ sequence: 2, sender: 1, worstCaseCost: 20n });
  const account = { nonce: 0n, balance: 100n };
  pool.reserve(first);
  pool.reserve(second);
  pool.release(first);
  const next = pooled({ sequence: 3, sender: 1, nonce: 1n, worstCaseCost: 81n });
  expect(pool.precheck(next, account)).toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  pool.release(second);
  expect(pool.precheck(next, account)).toBeUndefined();
  expect(() => pool.release(second)).toThrow(/only what is reserved/);
});

test('a restart puts everything back, in any order', () => {
  const pool = mempool();
  const transactions = [3n, 5n, 4n].map((nonce, index) =>
    pooled({ sequence: index + 1, sender: 1, nonce }),
  );
  for (const transaction of transactions) pool.restore(transaction, 3n);
  expect(readySequences(pool)).toEqual([1, 3, 2]);
  expect(pool.pendingNonce(senderOf(1), 3n)).toBe(6n);
});

test('the log admits nothing that the sender could not pay beside what waits', () => {
  const pool = mempool();
  const account = { nonce: 0n, balance: 2_500n };
  const at = (sequence: number, nonce: bigint, fee = 100n) =>
    pooled({ sequence, sender: 1, nonce, maxFeePerGas: fee, maxPriorityFeePerGas: fee });
  pool.admit(at(1, 0n), account);
  expect(pool.admit(at(2, 1n), account)).toMatchObject({ result: 'admitted' });
  expect(pool.admit(at(3, 2n), account)).toMatchObject({
    result: 'refused',
    code: 'INSUFFICIENT_FUNDS',
    fields: { needed: '3000', balance: '2500' },
  });
  // A replacement costs only what it costs more.
  expect(pool.admit(at(4, 1n, 200n), account)).toMatchObject({ result: 'admitted' });
  expect(pool.size).toBe(2);
});

test('an account from before the last block does not bring its nonces back', () => {
  const pool = mempool();
  for (let nonce = 0n; nonce < 20n; nonce += 1n)
    pool.admit(pooled({ sequence: Number(nonce) + 1, sender: 1, nonce }), RICH);
  pool.executed([{ sender: senderOf(1), accountNonce: 20n }]);
  const before = { ...RICH, nonce: 0n };
  expect(pool.pendingNonce(senderOf(1), before.nonce)).toBe(20n);
  const next = pooled({ sequence: 30, sender: 1, nonce: 20n });
  expect(pool.precheck(next, before)).toBeUndefined();
  expect(pool.precheck({ ...next, nonce: 19n }, before)).toMatchObject({ code: 'NONCE_TOO_LOW' });
});
