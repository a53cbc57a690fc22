import { secp256k1 } from '@noble/curves/secp256k1.js';
import { concatBytes } from '../lib/bytes.ts';
import { errorText } from '../lib/error.ts';
import { CryptoError } from './crypto_error.ts';
import type { RecoverableSignature } from './secp256k1.ts';

// The definition of what is valid: the same three functions as ./secp256k1.ts on an audited library that shares no
// code with the native one. A difference between the two would split the network, so tests hold them equal.

export function recoverPublicKey(digest: Uint8Array, signature: RecoverableSignature): Uint8Array {
  if (signature.yParity !== 0 && signature.yParity !== 1)
    throw new CryptoError('BAD_SIGNATURE', 'the recovery id must be 0 or 1');
  try {
    const recovered = concatBytes(Uint8Array.of(signature.yParity), signature.compact);
    return secp256k1.Signature.fromBytes(recovered, 'recovered')
      .recoverPublicKey(digest)
      .toBytes(false);
  } catch (thrown) {
    throw new CryptoError('BAD_SIGNATURE', `no key made this signature: ${errorText(thrown)}`);
  }
}

export function sign(digest: Uint8Array, secretKey: Uint8Array): RecoverableSignature {
  checkSecretKey(secretKey);
  const bytes = secp256k1.sign(digest, secretKey, { prehash: false, format: 'recovered' });
  return { compact: bytes.slice(1), yParity: bytes[0] ?? 0 };
}

export function publicKeyFrom(secretKey: Uint8Array): Uint8Array {
  checkSecretKey(secretKey);
  return secp256k1.getPublicKey(secretKey, false);
}

function checkSecretKey(secretKey: Uint8Array): void {
  if (!secp256k1.utils.isValidSecretKey(secretKey))
    throw new CryptoError('BAD_KEY', 'a secret key must be 32 bytes in [1, n)');
}
