import { expect, test } from 'vitest';
import { encodeOutcome } from '../../../src/types/outcome.ts';
import type { ForkName } from '../../../src/types/validator.ts';
import { SeededRandom } from '../crypto/random.ts';
import {
  address,
  blockRequest,
  bytes,
  COINBASE,
  ETHER,
  execute,
  MemoryState,
  rawTransaction,
  word,
} from './fixture.ts';

const SENDERS = 6;
const TRANSACTIONS = 40;
/** Sends everything it is called with back to the caller and keeps count. */
const CONTRACT = bytes('0x600054600101600055600060006000600034335af100');
const REVERTING = bytes('0x60006000fd');

/** Someone to pay: senders, new accounts, an empty-handed one, contracts, precompiles, the coinbase. */
function recipient(random: SeededRandom, sender: Uint8Array): Uint8Array {
  const others = [
    sender,
    address(random.below(SENDERS)),
    address(100 + random.below(8)),
    address(50),
    address(60),
    address(61),
    COINBASE,
    word(BigInt(1 + random.below(11))).slice(12),
  ];
  return others[random.below(others.length)] ?? sender;
}

function randomBlock(random: SeededRandom, fork: ForkName) {
  const nonces = Array.from({ length: SENDERS }, () => 0n);
  const transactions = Array.from({ length: TRANSACTIONS }, () => {
    const index = random.below(SENDERS);
    const sender = address(index);
    const nonce = nonces[index] ?? 0n;
    nonces[index] = nonce + 1n;
    const to = recipient(random, sender);
    const type = random.below(3) as 0 | 1 | 2;
    const maxFeePerGas = 7n + BigInt(random.below(20));
    const listed = type !== 0 && random.below(3) === 0;
    const raw = rawTransaction({
      type,
      nonce,
      to,
      value: random.below(3) === 0 ? 0n : BigInt(random.below(1_000_000)),
      data: random.bytes(random.below(3) === 0 ? random.below(80) : 0),
      gasLimit: BigInt(60_000 + random.below(100_000)),
      maxFeePerGas,
      maxPriorityFeePerGas: type === 2 ? BigInt(random.below(7)) : maxFeePerGas,
      accessList: listed ? [{ address: to, slots: [word(0n), word(5n)] }] : [],
    });
    return { raw, sender };
  });
  return blockRequest(5, transactions, { forks: [{ name: fork, height: 0 }] });
}

function startingState(): MemoryState {
  const state = new MemoryState();
  for (let index = 0; index < SENDERS; index += 1)
    state.setAccount(address(index), { balance: ETHER });
  state.setAccount(address(50), { nonce: 3n });
  state.setAccount(address(60), { nonce: 1n }, CONTRACT);
  state.setAccount(address(61), { nonce: 1n }, REVERTING);
  return state;
}

test.each(['cancun', 'prague'] as const)(
  'the short path of transfers gives what the interpreter gives (%s)',
  async (fork) => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const request = randomBlock(new SeededRandom(seed), fork);
      const state = startingState();
      const short = await execute(state, request, 'short');
      const interpreted = await execute(state, request, 'interpreted');
      expect(short, `seed ${seed}`).toEqual(interpreted);
      expect(encodeOutcome(short), `seed ${seed}`).toEqual(encodeOutcome(interpreted));
    }
  },
);

test('a transfer to oneself costs gas and nothing else', async () => {
  const state = startingState();
  const raw = rawTransaction({ to: address(0), value: ETHER / 2n, gasLimit: 21_000n });
  const request = blockRequest(1, [{ raw, sender: address(0) }]);
  for (const path of ['short', 'interpreted'] as const) {
    const outcome = await execute(state, request, path);
    const sender = outcome.delta.accounts.find(({ address: changed }) =>
      Buffer.from(changed).equals(address(0)),
    );
    expect(sender?.account?.balance).toBe(ETHER - 21_000n * 9n);
    expect(sender?.account?.nonce).toBe(1n);
  }
});

test('sending nothing to nobody makes no account', async () => {
  const state = startingState();
  const raw = rawTransaction({ to: address(200), gasLimit: 21_000n, maxPriorityFeePerGas: 0n });
  const request = blockRequest(1, [{ raw, sender: address(0) }]);
  for (const path of ['short', 'interpreted'] as const) {
    const outcome = await execute(state, request, path);
    expect(outcome.delta.accounts.map((change) => change.address)).toEqual([address(0)]);
  }
});
