import { createRequire } from 'node:module';
import { errorText } from '../lib/error.ts';
import { CryptoError } from './crypto_error.ts';

// The package's main file falls back to JavaScript, silently and twenty times slower, when the native library does
// not load; its bindings file fails instead.
const native = createRequire(import.meta.url)(
  'secp256k1/bindings.js',
) as typeof import('secp256k1');

/** Order of the group: r and s lie in [1, n). */
export const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

export const SECRET_KEY_BYTES = 32;

export interface RecoverableSignature {
  /** r and s, 32 bytes each, big-endian. */
  readonly compact: Uint8Array;
  /** Whether the y of the signature's point is odd: 0 or 1. */
  readonly yParity: number;
}

/**
 * The 65-byte uncompressed public key (0x04, x, y) whose secret key signed the 32-byte digest. Accepts high s.
 * Throws BAD_SIGNATURE when r or s is out of range or no key fits.
 */
export function recoverPublicKey(digest: Uint8Array, signature: RecoverableSignature): Uint8Array {
  if (signature.yParity !== 0 && signature.yParity !== 1)
    throw new CryptoError('BAD_SIGNATURE', 'the recovery id must be 0 or 1');
  try {
    return native.ecdsaRecover(signature.compact, signature.yParity, digest, false);
  } catch (thrown) {
    throw new CryptoError('BAD_SIGNATURE', `no key made this signature: ${errorText(thrown)}`);
  }
}

/** Signs a 32-byte digest, deterministic (RFC 6979) and with low s. Throws BAD_KEY. */
export function sign(digest: Uint8Array, secretKey: Uint8Array): RecoverableSignature {
  checkSecretKey(secretKey);
  const { signature, recid } = native.ecdsaSign(digest, secretKey);
  return { compact: signature, yParity: recid };
}

/** The 65-byte uncompressed public key of a secret key. Throws BAD_KEY. */
export function publicKeyFrom(secretKey: Uint8Array): Uint8Array {
  checkSecretKey(secretKey);
  return native.publicKeyCreate(secretKey, false);
}

function checkSecretKey(secretKey: Uint8Array): void {
  if (secretKey.length !== SECRET_KEY_BYTES || !native.privateKeyVerify(secretKey))
    throw new CryptoError('BAD_KEY', 'a secret key must be 32 bytes in [1, n)');
}
