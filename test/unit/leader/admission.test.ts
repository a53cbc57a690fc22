import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CryptoError } from '../../../src/crypto/crypto_error.ts';
import { InThreadRecovery } from '../../../src/crypto/recovery.ts';
import { transactionHash } from '../../../src/crypto/transaction.ts';
import { Admission } from '../../../src/leader/admission.ts';
import type { FlatState } from '../../../src/ledger/flat_state.ts';
import { bytesEqual } from '../../../src/lib/bytes.ts';
import type { PooledTransaction } from '../../../src/mempool/pooled_transaction.ts';
import type { ProposalAccepted, ProposalRefusal } from '../../../src/raft/ready.ts';
import type { Command } from '../../../src/types/command.ts';
import type { SubmitResult } from '../../../src/types/submission.ts';
import {
  genesis,
  ManualClock,
  quiet,
  sender,
  TestLedger,
  transfer,
  until,
} from '../ledger/chain_fixture.ts';

let node: TestLedger;
let clock: ManualClock;
let admission: Admission;
let recovery: InThreadRecovery;
let isCaughtUp: boolean;
let accounts: FlatState['accounts'];
let catchUp: (signal: AbortSignal) => Promise<void>;
let propose: (command: Command) => ProposalAccepted | ProposalRefusal;

const NOT_LEADER = { refused: 'not-leader', leader: 2 } as const;

beforeEach(async () => {
  node = await TestLedger.open();
  clock = new ManualClock();
  recovery = new InThreadRecovery();
  isCaughtUp = true;
  const { flatState } = node;
  accounts = (addresses) => flatState.accounts(addresses);
  catchUp = async () => undefined;
  propose = node.propose;
  const { mempool, chain } = node.opened;
  admission = new Admission(
    { genesis, batchTransactionsMax: 3, batchDelayMsMax: 2, lifetimeMs: 60_000 },
    {
      recovery: { recover: (raws) => recovery.recover(raws) },
      mempool,
      chain,
      flatState: { accounts: (addresses) => accounts(addresses) },
      clock,
      propose: (command) => propose(command),
      nextHeight: () => 1,
      chainTimeMs: () => node.ledger.head.decided.block.header.timestampMs,
      isCaughtUp: () => isCaughtUp,
      catchUp: (signal) => catchUp(signal),
    },
  );
});

afterEach(() => node.close());

async function applyNext(): Promise<void> {
  admission.applied(await node.applyNext());
}

/** Lets everything submitted so far come into an open batch, then sends that off. */
async function flush(): Promise<void> {
  await until(() => clock.timers > 0, 'an open batch');
  await quiet();
  clock.advance(2);
}

/** Whether the pool counts nothing for this sender that is not in it. */
function reservesNothing(): boolean {
  const worstCaseCost = 10n ** 19n;
  const whole = {
    hash: new Uint8Array(32),
    sender,
    nonce: 0n,
    gasLimit: 21_000n,
    maxFeePerGas: 10n ** 12n,
    maxPriorityFeePerGas: 10n ** 12n,
    worstCaseCost,
  } satisfies Partial<PooledTransaction>;
  const { mempool } = node.opened;
  return mempool.precheck(whole, { nonce: 0n, balance: worstCaseCost }) === undefined;
}

function codeOf(result: SubmitResult | undefined): string | undefined {
  return result?.kind === 'refused' ? result.refusal.code : result?.kind;
}

describe('Admission', () => {
  it('answers only when the entry is applied', async () => {
    const raw = transfer(0n);
    let answer: SubmitResult[] | undefined;
    const submitted = admission.submit([raw]).then((results) => {
      answer = results;
    });
    await flush();
    await quiet();
    expect(node.open).toHaveLength(1);
    expect(answer).toBeUndefined();
    await applyNext();
    await submitted;
    expect(answer).toEqual([
      {
        kind: 'admitted',
        hash: transactionHash(raw),
        alreadyKnown: false,
        state: { state: 'pending' },
      },
    ]);
  });

  it('lets one transaction that is submitted twice at once travel once', async () => {
    const raw = transfer(0n);
    const both = Promise.all([admission.submit([raw, raw]), admission.submit([raw])]);
    await flush();
    await applyNext();
    for (const result of (await both).flat()) expect(codeOf(result)).toBe('admitted');
    expect(node.log).toHaveLength(1);
    expect(await admission.submit([raw])).toMatchObject([{ alreadyKnown: true }]);
  });

  it('refuses with NOT_ADMITTED when another leader’s entry stands in the place of its own', async () => {
    const submitted = admission.submit([transfer(0n)]);
    await flush();
    node.log = [];
    node.startTerm(2);
    await applyNext();
    expect((await submitted).map(codeOf)).toEqual(['NOT_ADMITTED']);
    expect(reservesNothing()).toBe(true);
  });

  it('does not take another leader’s admission at the same index for its own', async () => {
    const submitted = admission.submit([transfer(0n)]);
    await flush();
    node.log = [];
    node.term = 2;
    node.admit(transfer(1n));
    await applyNext();
    expect((await submitted).map(codeOf)).toEqual(['NOT_ADMITTED']);
  });

  it('tells those in the log that their outcome is unknown when it loses the lead', async () => {
    const submitted = admission.submit([transfer(0n), transfer(1n), transfer(2n)]);
    await until(() => node.open.length > 0, 'a full batch');
    const later = admission.submit([transfer(3n)]);
    await until(() => clock.timers > 0, 'an open batch');
    admission.leadershipLost();
    expect((await submitted).map(codeOf)).toEqual(new Array(3).fill('OUTCOME_UNKNOWN'));
    expect((await later).map(codeOf)).toEqual(['NOT_ADMITTED']);
    expect(clock.timers).toBe(0);
    // It commits after all; the next submission is told so.
    await applyNext();
    expect(await admission.submit([transfer(1n)])).toMatchObject([
      { kind: 'admitted', alreadyKnown: true },
    ]);
  });

  it('answers in its second term although its first left entries above', async () => {
    const first = admission.submit([transfer(0n)]);
    await flush();
    const second = admission.submit([transfer(1n)]);
    await flush();
    admission.leadershipLost();
    expect([...(await first), ...(await second)].map(codeOf)).toEqual([
      'OUTCOME_UNKNOWN',
      'OUTCOME_UNKNOWN',
    ]);
    // Another leader cut the log; this member leads again and writes below where it had been.
    node.log = [];
    node.term = 3;
    const again = admission.submit([transfer(0n)]);
    await flush();
    await applyNext();
    expect((await again).map(codeOf)).toEqual(['admitted']);
  });

  it('refuses when the log does not take a batch, and forgets its reservations', async () => {
    propose = () => NOT_LEADER;
    const refused = admission.submit([transfer(0n)]);
    await flush();
    expect((await refused).map(codeOf)).toEqual(['NOT_ADMITTED']);
    propose = () => ({ refused: 'too-many-uncommitted', leader: 1 });
    const overloaded = admission.submit([transfer(0n)]);
    await flush();
    expect((await overloaded).map(codeOf)).toEqual(['OVERLOADED']);
    expect(reservesNothing()).toBe(true);
  });

  it('checks nothing against its state before it has taken over', async () => {
    isCaughtUp = false;
    // By this state the nonce is too far; by the log in front of it, it may be right.
    const results = await admission.submit([transfer(20n), Uint8Array.of(1, 2)]);
    expect(results.map(codeOf)).toEqual(['NOT_ADMITTED', 'MALFORMED_TRANSACTION']);
    isCaughtUp = true;
    expect((await admission.submit([transfer(20n)])).map(codeOf)).toEqual(['NONCE_TOO_FAR']);
  });

  it('looks again at what its state refuses once that is as new as the submission', async () => {
    const current = accounts;
    accounts = async (addresses) => addresses.map(() => undefined);
    catchUp = async () => {
      accounts = current;
    };
    const submitted = admission.submit([transfer(0n)]);
    await flush();
    await applyNext();
    expect((await submitted).map(codeOf)).toEqual(['admitted']);
  });

  it('scenario 35: refuses nothing for good when it leads no more and does not know it', async () => {
    accounts = async (addresses) => addresses.map(() => undefined);
    catchUp = () => Promise.reject(new Error('nobody answers'));
    expect((await admission.submit([transfer(0n)])).map(codeOf)).toEqual(['NOT_ADMITTED']);
    catchUp = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    const submitted = admission.submit([transfer(0n)]);
    await quiet();
    admission.leadershipLost();
    expect((await submitted).map(codeOf)).toEqual(['NOT_ADMITTED']);
    expect(reservesNothing()).toBe(true);
  });

  it('counts what is on its way: a nonce gap is none, the balance is spent once', async () => {
    const run = admission.submit(Array.from({ length: 12 }, (_, nonce) => transfer(BigInt(nonce))));
    await until(() => node.open.length === 4, 'four full batches');
    const far = admission.submit([transfer(20n)]);
    await quiet();
    clock.advance(2);
    for (let batch = 0; batch < 5; batch += 1) await applyNext();
    expect((await run).map(codeOf)).toEqual(new Array(12).fill('admitted'));
    expect((await far).map(codeOf)).toEqual(['admitted']);
    const value = 10n ** 19n - 10n ** 18n;
    const rich = admission.submit([transfer(12n, { value }), transfer(13n, { value })]);
    await flush();
    await applyNext();
    expect((await rich).map(codeOf)).toEqual(['admitted', 'INSUFFICIENT_FUNDS']);
  });

  it('refuses what costs more than 2 ** 256, instead of counting it as little', async () => {
    const huge = transfer(0n, { value: 2n ** 256n - 1n, maxFeePerGas: 2n ** 256n - 1n });
    expect((await admission.submit([huge])).map(codeOf)).toEqual(['INSUFFICIENT_FUNDS']);
    const last = transfer(2n ** 64n - 1n);
    expect((await admission.submit([last])).map(codeOf)).toEqual(['NONCE_TOO_FAR']);
    expect(node.log).toHaveLength(0);
  });

  it('is overloaded, not defective, when too many signatures wait', async () => {
    recovery.recover = () => Promise.reject(new CryptoError('OVERLOADED', 'too many'));
    expect((await admission.submit([transfer(0n)])).map(codeOf)).toEqual(['OVERLOADED']);
    recovery.recover = () => Promise.reject(new CryptoError('STOPPED', 'stopped'));
    expect((await admission.submit([transfer(0n)])).map(codeOf)).toEqual(['NOT_ADMITTED']);
  });

  it('counts the lifetime from the time of the chain when that is ahead of the clock', async () => {
    clock.nowMs = -1_000_000;
    const submitted = admission.submit([transfer(0n)]);
    await flush();
    expect(node.open).toMatchObject([{ expiresAtMs: genesis.timestampMs + 60_000 }]);
    await applyNext();
    await submitted;
  });

  it('keeps its own copy of the bytes', async () => {
    const raw = transfer(0n);
    const buffer = new Uint8Array(raw.length + 10);
    buffer.set(raw, 5);
    const submitted = admission.submit([buffer.subarray(5, 5 + raw.length)]);
    await until(() => clock.timers > 0, 'an open batch');
    buffer.fill(0);
    await flush();
    await applyNext();
    expect(await submitted).toMatchObject([{ kind: 'admitted', alreadyKnown: false }]);
    const pooled = node.opened.mempool.get(transactionHash(raw));
    expect(pooled !== undefined && bytesEqual(pooled.raw, raw)).toBe(true);
  });
});
