import { bls12_381 } from '@noble/curves/bls12-381.js';
import { describe, expect, it } from 'vitest';
import {
  aggregateVerify,
  generateSecretKey,
  publicKey,
  sign,
  verify,
} from '../../../src/crypto/bls.ts';
import { SeededRandom } from './random.ts';

const reference = bls12_381.longSignatures;
const SUITE = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';
const SEED = 5;
const INFINITY_KEY = new Uint8Array(48);
INFINITY_KEY[0] = 0xc0;
const INFINITY_SIGNATURE = new Uint8Array(96);
INFINITY_SIGNATURE[0] = 0xc0;

function referenceSignature(message: Uint8Array, secret: Uint8Array): Uint8Array {
  return reference.Signature.toBytes(reference.sign(reference.hash(message, SUITE), secret));
}

describe('BLS', () => {
  const random = new SeededRandom(SEED);
  const secrets = [1, 2, 3].map(() => generateSecretKey(random.bytes(32)));
  const keys = secrets.map(publicKey);
  const message = random.bytes(32);

  it(`makes the keys and signatures of the reference (seed ${SEED})`, () => {
    for (const [index, secret] of secrets.entries()) {
      expect(keys[index]).toEqual(reference.getPublicKey(secret).toBytes(true));
      expect(sign(message, secret)).toEqual(referenceSignature(message, secret));
      expect(verify(message, keys[index]!, referenceSignature(message, secret))).toBe(true);
    }
  });

  it('verifies the sum of signatures on one message', () => {
    const signatures = secrets.map((secret) =>
      reference.Signature.fromBytes(sign(message, secret)),
    );
    const sum = reference.Signature.toBytes(reference.aggregateSignatures(signatures));
    expect(aggregateVerify(message, keys, sum)).toBe(true);
    expect(aggregateVerify(message, keys.slice(1), sum)).toBe(false);
    expect(aggregateVerify(random.bytes(32), keys, sum)).toBe(false);
    expect(aggregateVerify(message, [], sum)).toBe(false);
    expect(aggregateVerify(message, [], INFINITY_SIGNATURE)).toBe(false);
  });

  it('refuses another message, another key, bent bytes and short ones', () => {
    const signature = sign(message, secrets[0]!);
    expect(verify(random.bytes(32), keys[0]!, signature)).toBe(false);
    expect(verify(message, keys[1]!, signature)).toBe(false);
    const bent = signature.slice();
    bent[95]! ^= 1;
    expect(verify(message, keys[0]!, bent)).toBe(false);
    expect(verify(message, keys[0]!, signature.subarray(1))).toBe(false);
    expect(verify(message, keys[0]!.subarray(1), signature)).toBe(false);
    expect(verify(message, new Uint8Array(48), signature)).toBe(false);
    expect(verify(message, keys[0]!, new Uint8Array(96))).toBe(false);
  });

  it('refuses infinity as key or signature, also as a sum of keys that cancel', () => {
    expect(verify(message, INFINITY_KEY, INFINITY_SIGNATURE)).toBe(false);
    expect(verify(message, keys[0]!, INFINITY_SIGNATURE)).toBe(false);
    expect(aggregateVerify(message, [INFINITY_KEY], INFINITY_SIGNATURE)).toBe(false);
    const opposite = bls12_381.G1.Point.fromBytes(keys[0]!).negate().toBytes(true);
    expect(aggregateVerify(message, [keys[0]!, opposite], INFINITY_SIGNATURE)).toBe(false);
  });

  it('refuses points of the curve that are outside the subgroup', () => {
    // x = 4 has a point on the curve, y² = x³ + 4, but not one of prime order.
    const stray = new Uint8Array(48);
    stray[0] = 0x80;
    stray[47] = 4;
    expect(() => bls12_381.G1.Point.fromBytes(stray)).toThrow('not in prime-order subgroup');
    const signature = sign(message, secrets[0]!);
    expect(verify(message, stray, signature)).toBe(false);
    expect(aggregateVerify(message, [keys[0]!, stray], signature)).toBe(false);
  });

  it('refuses what is not a secret key', () => {
    const order = bls12_381.fields.Fr.ORDER.toString(16).padStart(64, '0');
    const bad = [new Uint8Array(32), new Uint8Array(31).fill(1), Buffer.from(order, 'hex')];
    for (const secret of bad) {
      expect(() => publicKey(secret)).toThrow(expect.objectContaining({ code: 'BAD_KEY' }));
      expect(() => sign(message, secret)).toThrow(expect.objectContaining({ code: 'BAD_KEY' }));
    }
    expect(() => generateSecretKey(new Uint8Array(31))).toThrow(
      expect.objectContaining({ code: 'BAD_KEY' }),
    );
  });
});
