import { expect, test } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { executeBlock } from '../../../src/execution/executor.ts';
import { concatBytes, utf8 } from '../../../src/lib/bytes.ts';
import {
  address,
  artifact,
  blockRequest,
  callData,
  ETHER,
  MemoryState,
  rawTransaction,
  word,
} from './fixture.ts';

const CALLER = address(1);
const CONTRACT = address(2);
const [A, B, C] = ['Anna', 'Bert', 'Cleo'].map((name) => keccak256(utf8(name))) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/** Runs the calls in one block; says which succeeded, and what lies in the mapping's slots. */
async function run(contract: string, calls: readonly Uint8Array[]) {
  const state = new MemoryState();
  state.setAccount(CALLER, { balance: ETHER });
  state.setAccount(CONTRACT, { nonce: 1n }, artifact(contract).deployed);
  const transactions = calls.map((data, index) => ({
    raw: rawTransaction({ nonce: BigInt(index), to: CONTRACT, data }),
    sender: CALLER,
  }));
  const outcome = await executeBlock(blockRequest(1, transactions), state);
  state.apply(outcome.delta);
  return {
    succeeded: outcome.receipts.map((receipt) => receipt.succeeded),
    mapped: (key: Uint8Array, mapping: bigint) =>
      state.slot(CONTRACT, keccak256(concatBytes(key, word(mapping)))),
  };
}

test('the wallet deposits, withdraws and transfers, and refuses what is not there', async () => {
  const deposit = (account: Uint8Array, amount: bigint) =>
    callData('deposit(bytes32,uint256)', account, amount);
  const withdraw = (account: Uint8Array, amount: bigint) =>
    callData('withdraw(bytes32,uint256)', account, amount);
  const transfer = (from: Uint8Array, to: Uint8Array, amount: bigint) =>
    callData('transfer(bytes32,bytes32,uint256)', from, to, amount);
  const { succeeded, mapped } = await run('Wallet', [
    deposit(A, 100n),
    deposit(A, 20n),
    withdraw(A, 121n),
    withdraw(A, 15n),
    transfer(A, B, 5n),
    transfer(A, B, 101n),
    transfer(A, A, 100n),
    transfer(A, A, 101n),
    transfer(C, B, 0n),
  ]);
  expect(succeeded).toEqual([true, true, false, true, true, false, true, false, true]);
  expect([A, B, C].map((account) => mapped(account, 0n))).toEqual([100n, 5n, 0n]);
});

test('the voting registers, casts and transfers votes', async () => {
  const register = (kind: string, name: Uint8Array) => callData(`register${kind}(bytes32)`, name);
  const cast = (voter: Uint8Array, candidate: Uint8Array) =>
    callData('castVote(bytes32,bytes32)', voter, candidate);
  const transfer = (from: Uint8Array, to: Uint8Array, amount: bigint) =>
    callData('transferVote(bytes32,bytes32,uint256)', from, to, amount);
  const { succeeded, mapped } = await run('Voting', [
    register('Voter', A),
    register('Voter', B),
    register('Candidate', C),
    cast(A, C),
    cast(C, C),
    transfer(A, B, 9_999n),
    cast(A, C),
    transfer(B, A, 20_000n),
    transfer(B, B, 19_999n),
    cast(B, C),
  ]);
  expect(succeeded).toEqual([true, true, true, true, false, true, false, false, true, true]);
  expect([A, B].map((voter) => mapped(voter, 0n))).toEqual([0n, 19_998n]);
  expect(mapped(C, 1n)).toBe(2n);
});
