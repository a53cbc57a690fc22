import {
  type Commit,
  encodeCommit,
  encodeHeader,
  type Header,
  votePayload,
} from '../types/block.ts';
import {
  ADDRESS_BYTES,
  type Address,
  HASH_BYTES,
  type Hash,
  type Height,
  ZERO_HASH,
} from '../types/primitives.ts';
import { encodeRlp } from '../types/rlp.ts';
import {
  type ConsensusParameters,
  encodeConsensusParameters,
  encodeValidators,
  type Validator,
} from '../types/validator.ts';
import { aggregateVerify } from './bls.ts';
import { CryptoError } from './crypto_error.ts';
import { keccak256 } from './keccak.ts';

/** The name of a block: the hash of its header. */
export function blockId(header: Header): Hash {
  return keccak256(encodeHeader(header));
}

/** What the next header says of a certificate; zeros where there is none, at height 1. */
export function commitHash(commit: Commit | undefined): Hash {
  return commit === undefined ? ZERO_HASH.slice() : keccak256(encodeCommit(commit));
}

/** The hash of a block's proofs of misbehaviour, each as its canonical bytes. */
export function evidenceHash(evidence: readonly Uint8Array[]): Hash {
  return keccak256(encodeRlp([...evidence]));
}

export function validatorsHash(validators: readonly Validator[]): Hash {
  return keccak256(encodeValidators(validators));
}

export function consensusParametersHash(parameters: ConsensusParameters): Hash {
  return keccak256(encodeConsensusParameters(parameters));
}

/** The last 20 bytes of the hash of the compressed public key. */
export function validatorAddress(publicKey: Uint8Array): Address {
  return keccak256(publicKey).slice(HASH_BYTES - ADDRESS_BYTES);
}

/** The 32 bytes that a validator's BLS key signs to precommit a block. */
export function precommitDigest(vote: {
  chainId: bigint;
  height: Height;
  round: number;
  blockId: Hash;
}): Hash {
  return keccak256(votePayload({ ...vote, step: 'precommit' }));
}

/** The certificate of a set of one validator, from its signature over the precommit digest. */
export function makeCommit(vote: {
  height: Height;
  round: number;
  blockId: Hash;
  signature: Uint8Array;
}): Commit {
  const { height, round, blockId, signature } = vote;
  return { height, round, blockId, signers: Uint8Array.of(1), signature };
}

/** Throws BAD_COMMIT unless more than two thirds of the power signed this block at its height and round. */
export function verifyCommit(
  commit: Commit,
  validators: readonly Validator[],
  chainId: bigint,
): void {
  const signers = signersOf(commit, validators);
  const signed = totalPower(signers);
  if (signed * 3n <= totalPower(validators) * 2n)
    throw new CryptoError('BAD_COMMIT', 'the certificate holds no more than 2/3 of the power', {
      fields: { height: commit.height, signedPower: String(signed) },
    });
  const keys = signers.map(({ publicKey }) => publicKey);
  if (!aggregateVerify(precommitDigest({ ...commit, chainId }), keys, commit.signature))
    throw new CryptoError('BAD_COMMIT', 'the certificate is not signed by those it names', {
      fields: { height: commit.height },
    });
}

/** Only one bitmap stands for a set of signers: whole bytes, no bit beyond the last validator. */
function signersOf(commit: Commit, validators: readonly Validator[]): Validator[] {
  const bits = commit.signers;
  const spareBits = bits.length * 8 - validators.length;
  const last = bits.at(-1) ?? 0;
  if (spareBits < 0 || spareBits > 7 || last >> (8 - spareBits) !== 0)
    throw new CryptoError('BAD_COMMIT', 'the bitmap of signers does not fit the validator set', {
      fields: { height: commit.height, validators: validators.length },
    });
  return validators.filter((_, index) => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0);
}

function totalPower(validators: readonly Validator[]): bigint {
  return validators.reduce((total, { power }) => total + power, 0n);
}
