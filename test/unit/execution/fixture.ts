import { readFileSync } from 'node:fs';
import { artifactPath, type ContractArtifact } from '../../../scripts/compile_contracts.ts';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import type { BlockContext } from '../../../src/execution/block_context.ts';
import type { TransferPath } from '../../../src/execution/block_execution.ts';
import { type BlockRequest, executeOn } from '../../../src/execution/executor.ts';
import { FlatState } from '../../../src/execution/flat_state.ts';
import { RuleBook } from '../../../src/execution/rules.ts';
import type { SlotKey, StateReader } from '../../../src/execution/state_reader.ts';
import {
  bigIntToBytes,
  concatBytes,
  fromHex,
  padLeft,
  toHex,
  utf8,
} from '../../../src/lib/bytes.ts';
import type { Account, Delta, Outcome } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { encodeTransaction, type Transaction } from '../../../src/types/transaction.ts';

export const CHAIN_ID = 1_337n;
export const ETHER = 10n ** 18n;

/** A state in memory that blocks are applied to. */
export class MemoryState implements StateReader {
  readonly #accounts = new Map<string, Account>();
  readonly #slots = new Map<string, Uint8Array>();
  readonly #codes = new Map<string, Uint8Array>();
  /** Questions asked so far, by kind. */
  readonly asked = { accounts: 0, slots: 0, code: 0 };

  account(address: Uint8Array): Account | undefined {
    return this.#accounts.get(toHex(address));
  }

  slot(address: Uint8Array, slot: Uint8Array): bigint {
    const value = this.#slots.get(toHex(address) + toHex(slot));
    return value === undefined ? 0n : BigInt(`0x${toHex(value)}`);
  }

  setAccount(address: Uint8Array, account: Partial<Account>, code?: Uint8Array): void {
    const codeHash = code === undefined ? EMPTY_CODE_HASH : keccak256(code);
    if (code !== undefined) this.#codes.set(toHex(codeHash), code);
    this.#accounts.set(toHex(address), { nonce: 0n, balance: 0n, codeHash, ...account });
  }

  async accounts(addresses: readonly Uint8Array[]): Promise<(Account | undefined)[]> {
    this.asked.accounts += 1;
    return addresses.map((address) => this.account(address));
  }

  async slots(keys: readonly SlotKey[]): Promise<Uint8Array[]> {
    this.asked.slots += 1;
    return keys.map(
      ({ address, slot }) => this.#slots.get(toHex(address) + toHex(slot)) ?? new Uint8Array(0),
    );
  }

  async code(codeHash: Uint8Array): Promise<Uint8Array> {
    this.asked.code += 1;
    const code = this.#codes.get(toHex(codeHash));
    if (code === undefined) throw new Error(`no code ${toHex(codeHash)}`);
    return code;
  }

  async blockHash(height: number): Promise<Uint8Array> {
    return keccak256(utf8(`block ${height}`));
  }

  apply(delta: Delta): void {
    for (const { codeHash, code } of delta.codes) this.#codes.set(toHex(codeHash), code);
    for (const { address, account, slots } of delta.accounts) {
      const key = toHex(address);
      if (account === null) this.#accounts.delete(key);
      else this.#accounts.set(key, account);
      for (const { slot, value } of slots)
        if (value.length === 0) this.#slots.delete(key + toHex(slot));
        else this.#slots.set(key + toHex(slot), value);
    }
  }

  /** All wei there is. */
  supply(): bigint {
    return [...this.#accounts.values()].reduce((sum, { balance }) => sum + balance, 0n);
  }
}

export function address(number: number): Uint8Array {
  return padLeft(bigIntToBytes(BigInt(number) + 0x10_0000n), 20);
}

export function word(value: bigint | Uint8Array): Uint8Array {
  return padLeft(typeof value === 'bigint' ? bigIntToBytes(value) : value, 32);
}

export const COINBASE = address(0xc0_1b);

export function blockContext(height: number, changes: Partial<BlockContext> = {}): BlockContext {
  return {
    chainId: CHAIN_ID,
    height,
    timestampMs: 1_700_000_000_000 + height * 1_234,
    coinbase: COINBASE,
    baseFeePerGas: 7n,
    gasLimit: 60_000_000n,
    prevRandao: keccak256(utf8(`randao ${height}`)),
    forks: [{ name: 'cancun', height: 0 }],
    ...changes,
  };
}

/** A transaction as a block carries it, with a signature that nobody checks here. */
export function rawTransaction(fields: Partial<Transaction>): Uint8Array {
  return encodeTransaction({
    type: 2,
    chainId: CHAIN_ID,
    nonce: 0n,
    maxPriorityFeePerGas: 2n,
    maxFeePerGas: 100n,
    gasLimit: 1_000_000n,
    to: undefined,
    value: 0n,
    data: new Uint8Array(0),
    accessList: [],
    yParity: 0,
    r: 1n,
    s: 1n,
    ...fields,
  });
}

export function blockRequest(
  height: number,
  transactions: BlockRequest['transactions'],
  changes: Partial<BlockContext> = {},
): BlockRequest {
  const context = blockContext(height, changes);
  return { blockId: keccak256(utf8(`block ${height}`)), context, transactions };
}

/** Executes on a fresh cache over the state, which stays as it is. */
export function execute(
  state: StateReader,
  request: BlockRequest,
  transfers: TransferPath = 'short',
): Promise<Outcome> {
  const flatState = new FlatState({ cacheBytesMax: 1 << 24 }, { reader: state });
  return executeOn(request, { state: flatState, rules: new RuleBook() }, transfers);
}

export function artifact(contract: string): { bytecode: Uint8Array; deployed: Uint8Array } {
  const text = readFileSync(artifactPath(contract), 'utf8');
  const { bytecode, deployedBytecode } = JSON.parse(text) as ContractArtifact;
  return { bytecode: bytes(bytecode), deployed: bytes(deployedBytecode) };
}

/** Call data of a Solidity function. */
export function callData(signature: string, ...words: (bigint | Uint8Array)[]): Uint8Array {
  return concatBytes(keccak256(utf8(signature)).slice(0, 4), ...words.map(word));
}

export function bytes(hex: string): Uint8Array {
  const parsed = fromHex(hex);
  if (parsed === undefined) throw new Error(`${hex} is not hex`);
  return parsed;
}
