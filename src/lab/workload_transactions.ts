import { signTransaction, transactionHash } from '../crypto/transaction.ts';
import { toHex } from '../lib/bytes.ts';
import type { Address, Hash } from '../types/primitives.ts';
import type { AccessListEntry } from '../types/transaction.ts';
import {
  type ContractName,
  callData,
  creationCode,
  mappingSlot,
  nameWord,
  selectorOf,
  wordOf,
} from './contract_call.ts';
import type { Signer, Signers } from './signer.ts';
import { TOKEN_SUPPLY } from './workload_model.ts';
import type { Operation, WorkloadFamily } from './workload_operation.ts';

/** Fees in wei per gas, the same for every transaction of a run. */
export interface FeeTerms {
  readonly chainId: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

export interface SignedTransaction {
  readonly raw: Uint8Array;
  /** Hex without prefix. */
  readonly hash: string;
  readonly sender: Address;
  /** Undefined for what prepares a run: contract creation and funding. */
  readonly operation: Operation | undefined;
}

/** Gas limit of every workload transaction that calls a contract: covers a first write to each slot. */
export const CALL_GAS_LIMIT = 60_000n;
export const TRANSFER_GAS_LIMIT = 21_000n;

export const CONTRACT_OF: Record<WorkloadFamily, ContractName | undefined> = {
  wallet: 'Wallet',
  voting: 'Voting',
  token: 'Token',
  payments: undefined,
};

/** Creates the contract of a family; its address follows from the signer and its nonce. */
export function signCreation(
  contract: ContractName,
  signer: Signer,
  terms: FeeTerms,
): SignedTransaction {
  const words = contract === 'Token' ? [wordOf(TOKEN_SUPPLY)] : [];
  const data = creationCode(contract, ...words);
  return signAs(signer, terms, { ...NO_CALL, data, gasLimit: creationGasLimit(data) });
}

/** EIP-2028 and EIP-3860 charge by the byte, storing the code 200 more; twice the constructor's writes. */
export function creationGasLimit(data: Uint8Array): bigint {
  return 150_000n + 250n * BigInt(data.length);
}

/** A plain transfer of wei. */
export function signPayment(
  signer: Signer,
  payment: { to: Address; value: bigint },
  terms: FeeTerms,
): SignedTransaction {
  return signAs(signer, terms, { ...NO_CALL, ...payment, gasLimit: TRANSFER_GAS_LIMIT });
}

/** What the transactions of a workload are made from. */
export interface SigningContext {
  readonly signers: Signers;
  /** The family's contract; not read for payments. */
  readonly contract: Address;
  readonly terms: FeeTerms;
}

/**
 * Signs operations in order, each with its signer's next nonce, and an EIP-2930 access list that
 * names exactly the slots it touches. About 10,000 a second on one core.
 */
export function signOperations(
  operations: readonly Operation[],
  context: SigningContext,
): SignedTransaction[] {
  return operations.map((operation) => ({
    ...signAs(context.signers.signerOf(operation), context.terms, callOf(operation, context)),
    operation,
  }));
}

/** The slot of the family's contract that holds what the model calls by this name. */
export const slotOf = {
  wallet: (account: string): Hash => mappingSlot(nameWord(account), 0),
  voter: (voter: string): Hash => mappingSlot(nameWord(voter), 0),
  candidate: (candidate: string): Hash => mappingSlot(nameWord(candidate), 1),
  token: (holder: Address): Hash => mappingSlot(holder, 0),
} as const;

interface Call {
  readonly to: Address | undefined;
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly gasLimit: bigint;
  readonly accessList: readonly AccessListEntry[];
}

const NO_CALL: Call = {
  to: undefined,
  value: 0n,
  data: new Uint8Array(0),
  gasLimit: TRANSFER_GAS_LIMIT,
  accessList: [],
};

function signAs(signer: Signer, terms: FeeTerms, call: Call): SignedTransaction {
  const nonce = signer.nextNonce;
  signer.nextNonce += 1n;
  const raw = signTransaction({ type: 2, nonce, ...terms, ...call }, signer.secretKey);
  return {
    raw,
    hash: toHex(transactionHash(raw)),
    sender: signer.address,
    operation: undefined,
  };
}

const SELECTORS = {
  deposit: selectorOf('deposit(bytes32,uint256)'),
  withdraw: selectorOf('withdraw(bytes32,uint256)'),
  transfer: selectorOf('transfer(bytes32,bytes32,uint256)'),
  registerVoter: selectorOf('registerVoter(bytes32)'),
  registerCandidate: selectorOf('registerCandidate(bytes32)'),
  castVote: selectorOf('castVote(bytes32,bytes32)'),
  transferVote: selectorOf('transferVote(bytes32,bytes32,uint256)'),
  tokenTransfer: selectorOf('transfer(address,uint256)'),
};

function callOf(operation: Operation, { contract, signers }: SigningContext): Call {
  const selector = operation.kind === 'pay' ? undefined : SELECTORS[operation.kind];
  const call = (slots: Hash[], ...words: Uint8Array[]): Call => ({
    to: contract,
    value: 0n,
    data: callData(selector ?? new Uint8Array(0), ...words),
    gasLimit: CALL_GAS_LIMIT,
    accessList: [{ address: contract, slots }],
  });
  switch (operation.kind) {
    case 'deposit':
    case 'withdraw':
      return call(
        [slotOf.wallet(operation.account)],
        nameWord(operation.account),
        wordOf(operation.amount),
      );
    case 'transfer':
    case 'transferVote':
      return call(
        distinct(operation.from, operation.to).map(slotOf.wallet),
        nameWord(operation.from),
        nameWord(operation.to),
        wordOf(operation.amount),
      );
    case 'registerVoter':
      return call([slotOf.voter(operation.voter)], nameWord(operation.voter));
    case 'registerCandidate':
      return call([slotOf.candidate(operation.candidate)], nameWord(operation.candidate));
    case 'castVote':
      return call(
        [slotOf.voter(operation.voter), slotOf.candidate(operation.candidate)],
        nameWord(operation.voter),
        nameWord(operation.candidate),
      );
    case 'tokenTransfer': {
      const [from, to] = [signers.holder(operation.from), signers.holder(operation.to)];
      const slots = distinct(from, to).map(({ address }) => slotOf.token(address));
      return call(slots, wordOf(to.address), wordOf(operation.amount));
    }
    case 'pay':
      return { ...NO_CALL, to: signers.holder(operation.to).address, value: operation.amount };
  }
}

function distinct<T>(first: T, second: T): T[] {
  return first === second ? [first] : [first, second];
}
