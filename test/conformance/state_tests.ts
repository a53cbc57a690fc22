import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createMPT } from '@ethereumjs/mpt';
import { keccak256 } from '../../src/crypto/keccak.ts';
import { recoverSender } from '../../src/crypto/transaction.ts';
import type { BlockContext } from '../../src/execution/block_context.ts';
import { invalidTransaction } from '../../src/execution/block_rules.ts';
import { executeBlock } from '../../src/execution/executor.ts';
import type { StateReader } from '../../src/execution/state_reader.ts';
import {
  bigIntToBytes,
  bytesToBigInt,
  fromHex,
  padLeft,
  toHex,
  toPrefixedHex,
  utf8,
} from '../../src/lib/bytes.ts';
import type { Delta } from '../../src/types/outcome.ts';
import { EMPTY_CODE_HASH, EMPTY_TRIE_ROOT, ZERO_HASH } from '../../src/types/primitives.ts';
import type { Log } from '../../src/types/receipt.ts';
import { CodecError, encodeRlp, scalar } from '../../src/types/rlp.ts';
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

/** Executes one case through the same rules and the same executor as a block; says what is wrong. */
export async function runStateTest({ test, post }: StateTestCase): Promise<string | undefined> {
  const state = new MemoryState(test.pre);
  const accepted = acceptedTransaction(test, post, state);
  if (typeof accepted === 'string') {
    if (post.expectException === undefined) return `refused: ${accepted}`;
    return rootMismatch(await state.root(), post.hash);
  }
  if (post.expectException !== undefined) return `accepted despite ${post.expectException}`;
  const context = blockContext(test.env);
  const outcome = await executeBlock(
    { blockId: ZERO_HASH, context, transactions: [accepted] },
    state,
  );
  state.apply(outcome.delta);
  const logs = toPrefixedHex(keccak256(encodedLogs(outcome.receipts[0]?.logs ?? [])));
  if (logs !== post.logs) return `logs hash ${logs} instead of ${post.logs}`;
  return rootMismatch(await state.root(), post.hash);
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

interface MemoryAccount {
  nonce: bigint;
  balance: bigint;
  codeHash: Uint8Array;
  readonly storage: Map<string, Uint8Array>;
}

/** The state of one case, with the root that Ethereum would give it. */
class MemoryState implements StateReader {
  readonly #accounts = new Map<string, MemoryAccount>();
  readonly #codes = new Map<string, Uint8Array>();

  constructor(pre: Record<string, PreAccount>) {
    for (const [address, { nonce, balance, code, storage }] of Object.entries(pre)) {
      const codeBytes = hexBytes(code);
      const codeHash = codeBytes.length === 0 ? EMPTY_CODE_HASH : keccak256(codeBytes);
      this.#codes.set(toHex(codeHash), codeBytes);
      const slots = new Map<string, Uint8Array>();
      for (const [slot, value] of Object.entries(storage)) {
        const bytes = bigIntToBytes(bytesToBigInt(hexBytes(value)));
        if (bytes.length > 0) slots.set(toHex(padLeft(hexBytes(slot), 32)), bytes);
      }
      this.#accounts.set(toHex(hexBytes(address)), {
        nonce: BigInt(nonce),
        balance: BigInt(balance),
        codeHash,
        storage: slots,
      });
    }
  }

  account(address: Uint8Array) {
    return this.#accounts.get(toHex(address));
  }

  async accounts(addresses: readonly Uint8Array[]) {
    return addresses.map((address) => this.account(address));
  }

  async slots(keys: readonly { address: Uint8Array; slot: Uint8Array }[]) {
    return keys.map(
      ({ address, slot }) => this.account(address)?.storage.get(toHex(slot)) ?? new Uint8Array(0),
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
    return (this.account(address)?.storage.size ?? 0) > 0;
  }

  apply(delta: Delta): void {
    for (const { codeHash, code } of delta.codes) this.#codes.set(toHex(codeHash), code);
    for (const { address, account, slots } of delta.accounts) {
      const key = toHex(address);
      if (account === null) {
        this.#accounts.delete(key);
        continue;
      }
      const storage = this.#accounts.get(key)?.storage ?? new Map<string, Uint8Array>();
      for (const { slot, value } of slots)
        if (value.length === 0) storage.delete(toHex(slot));
        else storage.set(toHex(slot), value);
      this.#accounts.set(key, { ...account, storage });
    }
  }

  async root(): Promise<Uint8Array> {
    const leaves = new Map<string, Uint8Array>();
    for (const [address, { nonce, balance, codeHash, storage }] of this.#accounts) {
      const slots = new Map([...storage].map(([slot, value]) => [slot, encodeRlp(value)]));
      const storageRoot = await secureRoot(slots);
      const fields = [scalar(nonce), scalar(balance), storageRoot, codeHash];
      leaves.set(address, encodeRlp(fields));
    }
    return secureRoot(leaves);
  }
}

async function secureRoot(leaves: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  if (leaves.size === 0) return EMPTY_TRIE_ROOT;
  const trie = await createMPT({
    useKeyHashing: true,
    useKeyHashingFunction: keccak256,
  });
  for (const [key, value] of leaves) await trie.put(hexBytes(key), value);
  return trie.root();
}

/** Hex in which a leading zero digit may be missing. */
function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/^0x/, '');
  const bytes = fromHex(digits.length % 2 === 0 ? digits : `0${digits}`);
  if (bytes === undefined) throw new Error(`${text} is not hex`);
  return bytes;
}
