import { expect, test } from 'vitest';
import { executeOn } from '../../../src/execution/executor.ts';
import { FlatState } from '../../../src/execution/flat_state.ts';
import { RuleBook } from '../../../src/execution/rules.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';
import type { ForkName } from '../../../src/types/validator.ts';
import { SeededRandom } from '../crypto/random.ts';
import {
  address,
  blockRequest,
  bytes,
  ETHER,
  MemoryState,
  rawTransaction,
  word,
} from './fixture.ts';

const ALICE = address(1);
const CONTRACT = address(2);
const BLOCKS = 40;
const TRANSACTIONS = 20;

const EDGES = [
  word(0n),
  word(1n),
  word(27n),
  word(32n),
  word((1n << 32n) - 1n),
  word(1n << 64n),
  word((1n << 256n) - 1n),
  // The orders of secp256k1 and of the fields of the pairing curves.
  bytes('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'),
  bytes('0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47'),
  bytes('0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001'),
];

/** Words of all kinds, cut anywhere. */
function input(random: SeededRandom): Uint8Array {
  const words = Array.from({ length: random.below(13) }, () => {
    const kind = random.below(3);
    if (kind === 0) return random.bytes(32);
    if (kind === 1) return word(BigInt(random.below(300)));
    return EDGES[random.below(EDGES.length)] ?? word(0n);
  });
  const whole = concatBytes(...words);
  return random.below(2) === 0 ? whole : whole.slice(0, random.below(whole.length + 1));
}

/** Mostly opcodes with something on the stack, sometimes bytes without sense. */
function program(random: SeededRandom): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let step = 0; step < 60; step += 1) {
    const pushes = random.below(5);
    for (let push = 0; push < pushes; push += 1) {
      const large = random.below(6) === 0;
      const edge = EDGES[random.below(EDGES.length)] ?? word(0n);
      parts.push(
        large ? concatBytes(Uint8Array.of(0x7f), edge) : Uint8Array.of(0x60, random.below(80)),
      );
    }
    parts.push(Uint8Array.of(random.below(random.below(3) === 0 ? 256 : 0x60)));
    if (random.below(8) === 0) parts.push(Uint8Array.of(0xf0 + random.below(16)));
  }
  return concatBytes(...parts);
}

async function executes(fork: ForkName, seed: number, toPrecompiles: boolean): Promise<void> {
  const random = new SeededRandom(seed);
  const memory = new MemoryState();
  memory.setAccount(ALICE, { balance: ETHER });
  memory.setAccount(CONTRACT, { nonce: 1n, balance: ETHER }, program(random));
  const transactions = Array.from({ length: TRANSACTIONS }, (_, index) => {
    const precompile = word(BigInt(1 + random.below(fork === 'prague' ? 17 : 10))).slice(12);
    const creates = !toPrecompiles && random.below(3) === 0;
    const raw = rawTransaction({
      nonce: BigInt(index),
      to: creates ? undefined : toPrecompiles ? precompile : CONTRACT,
      value: BigInt(random.below(2)),
      data: creates ? program(random) : input(random),
      gasLimit: 400_000n,
    });
    return { raw, sender: ALICE };
  });
  const request = blockRequest(300, transactions, { forks: [{ name: fork, height: 0 }] });
  const state = new FlatState({ cacheBytesMax: 1 << 20 }, { reader: memory });
  const outcome = await executeOn(request, { state, rules: rules });
  expect(outcome.receipts).toHaveLength(TRANSACTIONS);
  memory.apply(outcome.delta);
  expect(2n * ETHER - memory.supply()).toBeGreaterThanOrEqual(outcome.gasUsed * 7n);
}

const rules = new RuleBook();

test.each([
  ['cancun', true],
  ['prague', true],
  ['cancun', false],
  ['prague', false],
] as const)(
  'no code and no input stops a block (%s, to precompiles: %s)',
  async (fork, toPrecompiles) => {
    for (let seed = 1; seed <= BLOCKS; seed += 1)
      try {
        await executes(fork, seed, toPrecompiles);
      } catch (thrown) {
        throw new Error(`seed ${seed}`, { cause: thrown });
      }
  },
);
