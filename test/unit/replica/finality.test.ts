import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Chain } from '../../../src/ledger/chain.ts';
import { Finality } from '../../../src/replica/finality.ts';
import type { TransactionState } from '../../../src/types/transaction_state.ts';
import { quiet } from '../ledger/chain_fixture.ts';

const HASH = new Uint8Array(32).fill(1);
const INCLUDED = { state: 'included', height: 3, index: 0 } as const;

let store: { states: PromiseWithResolvers<(TransactionState | undefined)[]> };
let finality: Finality;
let unhandled: unknown[];
const note = (reason: unknown) => unhandled.push(reason);

beforeEach(() => {
  const states = Promise.withResolvers<(TransactionState | undefined)[]>();
  const chain = new Chain({ get: async () => undefined, getMany: async () => [] });
  chain.transactionStates = () => states.promise;
  store = { states };
  finality = new Finality(chain);
  unhandled = [];
  process.on('unhandledRejection', note);
});

afterEach(() => {
  process.off('unhandledRejection', note);
});

describe('Finality', () => {
  it('tells what the store knows already', async () => {
    store.states.resolve([INCLUDED]);
    expect(await finality.of(HASH, new AbortController().signal)).toEqual(INCLUDED);
  });

  it('tells what becomes known while the store is read, or later', async () => {
    const first = finality.of(HASH, new AbortController().signal);
    finality.reached([{ hash: HASH, state: INCLUDED }]);
    store.states.resolve([{ state: 'pending' }]);
    expect(await first).toEqual(INCLUDED);
    const second = finality.of(HASH, new AbortController().signal);
    await quiet();
    finality.reached([{ hash: HASH, state: INCLUDED }]);
    expect(await second).toEqual(INCLUDED);
  });

  it('concerns nobody else when a client leaves, also while the store is read', async () => {
    const controller = new AbortController();
    const waiting = finality.of(HASH, controller.signal);
    controller.abort(new Error('the client left'));
    await quiet();
    store.states.resolve([{ state: 'pending' }]);
    await expect(waiting).rejects.toThrow('the client left');
    await expect(finality.of(HASH, controller.signal)).rejects.toThrow('the client left');
    await quiet();
    expect(unhandled).toEqual([]);
  });
});
