import { bls12_381 } from '@noble/curves/bls12-381.js';
import { describe, expect, it } from 'vitest';
import {
  blockId,
  commitHash,
  evidenceHash,
  makeCommit,
  precommitDigest,
  validatorAddress,
  verifyCommit,
} from '../../../src/crypto/block.ts';
import { generateSecretKey, publicKey, sign } from '../../../src/crypto/bls.ts';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { type Commit, encodeCommit, encodeHeader, type Header } from '../../../src/types/block.ts';
import { ZERO_HASH } from '../../../src/types/primitives.ts';
import type { Validator } from '../../../src/types/validator.ts';
import { SeededRandom } from './random.ts';

const CHAIN_ID = 4242n;
const random = new SeededRandom(21);
const secrets = [0, 1, 2, 3].map(() => generateSecretKey(random.bytes(32)));
const vote = { height: 7, round: 1, blockId: random.bytes(32) };

function validatorSet(powers: readonly bigint[]): Validator[] {
  return powers.map((power, index) => {
    const key = publicKey(secrets[index]!);
    return {
      address: validatorAddress(key),
      publicKey: key,
      power,
      rewardAddress: new Uint8Array(20),
    };
  });
}

function commitOf(signers: readonly number[], bits = new Uint8Array(1)): Commit {
  const digest = precommitDigest({ ...vote, chainId: CHAIN_ID });
  const { Signature, aggregateSignatures } = bls12_381.longSignatures;
  const points = signers.map((index) => Signature.fromBytes(sign(digest, secrets[index]!)));
  for (const index of signers) bits[index >> 3]! |= 1 << (index & 7);
  return { ...vote, signers: bits, signature: Signature.toBytes(aggregateSignatures(points)) };
}

const refused = expect.objectContaining({ code: 'BAD_COMMIT' });

describe('certificates', () => {
  it('of one validator hold for their chain, height, round and block only', () => {
    const validators = validatorSet([1n]);
    const signature = sign(precommitDigest({ ...vote, chainId: CHAIN_ID }), secrets[0]!);
    const commit = makeCommit({ ...vote, signature });
    verifyCommit(commit, validators, CHAIN_ID);
    expect(() => verifyCommit(commit, validators, CHAIN_ID + 1n)).toThrow(refused);
    for (const change of [{ height: 8 }, { round: 2 }, { blockId: ZERO_HASH }])
      expect(() => verifyCommit({ ...commit, ...change }, validators, CHAIN_ID)).toThrow(refused);
    expect(() => verifyCommit(commit, validatorSet([]), CHAIN_ID)).toThrow(refused);
  });

  it('need more than two thirds of the power, not of the heads', () => {
    const equal = validatorSet([1n, 1n, 1n]);
    verifyCommit(commitOf([0, 1, 2]), equal, CHAIN_ID);
    expect(() => verifyCommit(commitOf([0, 1]), equal, CHAIN_ID)).toThrow(refused);
    const weighted = validatorSet([70n, 10n, 10n, 10n]);
    verifyCommit(commitOf([0]), weighted, CHAIN_ID);
    expect(() => verifyCommit(commitOf([1, 2, 3]), weighted, CHAIN_ID)).toThrow(refused);
  });

  it('refuse a bitmap that names others than the signers, or that is not the only form', () => {
    const validators = validatorSet([1n, 1n, 1n, 1n]);
    const commit = commitOf([0, 1, 2]);
    verifyCommit(commit, validators, CHAIN_ID);
    for (const signers of [[0b1111], [0b1110], [0b10111], [0b0111, 0], [], [0b0111, 1]])
      expect(
        () => verifyCommit({ ...commit, signers: Uint8Array.from(signers) }, validators, CHAIN_ID),
        `bitmap ${signers}`,
      ).toThrow(refused);
  });
});

describe('hashes of blocks', () => {
  it('are keccak-256 over the canonical bytes', () => {
    const commit = commitOf([0]);
    expect(commitHash(commit)).toEqual(keccak256(encodeCommit(commit)));
    expect(commitHash(undefined)).toEqual(ZERO_HASH);
    expect(evidenceHash([])).toEqual(keccak256(Uint8Array.of(0xc0)));
    const hash = random.bytes(32);
    const header: Header = {
      chainId: CHAIN_ID,
      height: 1,
      timestampMs: 1,
      parentId: hash,
      proposer: random.bytes(20),
      validatorsHash: hash,
      nextValidatorsHash: hash,
      consensusParametersHash: hash,
      transactionsRoot: hash,
      lastCommitHash: hash,
      evidenceHash: hash,
      gasUsed: 0n,
      receiptsRoot: hash,
      logsBloom: new Uint8Array(256),
      stateRoot: hash,
      baseFeePerGas: 1n,
      gasLimit: 30_000_000n,
      extraData: new Uint8Array(0),
    };
    expect(blockId(header)).toEqual(keccak256(encodeHeader(header)));
    expect(blockId({ ...header, height: 2 })).not.toEqual(blockId(header));
  });
});
