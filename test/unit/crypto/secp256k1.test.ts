import { describe, expect, it } from 'vitest';
import { CryptoError } from '../../../src/crypto/crypto_error.ts';
import * as native from '../../../src/crypto/secp256k1.ts';
import * as reference from '../../../src/crypto/secp256k1_reference.ts';
import { bigIntToBytes, bytesToBigInt, concatBytes, padLeft } from '../../../src/lib/bytes.ts';
import { SeededRandom } from './random.ts';

const ORDER = native.SECP256K1_ORDER;
const FIELD = 2n ** 256n - 2n ** 32n - 977n;
const SEED = 3;

function compact(r: bigint, s: bigint): Uint8Array {
  return concatBytes(padLeft(bigIntToBytes(r), 32), padLeft(bigIntToBytes(s), 32));
}

/** What a call gives, or the code that it throws; anything else thrown fails the test. */
function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (thrown) {
    if (thrown instanceof CryptoError) return thrown.code;
    throw thrown;
  }
}

describe('native secp256k1 and its reference', () => {
  it(`agree on random keys and messages (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    for (let round = 0; round < 60; round += 1) {
      const secretKey = random.bytes(32);
      const digest = random.bytes(32);
      const signature = native.sign(digest, secretKey);
      expect(signature).toEqual(reference.sign(digest, secretKey));
      expect(bytesToBigInt(signature.compact.subarray(32)) <= ORDER / 2n).toBe(true);
      const publicKey = native.publicKeyFrom(secretKey);
      expect(publicKey).toEqual(reference.publicKeyFrom(secretKey));
      expect(native.recoverPublicKey(digest, signature)).toEqual(publicKey);
      expect(reference.recoverPublicKey(digest, signature)).toEqual(publicKey);
    }
  });

  it(`agree on hostile signatures (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const edges = [0n, 1n, 2n, 5n, ORDER / 2n, ORDER / 2n + 1n, ORDER - 1n, ORDER, ORDER + 1n];
    const values = [...edges, FIELD - ORDER, FIELD - 1n, FIELD, 2n ** 256n - 1n];
    const digests = [random.bytes(32), new Uint8Array(32), new Uint8Array(32).fill(255)];
    let recovered = 0;
    for (const digest of digests) {
      for (const r of values) {
        for (const s of values) {
          for (const yParity of [0, 1, 2, 3, -1, 0.5]) {
            const signature = { compact: compact(r, s), yParity };
            const ours = outcome(() => native.recoverPublicKey(digest, signature));
            const theirs = outcome(() => reference.recoverPublicKey(digest, signature));
            expect(ours, `r ${r} s ${s} yParity ${yParity}`).toEqual(theirs);
            if (ours instanceof Uint8Array) recovered += 1;
          }
        }
      }
    }
    expect(recovered).toBeGreaterThan(50);
  });

  it(`agree on high s, the wrong recovery id and random r (seed ${SEED + 1})`, () => {
    const random = new SeededRandom(SEED + 1);
    let offCurve = 0;
    for (let round = 0; round < 60; round += 1) {
      const digest = random.bytes(32);
      const { compact: bytes, yParity } = native.sign(digest, random.bytes(32));
      const r = bytesToBigInt(bytes.subarray(0, 32));
      const highS = compact(r, ORDER - bytesToBigInt(bytes.subarray(32)));
      const hostile = [
        { compact: highS, yParity: 1 - yParity },
        { compact: highS, yParity },
        { compact: bytes, yParity: 1 - yParity },
        { compact: random.bytes(64), yParity },
      ];
      for (const signature of hostile) {
        const ours = outcome(() => native.recoverPublicKey(digest, signature));
        expect(ours).toEqual(outcome(() => reference.recoverPublicKey(digest, signature)));
        if (ours === 'BAD_SIGNATURE') offCurve += 1;
      }
    }
    expect(offCurve).toBeGreaterThan(5);
  });

  it('refuse a signature for which the public key would be infinity', () => {
    // With R = G and s = digest, the key is r⁻¹(s·G − digest·G): the point at infinity.
    const generatorX = bytesToBigInt(
      native.publicKeyFrom(padLeft(Uint8Array.of(1), 32)).subarray(1, 33),
    );
    const digest = padLeft(Uint8Array.of(9), 32);
    const signature = { compact: compact(generatorX, 9n), yParity: 0 };
    expect(outcome(() => native.recoverPublicKey(digest, signature))).toBe('BAD_SIGNATURE');
    expect(outcome(() => reference.recoverPublicKey(digest, signature))).toBe('BAD_SIGNATURE');
  });

  it('agree on what a secret key is', () => {
    const digest = new Uint8Array(32).fill(1);
    const good = [1n, ORDER - 1n].map((key) => padLeft(bigIntToBytes(key), 32));
    const bad = [0n, ORDER, 2n ** 256n - 1n].map((key) => padLeft(bigIntToBytes(key), 32));
    for (const key of good) expect(native.publicKeyFrom(key)).toEqual(reference.publicKeyFrom(key));
    for (const key of [...bad, new Uint8Array(31).fill(1), new Uint8Array(33).fill(1)]) {
      for (const twin of [native, reference]) {
        expect(outcome(() => twin.publicKeyFrom(key))).toBe('BAD_KEY');
        expect(outcome(() => twin.sign(digest, key))).toBe('BAD_KEY');
      }
    }
  });
});
