import { describe, expect, test } from 'vitest';
import { bloomMayContain, unionBlooms } from '../../../src/crypto/bloom.ts';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { receiptsRoot } from '../../../src/crypto/merkle.ts';
import { contractAddress } from '../../../src/crypto/transaction.ts';
import { executeBlock } from '../../../src/execution/executor.ts';
import { concatBytes, utf8 } from '../../../src/lib/bytes.ts';
import { decodeOutcome, encodeOutcome, type Outcome } from '../../../src/types/outcome.ts';
import type { Transaction } from '../../../src/types/transaction.ts';
import {
  address,
  artifact,
  blockRequest,
  bytes,
  COINBASE,
  callData,
  ETHER,
  MemoryState,
  rawTransaction,
  word,
} from './fixture.ts';

const ALICE = address(1);
const BOB = address(2);
const CONTRACT = address(77);

/** SSTORE(0, first word of the call data). */
const STORE_ARGUMENT = bytes('0x5f355f5500');
/** SSTORE(0, BALANCE(COINBASE)). */
const STORE_COINBASE_BALANCE = bytes('0x41315f5500');
/** SSTORE(0, BLOCKHASH(NUMBER − 1)). */
const STORE_PARENT_ID = bytes('0x60014303405f5500');
/** Init code that reverts when slot 0 is set, sets it, and leaves code that destroys itself. */
const CHILD_INIT = bytes('0x5f5460135760075f556133ff5f526002601ef35b5f5ffd');
/** CREATE2 of the child and a call that destroys it; slot 1 keeps its address, slot 0 counts. */
const FACTORY = concatBytes(
  bytes('0x76'),
  CHILD_INIT,
  bytes('0x5f525f601760095ff55f5f5f5f5f855af15f54015f5560015500'),
);

function stateWith(code?: Uint8Array): MemoryState {
  const state = new MemoryState();
  state.setAccount(ALICE, { balance: ETHER });
  state.setAccount(BOB, { balance: ETHER });
  if (code !== undefined) state.setAccount(CONTRACT, { nonce: 1n }, code);
  return state;
}

function fromAlice(fields: Partial<Transaction>) {
  return { raw: rawTransaction(fields), sender: ALICE };
}

function changeOf(outcome: Outcome, changed: Uint8Array) {
  return outcome.delta.accounts.find(({ address: key }) => Buffer.from(key).equals(changed));
}

describe('fees', () => {
  test('tips reach the coinbase after the last transaction and the base fee is burnt', async () => {
    const state = stateWith(STORE_COINBASE_BALANCE);
    state.setAccount(COINBASE, { balance: 5n });
    const before = state.supply();
    const outcome = await executeBlock(
      blockRequest(1, [
        fromAlice({ to: BOB, value: 1n, gasLimit: 21_000n }),
        fromAlice({ nonce: 1n, to: CONTRACT }),
      ]),
      state,
    );
    state.apply(outcome.delta);
    expect(state.slot(CONTRACT, word(0n))).toBe(5n);
    expect(state.account(COINBASE)?.balance).toBe(5n + outcome.gasUsed * 2n);
    expect(before - state.supply()).toBe(outcome.gasUsed * 7n);
  });

  test('a transaction that reverts pays its gas and changes nothing else', async () => {
    const state = stateWith(bytes('0x60015f555f5ffd'));
    const outcome = await executeBlock(
      blockRequest(1, [fromAlice({ to: CONTRACT, value: 9n })]),
      state,
    );
    expect(outcome.receipts[0]?.succeeded).toBe(false);
    expect(changeOf(outcome, CONTRACT)).toBeUndefined();
    expect(changeOf(outcome, ALICE)?.account).toMatchObject({
      nonce: 1n,
      balance: ETHER - outcome.gasUsed * 9n,
    });
  });

  test('from Prague on, data costs at least its floor', async () => {
    const data = new Uint8Array(100).fill(1);
    const transaction = fromAlice({ to: BOB, data, gasLimit: 50_000n });
    const gasUsed = async (name: 'cancun' | 'prague') => {
      const request = blockRequest(3, [transaction], {
        forks: [
          { name: 'cancun', height: 0 },
          { name, height: 3 },
        ],
      });
      return (await executeBlock(request, stateWith())).gasUsed;
    };
    expect(await gasUsed('cancun')).toBe(21_000n + 1_600n);
    expect(await gasUsed('prague')).toBe(21_000n + 4_000n);
  });
});

describe('state within a block', () => {
  const argument = (value: bigint) => word(value);

  test('storage is priced from the start of each transaction', async () => {
    const outcome = await executeBlock(
      blockRequest(1, [
        fromAlice({ to: CONTRACT, data: argument(5n) }),
        fromAlice({ nonce: 1n, to: CONTRACT, data: argument(6n) }),
      ]),
      stateWith(STORE_ARGUMENT),
    );
    expect(outcome.receipts.map(({ cumulativeGasUsed }) => cumulativeGasUsed)).toEqual([
      43_247n,
      43_247n + 26_147n,
    ]);
    expect(changeOf(outcome, CONTRACT)?.slots).toEqual([
      { slot: word(0n), value: Uint8Array.of(6) },
    ]);
  });

  test('what returns to its old value is not in the delta', async () => {
    const outcome = await executeBlock(
      blockRequest(1, [
        fromAlice({ to: CONTRACT, data: argument(5n) }),
        fromAlice({ nonce: 1n, to: CONTRACT, data: argument(0n) }),
      ]),
      stateWith(STORE_ARGUMENT),
    );
    expect(changeOf(outcome, CONTRACT)).toBeUndefined();
  });

  test('a contract created and destroyed by one transaction leaves nothing for the next', async () => {
    const state = stateWith(FACTORY);
    const outcome = await executeBlock(
      blockRequest(1, [fromAlice({ to: CONTRACT }), fromAlice({ nonce: 1n, to: CONTRACT })]),
      state,
    );
    state.apply(outcome.delta);
    expect(outcome.receipts.map(({ succeeded }) => succeeded)).toEqual([true, true]);
    expect(state.slot(CONTRACT, word(0n))).toBe(2n);
    const child = word(state.slot(CONTRACT, word(1n))).slice(12);
    expect(child).not.toEqual(new Uint8Array(20));
    expect(changeOf(outcome, child)).toBeUndefined();
    expect(outcome.delta.codes).toEqual([]);
  });

  test('BLOCKHASH is the id of the parent', async () => {
    const state = stateWith(STORE_PARENT_ID);
    const outcome = await executeBlock(blockRequest(9, [fromAlice({ to: CONTRACT })]), state);
    state.apply(outcome.delta);
    expect(word(state.slot(CONTRACT, word(0n)))).toEqual(keccak256(utf8('block 8')));
  });

  test('CHAINID is exact beyond the safe integers', async () => {
    const chainId = (1n << 63n) + 1n;
    const state = stateWith(bytes('0x465f5500'));
    const request = blockRequest(1, [fromAlice({ chainId, to: CONTRACT })], { chainId });
    state.apply((await executeBlock(request, state)).delta);
    expect(state.slot(CONTRACT, word(0n))).toBe(chainId);
  });

  test('an empty block changes nothing', async () => {
    const outcome = await executeBlock(blockRequest(1, []), stateWith());
    expect(outcome.delta).toEqual({ accounts: [], codes: [] });
    expect(outcome.receiptsRoot).toEqual(receiptsRoot([]));
    expect(decodeOutcome(encodeOutcome(outcome))).toEqual(outcome);
  });
});

describe('an ERC-20', () => {
  const SUPPLY = 1_000_000n;
  const deployment = fromAlice({
    data: concatBytes(artifact('Token').bytecode, word(SUPPLY)),
    gasLimit: 3_000_000n,
  });
  const token = contractAddress(ALICE, 0n);
  const balanceSlot = (holder: Uint8Array) => keccak256(concatBytes(word(holder), word(0n)));

  test('is deployed, used and refuses what it must, in one block', async () => {
    const state = stateWith();
    const transfer = (to: Uint8Array, value: bigint) =>
      callData('transfer(address,uint256)', to, value);
    const outcome = await executeBlock(
      blockRequest(1, [
        deployment,
        fromAlice({ nonce: 1n, to: token, data: transfer(BOB, 300n) }),
        fromAlice({ nonce: 2n, to: token, data: transfer(BOB, SUPPLY) }),
        fromAlice({ nonce: 3n, to: token, data: callData('approve(address,uint256)', BOB, 50n) }),
        {
          raw: rawTransaction({
            to: token,
            data: callData('transferFrom(address,address,uint256)', ALICE, COINBASE, 50n),
          }),
          sender: BOB,
        },
        fromAlice({ nonce: 4n, to: token, data: transfer(ALICE, 10n) }),
      ]),
      state,
    );
    expect(outcome.receipts.map(({ succeeded }) => succeeded)).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
    ]);
    expect(outcome.delta.codes.map(({ code }) => code)).toEqual([artifact('Token').deployed]);
    const [created, , reverted] = outcome.receipts;
    expect(created?.logs[0]?.address).toEqual(token);
    expect(reverted?.logs).toEqual([]);
    expect(bloomMayContain(outcome.logsBloom, token)).toBe(true);
    const blooms = outcome.receipts.map(({ logsBloom }) => logsBloom);
    expect(outcome.logsBloom).toEqual(unionBlooms(blooms));
    state.apply(outcome.delta);
    expect(state.slot(token, balanceSlot(ALICE))).toBe(SUPPLY - 350n);
    expect(state.slot(token, balanceSlot(BOB))).toBe(300n);
    expect(state.slot(token, balanceSlot(COINBASE))).toBe(50n);
    expect(state.slot(token, word(2n))).toBe(SUPPLY);
  });

  test('the delta is sorted and holds each key once', async () => {
    const holders = Array.from({ length: 20 }, (_, index) => address(500 - 13 * index));
    const outcome = await executeBlock(
      blockRequest(1, [
        deployment,
        ...holders.map((holder, index) =>
          fromAlice({
            nonce: BigInt(index + 1),
            to: token,
            data: callData('transfer(address,uint256)', holder, 1n),
          }),
        ),
      ]),
      stateWith(),
    );
    const keys = outcome.delta.accounts.map((change) => Buffer.from(change.address));
    expect(keys).toEqual([...keys].sort(Buffer.compare));
    const slots = changeOf(outcome, token)?.slots.map(({ slot }) => Buffer.from(slot)) ?? [];
    expect(slots).toHaveLength(holders.length + 2);
    expect(slots).toEqual([...slots].sort(Buffer.compare));
  });
});

describe('the state reader', () => {
  test('is asked once for all that the transactions name', async () => {
    const state = stateWith(STORE_ARGUMENT);
    const accessList = [{ address: CONTRACT, slots: [word(0n), word(1n)] }];
    await executeBlock(
      blockRequest(1, [
        fromAlice({ to: CONTRACT, accessList, data: word(1n) }),
        fromAlice({ nonce: 1n, to: BOB, gasLimit: 21_000n }),
      ]),
      state,
    );
    expect(state.asked).toEqual({ accounts: 1, slots: 1, code: 1 });
  });

  test('fails the block when it fails', async () => {
    const state = stateWith();
    state.accounts = () => Promise.reject(new Error('disk gone'));
    await expect(
      executeBlock(blockRequest(1, [fromAlice({ to: BOB })]), state),
    ).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
  });
});

test.each([
  ['a nonce ahead', { nonce: 1n }, {}, 'nonce'],
  ['a poor sender', { value: 2n * ETHER }, {}, 'worst case'],
  ['a cap below the base fee', { maxFeePerGas: 6n, maxPriorityFeePerGas: 0n }, {}, 'base fee'],
  ['too little gas', { gasLimit: 20_999n }, {}, 'gas limit'],
  ['a foreign chain', { chainId: 5n }, {}, 'chain id'],
  ['more gas than the block has', {}, { gasLimit: 999_999n }, 'gas left'],
] as const)(
  'a block with %s is a broken invariant, not a result',
  async (_, fields, context, message) => {
    const transaction = fromAlice({ to: BOB, ...fields });
    await expect(
      executeBlock(blockRequest(1, [transaction], context), stateWith()),
    ).rejects.toThrow(message);
  },
);
