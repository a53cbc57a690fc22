import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keccak256 } from '../../src/crypto/keccak.ts';
import { recoverSender } from '../../src/crypto/transaction.ts';
import type { BlockContext } from '../../src/execution/block_context.ts';
import { invalidTransaction } from '../../src/execution/block_rules.ts';
import { executeOn } from '../../src/execution/executor.ts';
import { FlatState } from '../../src/execution/flat_state.ts';
import { RuleBook } from '../../src/execution/rules.ts';
import type { SlotKey, StateReader } from '../../src/execution/state_reader.ts';
import {
  bigIntToBytes,
  bytesToBigInt,
  compareBytes,
  fromHex,
  padLeft,
  toHex,
  toPrefixedHex,
  utf8,
} from '../../src/lib/bytes.ts';
import { StateTrie } from '../../src/trie/state_trie.ts';
import type { Account, AccountChange, Delta } from '../../src/types/outcome.ts';
import { EMPTY_TRIE_ROOT, ZERO_HASH } from '../../src/types/primitives.ts';
import type { Log } from '../../src/types/receipt.ts';
import { CodecError, encodeRlp } from '../../src/types/rlp.ts';
import { decodeTransaction, encodeTransaction } from '../../src/types/transaction.ts';
import type { ConsensusParameters } from '../../src/types/validator.ts';

/** Where the official vectors lie when they are there. */
export const STATE_TESTS_FOLDER = fileURLToPath(
  new URL('../../../shared/ethereum-tests/GeneralStateTests/', import.meta.url),
);

const FORK = 'Cancun';
const CHAIN_ID = 1n;

interface PreAccount {
  readonly balance: string;
  readonly code: string;
  readonly nonce: string;
  readonly storage: Record<string, string>;
}

interface PostState {
  readonly hash: string;
  readonly logs: string;
  readonly txbytes: string;
  readonly expectException?: string;
}

interface StateTest {
  readonly env: Record<string, string>;
  readonly pre: Record<string, PreAccount>;
  readonly post: Record<string, readonly PostState[]>;
}

/** One transaction of one test and what must come of it. */
export interface StateTestCase {
  readonly name: string;
  readonly test: StateTest;
  readonly post: PostState;
}

/** Paths of all test files, relative to the folder. */
export function stateTestFiles(): string[] {
  if (!existsSync(STATE_TESTS_FOLDER)) return [];
  return readdirSync(STATE_TESTS_FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.json'))
    .sort();
}

export function stateTestCases(file: string): StateTestCase[] {
  const tests = JSON.parse(readFileSync(`${STATE_TESTS_FOLDER}${file}`, 'utf8')) as Record<
    string,
    StateTest
  >;
  return Object.entries(tests).flatMap(([name, test]) =>
    (test.post[FORK] ?? []).map((post, index) => ({ name: `${name}[${index}]`, test, post })),
  );
}

const rules = new RuleBook();

/** Executes one case through the same rules, executor and trie as a block; says what is wrong. */
export async function runStateTest({ test, post }: StateTestCase): Promise<string | undefined> {
  const state = new MemoryState(test.pre);
  const accepted = acceptedTransaction(test, post, state);
  if (typeof accepted === 'string') {
    if (post.expectException === undefined) return `refused: ${accepted}`;
    return rootMismatch(await rootAfter(state.pre), post.hash);
  }
  if (post.expectException !== undefined) return `accepted despite ${post.expectException}`;
  const context = blockContext(test.env);
  const flatState = new FlatState({ cacheBytesMax: 1 << 24 }, { reader: state });
  const outcome = await executeOn(
    { blockId: ZERO_HASH, context, transactions: [accepted] },
    { state: flatState, rules },
  );
  const logs = toPrefixedHex(keccak256(encodedLogs(outcome.receipts[0]?.logs ?? [])));
  if (logs !== post.logs) return `logs hash ${logs} instead of ${post.logs}`;
  return rootMismatch(await rootAfter(state.pre, outcome.delta), post.hash);
}

/** The root of the state after these deltas over nothing. */
async function rootAfter(...deltas: readonly Delta[]): Promise<Uint8Array> {
  const store = new Map<string, Uint8Array>();
  const nodes = {
    getMany: async (keys: readonly Uint8Array[]) => keys.map((key) => store.get(toHex(key))),
  };
  const trie = new StateTrie(
    { height: -1, root: EMPTY_TRIE_ROOT, cacheNodesMax: 1_000 },
    { nodes },
  );
  let root = EMPTY_TRIE_ROOT;
  for (const [height, delta] of deltas.entries()) {
    const applied = await trie.apply(height, delta);
    for (const { key, value } of applied.writes)
      if (value === undefined) store.delete(toHex(key));
      else store.set(toHex(key), value);
    trie.stored(height);
    root = applied.root;
  }
  return root;
}

function rootMismatch(root: Uint8Array, expected: string): string | undefined {
  const found = toPrefixedHex(root);
  return found === expected ? undefined : `state root ${found} instead of ${expected}`;
}

/** The transaction as a block would carry it, or why a block must not. */
function acceptedTransaction(test: StateTest, post: PostState, state: MemoryState) {
  const signed = hexBytes(post.txbytes);
  try {
    const decoded = decodeTransaction(signed);
    const sender = recoverSender(decoded);
    // Vectors are often signed without a chain id, which nothing but the signature depends on.
    const transaction = { ...decoded, chainId: decoded.chainId ?? CHAIN_ID };
    const raw = encodeTransaction(transaction);
    const { height, baseFeePerGas, gasLimit } = blockContext(test.env);
    const invalid = invalidTransaction(
      {
        chainId: CHAIN_ID,
        height,
        baseFeePerGas,
        parameters: parameters(gasLimit),
        transactions: [{ raw, sender, transaction }],
      },
      (address) => state.account(address),
    );
    return invalid?.reason ?? { raw, sender };
  } catch (thrown) {
    if (thrown instanceof CodecError || (thrown as Error).name === 'CryptoError')
      return (thrown as Error).message;
    throw thrown;
  }
}

function parameters(blockGasLimit: bigint): ConsensusParameters {
  return {
    blockGasLimit,
    blockBytesMax: 1 << 24,
    transactionBytesMax: 1 << 24,
    segmentTransactions: 64,
    baseFeeInitial: 1n,
    baseFeeFloor: 1n,
    clockSkewMsMax: 1_000,
    forks: [{ name: 'cancun', height: 0 }],
  };
}

function blockContext(env: Record<string, string>): BlockContext {
  const gasLimit = BigInt(env.currentGasLimit ?? 0);
  return {
    chainId: CHAIN_ID,
    height: Number(env.currentNumber),
    timestampMs: Number(env.currentTimestamp) * 1_000,
    coinbase: hexBytes(env.currentCoinbase ?? ''),
    baseFeePerGas: BigInt(env.currentBaseFee ?? 0),
    gasLimit,
    prevRandao: padLeft(hexBytes(env.currentRandom ?? ''), 32),
    forks: parameters(gasLimit).forks,
  };
}

function encodedLogs(logs: readonly Log[]): Uint8Array {
  return encodeRlp(logs.map(({ address, topics, data }) => [address, [...topics], data]));
}

/** The state before a case, as a delta over nothing and by key. */
class MemoryState implements StateReader {
  readonly pre: Delta;
  readonly #accounts = new Map<string, Account>();
  readonly #slots = new Map<string, Uint8Array>();
  readonly #codes = new Map<string, Uint8Array>();
  readonly #withStorage = new Set<string>();

  constructor(pre: Record<string, PreAccount>) {
    const accounts = Object.entries(pre).map(([address, fields]) =>
      this.#add(hexBytes(address), fields),
    );
    accounts.sort((left, right) => compareBytes(left.address, right.address));
    this.pre = { accounts, codes: [] };
  }

  account(address: Uint8Array): Account | undefined {
    return this.#accounts.get(toHex(address));
  }

  async accounts(addresses: readonly Uint8Array[]) {
    return addresses.map((address) => this.account(address));
  }

  async slots(keys: readonly SlotKey[]) {
    return keys.map(
      ({ address, slot }) => this.#slots.get(toHex(address) + toHex(slot)) ?? new Uint8Array(0),
    );
  }

  async code(codeHash: Uint8Array) {
    const code = this.#codes.get(toHex(codeHash));
    if (code === undefined) throw new Error(`no code ${toHex(codeHash)}`);
    return code;
  }

  /** The convention of these tests. */
  async blockHash(height: number) {
    return keccak256(utf8(String(height)));
  }

  async hasStorage(address: Uint8Array) {
    return this.#withStorage.has(toHex(address));
  }

  #add(address: Uint8Array, { balance, code, nonce, storage }: PreAccount): AccountChange {
    const codeBytes = hexBytes(code);
    const codeHash = keccak256(codeBytes);
    const account = { nonce: BigInt(nonce), balance: BigInt(balance), codeHash };
    this.#codes.set(toHex(codeHash), codeBytes);
    this.#accounts.set(toHex(address), account);
    const slots = [];
    for (const [slotText, valueText] of Object.entries(storage)) {
      const slot = padLeft(hexBytes(slotText), 32);
      const value = bigIntToBytes(bytesToBigInt(hexBytes(valueText)));
      if (value.length === 0) continue;
      slots.push({ slot, value });
      this.#slots.set(toHex(address) + toHex(slot), value);
      this.#withStorage.add(toHex(address));
    }
    slots.sort((left, right) => compareBytes(left.slot, right.slot));
    return { address, account, slots };
  }
}

/** Hex in which a leading zero digit may be missing. */
function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/^0x/, '');
  const bytes = fromHex(digits.length % 2 === 0 ? digits : `0${digits}`);
  if (bytes === undefined) throw new Error(`${text} is not hex`);
  return bytes;
}
