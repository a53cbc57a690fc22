import { smallerBigInt } from '../lib/bigint.ts';
import { bytesEqual, toHex, toPrefixedHex } from '../lib/bytes.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Address, Hash } from '../types/primitives.ts';
import { decodeTransaction, type Transaction } from '../types/transaction.ts';
import type { AuditedBlock } from './chain_audit.ts';
import type { NodeClient } from './client.ts';
import { eachAtOnce } from './each_at_once.ts';
import type { Signers } from './signer.ts';
import type { WorkloadModel } from './workload_model.ts';
import type { WorkloadFamily } from './workload_operation.ts';
import { type SignedTransaction, slotOf, TRANSFER_GAS_LIMIT } from './workload_transactions.ts';

/** Reads under way at once. */
const READS_MAX = 32;
/** Differences told: one fault tends to show in many accounts. */
const DIFFERENCES_MAX = 10;

export interface StorageAuditInput {
  /** One for each member: reads are spread over them. */
  readonly clients: readonly NodeClient[];
  /** The model after the operations of the chain in block order. */
  readonly model: WorkloadModel;
  readonly family: WorkloadFamily;
  readonly signers: Signers;
  /** The family's contract. */
  readonly contract: Address;
}

export interface AccountAuditInput {
  /** One for each member: reads are spread over them. */
  readonly clients: readonly NodeClient[];
  readonly genesis: Genesis;
  /** The whole chain, sound. */
  readonly blocks: readonly AuditedBlock[];
  /** Everything that was ever submitted to this chain, by hash. */
  readonly submitted: ReadonlyMap<string, SignedTransaction>;
}

export interface StateAudit {
  readonly compared: number;
  readonly differences: readonly string[];
}

/** Compares the contract's storage with what the model says it holds. */
export async function auditStorage(input: StorageAuditInput): Promise<StateAudit> {
  const expected = expectedSlots(input);
  const differences: string[] = [];
  await eachAtOnce(expected, READS_MAX, async ({ name, slot, value }, index) => {
    const found = await clientFor(input, index).storage(input.contract, slot);
    if (found !== value) note(differences, `${name} is ${found}, not ${value}`);
  });
  return { compared: expected.length, differences };
}

function expectedSlots(input: StorageAuditInput): { name: string; slot: Hash; value: bigint }[] {
  const { model, signers } = input;
  const entries = (
    balances: ReadonlyMap<string, bigint>,
    prefix: string,
    slot: (name: string) => Hash,
  ): { name: string; slot: Hash; value: bigint }[] =>
    [...balances].map(([name, value]) => ({ name: prefix + name, slot: slot(name), value }));
  switch (input.family) {
    case 'wallet':
      return entries(model.wallets, 'wallet ', slotOf.wallet);
    case 'voting':
      return [
        ...entries(model.voters, 'voter ', slotOf.voter),
        ...entries(model.candidates, 'candidate ', slotOf.candidate),
      ];
    case 'token':
      return entries(model.tokens, 'token ', (name) => slotOf.token(signers.holder(name).address));
    case 'payments':
      return [];
  }
}

/** What an account should hold by the rules of the ledger, as far as its own transactions tell. */
interface Expectation {
  readonly address: Address;
  nonce: bigint;
  balance: bigint;
  /** It paid gas for calls, which its transactions do not tell. */
  calls: boolean;
}

/**
 * Compares nonces and wei of all accounts that took part with an independent replay of the chain. Plain
 * transfers have a fixed price, so those who did nothing else are compared one by one; all others together,
 * against the gas that the headers say was used.
 */
export async function auditAccounts(input: AccountAuditInput): Promise<StateAudit> {
  const expectations = new Map<string, Expectation>();
  const callFees = await replayWei(input, expectations);
  const differences: string[] = [];
  let found = 0n;
  let expected = -callFees;
  await eachAtOnce([...expectations.values()], READS_MAX, async (expectation, index) => {
    const account = await clientFor(input, index).account(expectation.address);
    const name = toPrefixedHex(expectation.address);
    if (account.nonce !== expectation.nonce)
      note(differences, `the nonce of ${name} is ${account.nonce}, not ${expectation.nonce}`);
    if (expectation.calls) {
      found += account.balance;
      expected += expectation.balance;
    } else if (account.balance !== expectation.balance) {
      note(differences, `${name} has ${account.balance} wei, not ${expectation.balance}`);
    }
  });
  if (found !== expected)
    note(differences, `the callers together have ${found} wei, not ${expected}`);
  return { compared: expectations.size, differences };
}

/** Fills in the expectations; returns the wei that contract calls and creations cost. */
async function replayWei(
  input: AccountAuditInput,
  expectations: Map<string, Expectation>,
): Promise<bigint> {
  const of = (address: Address): Expectation => {
    const key = toHex(address);
    let expectation = expectations.get(key);
    if (expectation === undefined) {
      const genesis = input.genesis.accounts.find((account) =>
        bytesEqual(account.address, address),
      );
      const { nonce, balance } = genesis ?? { nonce: 0n, balance: 0n };
      expectation = { address, nonce, balance, calls: false };
      expectations.set(key, expectation);
    }
    return expectation;
  };
  let callFees = 0n;
  for (const [position, block] of input.blocks.entries()) {
    let transferGas = 0n;
    let price = 0n;
    for (const [index, raw] of block.transactions.entries()) {
      const sent = input.submitted.get(block.transactionHashes[index] ?? '');
      if (sent === undefined) continue;
      const transaction = decodeTransaction(raw);
      const sender = of(sent.sender);
      sender.nonce += 1n;
      price = effectivePrice(transaction, block.header.baseFeePerGas);
      if (transaction.to === undefined || transaction.data.length > 0) {
        sender.calls = true;
        continue;
      }
      sender.balance -= transaction.value + TRANSFER_GAS_LIMIT * price;
      transferGas += TRANSFER_GAS_LIMIT;
      of(transaction.to).balance += transaction.value;
    }
    // All transactions of a run pay the same tip, so that a block has one price.
    if (block.transactions.length > 0)
      callFees += ((await gasUsedBy(input, position)) - transferGas) * price;
  }
  return callFees;
}

/** The next header says what a block used; of the last block its last receipt does. */
async function gasUsedBy(input: AccountAuditInput, position: number): Promise<bigint> {
  const next = input.blocks[position + 1];
  if (next !== undefined) return next.header.gasUsed;
  const lastHash = input.blocks[position]?.transactionHashes.at(-1) ?? '';
  const receipt = await clientFor(input, 0).receipt(Buffer.from(lastHash, 'hex'));
  return BigInt(receipt?.cumulativeGasUsed ?? 0);
}

function effectivePrice(transaction: Transaction, baseFee: bigint): bigint {
  const wished = baseFee + transaction.maxPriorityFeePerGas;
  return smallerBigInt(wished, transaction.maxFeePerGas);
}

function clientFor(input: { readonly clients: readonly NodeClient[] }, index: number): NodeClient {
  return input.clients[index % input.clients.length] as NodeClient;
}

function note(differences: string[], difference: string): void {
  if (differences.length < DIFFERENCES_MAX) differences.push(difference);
}
