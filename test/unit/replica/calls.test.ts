import { expect, it } from 'vitest';
import type { CallRequest } from '../../../src/execution/call.ts';
import { ExecutionError } from '../../../src/execution/execution_error.ts';
import { genesisState } from '../../../src/ledger/open_ledger.ts';
import { Calls } from '../../../src/replica/calls.ts';
import { genesis } from '../ledger/chain_fixture.ts';

const request: CallRequest = {
  from: new Uint8Array(20),
  to: new Uint8Array(20).fill(1),
  data: new Uint8Array(0),
  value: 0n,
};
const { block } = await genesisState(genesis);

/** Calls over a head that the executor may move while it runs. */
function makeCalls(run: (attempt: number, head: { executedHeight: number }) => unknown) {
  const head = { executedHeight: 4 };
  let attempts = 0;
  const call = async () => {
    attempts += 1;
    return run(attempts, head);
  };
  const calls = new Calls(
    { genesis },
    {
      executor: { call } as never,
      ledger: { head } as never,
      chain: { storedBlock: async () => block } as never,
    },
  );
  return { calls, attempts: () => attempts };
}

const done = { output: Uint8Array.of(1), gasUsed: 21_000n, failure: undefined };

it('answers for the height at which the whole call ran, and starts anew when a block came', async () => {
  const { calls, attempts } = makeCalls((attempt, head) => {
    if (attempt === 1) head.executedHeight = 5;
    return done;
  });
  expect(await calls.call(request)).toEqual({
    height: 5,
    value: { succeeded: true, returnData: Uint8Array.of(1), gasUsed: 21_000n, failure: '' },
  });
  expect(attempts()).toBe(2);
});

it('gives up on a state that never rests, and says that trying again may help', async () => {
  const { calls } = makeCalls((_attempt, head) => {
    head.executedHeight += 1;
    throw new ExecutionError('STATE_MOVED', 'it moved');
  });
  await expect(calls.call(request)).rejects.toMatchObject({ code: 'OVERLOADED' });
});

it('passes on what is our own defect', async () => {
  const { calls } = makeCalls(() => {
    throw new ExecutionError('EXECUTION_FAILED', 'a bug');
  });
  await expect(calls.call(request)).rejects.toMatchObject({ code: 'EXECUTION_FAILED' });
});
