import { keccak256 } from '../crypto/keccak.ts';
import { addressOf } from '../crypto/transaction.ts';
import { utf8 } from '../lib/bytes.ts';
import type { Address } from '../types/primitives.ts';
import { type Operation, TOKEN_ISSUER, type Workload } from './workload_operation.ts';

/** An account that signs, and the nonce of what it signs next. */
export interface Signer {
  readonly address: Address;
  readonly secretKey: Uint8Array;
  nextNonce: bigint;
}

/** The signer whose key follows from a text; it has never signed before. */
export function deriveSigner(text: string): Signer {
  const secretKey = keccak256(utf8(`blockraft lab signer ${text}`));
  return { address: addressOf(secretKey), secretKey, nextNonce: 0n };
}

/**
 * Who signs for whom. Wallet accounts and voters are only names to the contracts, so anyone may
 * sign for them: each that pays gets a signer of its own while there are enough, so that a shared
 * nonce adds no conflict to those of the workload. Holders are their signers.
 */
export interface Signers {
  /** All but the issuer. */
  readonly all: readonly Signer[];
  signerOf(operation: Operation): Signer;
  /** The account of a holder of payments or tokens. */
  holder(name: string): Signer;
}

/**
 * @param issuer signs for TOKEN_ISSUER
 * @param seed keys follow from it: another seed gives fresh accounts
 * @param signersMax of wallet and voting; holders always have one each
 */
export function assignSigners(
  workload: Workload,
  options: { issuer: Signer; seed: string; signersMax: number },
): Signers {
  const all: Signer[] = [];
  const byName = new Map<string, Signer>([[TOKEN_ISSUER, options.issuer]]);
  const isHeld = workload.family === 'payments' || workload.family === 'token';
  const assign = (name: string): void => {
    if (byName.has(name)) return;
    const shared = isHeld ? undefined : all[(byName.size - 1) % options.signersMax];
    const signer = shared ?? deriveSigner(`${options.seed}/${all.length}`);
    if (shared === undefined) all.push(signer);
    byName.set(name, signer);
  };
  // What is measured chooses first; the set-up names many accounts that never pay.
  for (const operation of [...workload.operations, ...workload.setup]) {
    assign(payerOf(operation));
    if (isHeld && 'to' in operation) assign(operation.to);
  }
  const holder = (name: string): Signer => {
    const signer = byName.get(name);
    if (signer === undefined) throw new RangeError(`${name} is not in this workload`);
    return signer;
  };
  return { all, holder, signerOf: (operation) => holder(payerOf(operation)) };
}

function payerOf(operation: Operation): string {
  switch (operation.kind) {
    case 'deposit':
    case 'withdraw':
      return operation.account;
    case 'registerVoter':
    case 'castVote':
      return operation.voter;
    case 'registerCandidate':
      return operation.candidate;
    case 'transfer':
    case 'transferVote':
    case 'pay':
    case 'tokenTransfer':
      return operation.from;
  }
}
