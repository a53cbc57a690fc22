import {
  verify as blstVerify,
  fastAggregateVerify,
  PublicKey,
  SecretKey,
  Signature,
} from '@chainsafe/blst';
import { BLS_PUBLIC_KEY_BYTES, BLS_SIGNATURE_BYTES } from '../types/validator.ts';
import { CryptoError } from './crypto_error.ts';

// BLS12-381 with public keys in G1 and the proof-of-possession ciphersuite, which is the only one of the library.
// Keys and signatures come from outside, so each is checked for infinity and for its subgroup as it is decoded.

export const BLS_SECRET_KEY_BYTES = 32;

/** A secret key from at least 32 random bytes. */
export function generateSecretKey(random: Uint8Array): Uint8Array {
  if (random.length < BLS_SECRET_KEY_BYTES)
    throw new CryptoError('BAD_KEY', 'a BLS key needs at least 32 random bytes');
  return Uint8Array.from(SecretKey.fromKeygen(random).toBytes());
}

/** The 48-byte compressed public key. Throws BAD_KEY. */
export function publicKey(secretKey: Uint8Array): Uint8Array {
  return Uint8Array.from(secretKeyFrom(secretKey).toPublicKey().toBytes(true));
}

/** The 96-byte compressed signature of a message, always the same for the same input. Throws BAD_KEY. */
export function sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return Uint8Array.from(secretKeyFrom(secretKey).sign(message).toBytes(true));
}

/** Whether this key signed the message; false for whatever is not a key or a signature. */
export function verify(message: Uint8Array, signer: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyFrom(signer);
  const point = signatureFrom(signature);
  if (key === undefined || point === undefined) return false;
  return blstVerify(message, key, point, true, true);
}

/**
 * Whether the signature is the sum of one from each of these keys on the same message; false for no keys. Every
 * key's holder must have proven possession before, else a rogue key can cancel the others.
 */
export function aggregateVerify(
  message: Uint8Array,
  signers: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  if (signers.length === 0) return false;
  const keys: PublicKey[] = [];
  for (const signer of signers) {
    const key = publicKeyFrom(signer);
    if (key === undefined) return false;
    keys.push(key);
  }
  const point = signatureFrom(signature);
  return point !== undefined && fastAggregateVerify(message, keys, point, true);
}

function secretKeyFrom(bytes: Uint8Array): SecretKey {
  try {
    return SecretKey.fromBytes(bytes);
  } catch (cause) {
    throw new CryptoError('BAD_KEY', 'a BLS secret key must be 32 bytes in [1, r)', { cause });
  }
}

function publicKeyFrom(bytes: Uint8Array): PublicKey | undefined {
  if (bytes.length !== BLS_PUBLIC_KEY_BYTES) return undefined;
  try {
    return PublicKey.fromBytes(bytes, true);
  } catch {
    return undefined;
  }
}

function signatureFrom(bytes: Uint8Array): Signature | undefined {
  if (bytes.length !== BLS_SIGNATURE_BYTES) return undefined;
  try {
    return Signature.fromBytes(bytes, true, true);
  } catch {
    return undefined;
  }
}
