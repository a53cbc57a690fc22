import { describe, expect, test } from 'vitest';
import { verifyKzgProof } from '../../../src/execution/kzg.ts';

const INFINITY = `c0${'00'.repeat(47)}`;
const GENERATOR =
  '97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb';
const scalar = (value: bigint) => value.toString(16).padStart(64, '0');

/** A proof about a real blob, used to test other clients' precompiles too. */
const REAL = {
  z: '564c0a11a0f704f4fc3e8acfe0f8245f0ad1347b378fbf96e206da11a5d36306',
  y: '24d25032e67a7e6a4910df5834b8fe70e6bcfeeac0352434196bdf4b2485d5a1',
  commitment:
    '8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7',
  proof:
    '873033e038326e87ed3e1276fd140253fa08e9fc25fb2d9a98527fc22a2c9612fbeafdad446cbc7bcdbdcd780af2c16a',
};

describe('KZG point evaluation', () => {
  test('accepts a real proof and nothing near it', () => {
    const { commitment, z, y, proof } = REAL;
    expect(verifyKzgProof(commitment, z, y, proof)).toBe(true);
    expect(verifyKzgProof(commitment, z, scalar(BigInt(`0x${y}`) + 1n), proof)).toBe(false);
    expect(verifyKzgProof(commitment, scalar(BigInt(`0x${z}`) + 1n), y, proof)).toBe(false);
    expect(verifyKzgProof(proof, z, y, commitment)).toBe(false);
  });

  test('a constant polynomial has its value everywhere', () => {
    expect(verifyKzgProof(GENERATOR, scalar(5n), scalar(1n), INFINITY)).toBe(true);
    expect(verifyKzgProof(GENERATOR, scalar(5n), scalar(2n), INFINITY)).toBe(false);
    expect(verifyKzgProof(INFINITY, scalar(0n), scalar(0n), INFINITY)).toBe(true);
  });

  test('malformed points and scalars prove nothing', () => {
    const order = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;
    expect(verifyKzgProof(INFINITY, scalar(0n), scalar(order), INFINITY)).toBe(false);
    expect(verifyKzgProof(INFINITY, scalar(order), scalar(0n), INFINITY)).toBe(false);
    expect(verifyKzgProof('11'.repeat(48), scalar(0n), scalar(0n), INFINITY)).toBe(false);
    expect(verifyKzgProof('', scalar(0n), scalar(0n), INFINITY)).toBe(false);
  });
});
