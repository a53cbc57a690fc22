import { describe, expect, test } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import {
  CALL_GAS_MAX,
  type CallRequest,
  estimateGas,
  simulateCall,
} from '../../../src/execution/call.ts';
import { executeBlock } from '../../../src/execution/executor.ts';
import { FlatState } from '../../../src/execution/flat_state.ts';
import { RuleBook } from '../../../src/execution/rules.ts';
import { bytesToBigInt, concatBytes, utf8 } from '../../../src/lib/bytes.ts';
import {
  address,
  artifact,
  blockContext,
  blockRequest,
  bytes,
  callData,
  ETHER,
  MemoryState,
  rawTransaction,
  word,
} from './fixture.ts';

const ALICE = address(1);
const BOB = address(2);
const TOKEN = address(3);
const PROBE = address(4);

function state(code?: Uint8Array): MemoryState {
  const memory = new MemoryState();
  memory.setAccount(ALICE, { balance: ETHER });
  memory.setAccount(TOKEN, { nonce: 1n }, artifact('Token').deployed);
  if (code !== undefined) memory.setAccount(PROBE, { nonce: 1n }, code);
  const slot = keccak256(concatBytes(word(ALICE), word(0n)));
  const account = memory.account(TOKEN) ?? null;
  memory.apply({
    accounts: [{ address: TOKEN, account, slots: [{ slot, value: Uint8Array.of(100) }] }],
    codes: [],
  });
  return memory;
}

function simulation(memory: MemoryState, request: Partial<CallRequest>) {
  const flat = new FlatState({ cacheBytesMax: 1 << 20 }, { reader: memory });
  return {
    request: { from: ALICE, to: TOKEN, data: new Uint8Array(0), value: 0n, ...request },
    context: blockContext(8),
    machine: { state: flat, rules: new RuleBook() },
  };
}

describe('call', () => {
  test('answers and leaves nothing behind', async () => {
    const memory = state();
    const request = simulation(memory, {
      data: callData('transfer(address,uint256)', BOB, 40n),
    });
    const first = await simulateCall(request);
    expect(first.failure).toBeUndefined();
    expect(bytesToBigInt(first.output)).toBe(1n);
    expect(await simulateCall(request)).toEqual(first);
    const balance = await simulateCall(
      simulation(memory, { data: callData('balanceOf(address)', ALICE) }),
    );
    expect(bytesToBigInt(balance.output)).toBe(100n);
  });

  test('uses the gas that the same transaction uses', async () => {
    const memory = state();
    const data = callData('transfer(address,uint256)', BOB, 40n);
    const called = await simulateCall(simulation(memory, { data }));
    const raw = rawTransaction({ to: TOKEN, data });
    const outcome = await executeBlock(blockRequest(8, [{ raw, sender: ALICE }]), memory);
    expect(called.gasUsed).toBe(outcome.gasUsed);
  });

  test('sees whole seconds, its height and the price it names', async () => {
    // Returns TIMESTAMP, NUMBER, GASPRICE, BASEFEE.
    const probe = bytes('0x425f52436020523a604052486060526080' + '5ff3');
    const seen = await simulateCall(
      simulation(state(probe), { to: PROBE, gasPrice: 11n, gasLimit: 100_000n }),
    );
    const words = [0, 1, 2, 3].map((index) =>
      bytesToBigInt(seen.output.subarray(index * 32, index * 32 + 32)),
    );
    const { timestampMs } = blockContext(8);
    expect(words).toEqual([BigInt(Math.floor(timestampMs / 1_000)), 8n, 11n, 7n]);
  });

  const errorText = concatBytes(
    keccak256(utf8('Error(string)')).slice(0, 4),
    word(32n),
    word(5n),
    utf8('no no'),
    new Uint8Array(27),
  );
  const panic = concatBytes(keccak256(utf8('Panic(uint256)')).slice(0, 4), word(0x11n));
  test.each([
    ['a text', errorText, 'no no'],
    ['a panic', panic, 'panic 0x11'],
    ['an own error', bytes('0x12345678'), undefined],
    ['nothing', new Uint8Array(0), undefined],
    ['a text cut short', errorText.slice(0, 70), 'no'],
    ['a text of impossible length', concatBytes(errorText.slice(0, 36), word(2n ** 255n)), ''],
  ])('reverts with %s', async (_, output, reason) => {
    // Copies the call data to memory and reverts with it.
    const probe = bytes('0x365f5f37365ffd');
    const result = await simulateCall(simulation(state(probe), { to: PROBE, data: output }));
    expect(result.output).toEqual(output);
    expect(result.failure).toEqual({ kind: 'reverted', reason });
  });

  test('names what halts it or keeps it from starting', async () => {
    const memory = state(bytes('0xfe'));
    const halted = await simulateCall(simulation(memory, { to: PROBE, gasLimit: 50_000n }));
    expect(halted).toMatchObject({ gasUsed: 50_000n, failure: { error: 'invalid opcode' } });
    const short = await simulateCall(simulation(memory, { gasLimit: 20_000n }));
    expect(short.failure).toMatchObject({ kind: 'halted' });
    const poor = await simulateCall(simulation(memory, { from: BOB, value: 1n }));
    expect(poor.failure).toEqual({
      kind: 'halted',
      error: 'insufficient funds for gas and value',
    });
  });

  test('never gets more gas than a call may have', async () => {
    const endless = bytes('0x5b5f56');
    const result = await simulateCall(
      simulation(state(endless), { to: PROBE, gasLimit: 1n << 60n }),
    );
    expect(result.gasUsed).toBe(CALL_GAS_MAX);
  });
});

describe('gas estimate', () => {
  async function succeedsWith(memory: MemoryState, request: Partial<CallRequest>, gas: bigint) {
    return (await simulateCall(simulation(memory, { ...request, gasLimit: gas }))).failure;
  }

  /** Passes its call data on to the token and reverts when that fails; EIP-150 keeps gas back. */
  const forwarder = concatBytes(
    bytes('0x365f5f375f5f365f5f73'),
    TOKEN,
    bytes('0x5af16026575f5ffd5b00'),
  );

  test.each([
    ['a transfer', { to: BOB, value: 1n }],
    ['an ERC-20 transfer', { data: callData('transfer(address,uint256)', BOB, 40n) }],
    ['a refund', { data: callData('transfer(address,uint256)', BOB, 100n) }],
    ['a call passed on', { to: PROBE, data: callData('transfer(address,uint256)', BOB, 0n) }],
    ['a creation', { to: undefined, data: concatBytes(artifact('Token').bytecode, word(1n)) }],
  ])('is enough and nearly the least for %s', async (_, request) => {
    const memory = state(forwarder);
    const estimate = await estimateGas(simulation(memory, request));
    if (!estimate.ok) throw new Error(JSON.stringify(estimate.failure));
    const { gasLimit } = estimate;
    expect(await succeedsWith(memory, request, gasLimit)).toBeUndefined();
    const slightlyLess = gasLimit - gasLimit / 40n - 1n;
    expect(await succeedsWith(memory, request, slightlyLess)).toBeDefined();
  });

  test('tells why there is none', async () => {
    const data = callData('transfer(address,uint256)', BOB, 101n);
    const estimate = await estimateGas(simulation(state(), { data }));
    expect(estimate).toMatchObject({ ok: false, failure: { kind: 'reverted' } });
  });
});
