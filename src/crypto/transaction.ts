import { bigIntToBytes, bytesToBigInt } from '../lib/bytes.ts';
import type { Address, Hash } from '../types/primitives.ts';
import { ADDRESS_BYTES, HASH_BYTES } from '../types/primitives.ts';
import { encodeRlp, scalar } from '../types/rlp.ts';
import { encodeTransaction, signingPayload, type Transaction } from '../types/transaction.ts';
import { CryptoError } from './crypto_error.ts';
import { keccak256 } from './keccak.ts';
import { publicKeyFrom, recoverPublicKey, SECP256K1_ORDER, sign } from './secp256k1.ts';

const HALF_ORDER = SECP256K1_ORDER / 2n;

/** A transaction before its sender signs it. */
export type UnsignedTransaction = Omit<Transaction, 'yParity' | 'r' | 's'>;

/** What clients know a transaction by. */
export function transactionHash(raw: Uint8Array): Hash {
  return keccak256(raw);
}

/** The account that signed. Throws BAD_SIGNATURE, or HIGH_S for the malleable half (EIP-2). */
export function recoverSender(transaction: Transaction): Address {
  const { r, s, yParity } = transaction;
  if (r <= 0n || r >= SECP256K1_ORDER || s <= 0n || s >= SECP256K1_ORDER)
    throw new CryptoError('BAD_SIGNATURE', 'r and s of the signature must lie in [1, n)');
  if (s > HALF_ORDER)
    throw new CryptoError('HIGH_S', 's of the signature must be in the lower half (EIP-2)');
  const compact = new Uint8Array(2 * HASH_BYTES);
  writeRight(compact, HASH_BYTES, bigIntToBytes(r));
  writeRight(compact, 2 * HASH_BYTES, bigIntToBytes(s));
  const digest = keccak256(signingPayload(transaction));
  return addressOfPublicKey(recoverPublicKey(digest, { compact, yParity }));
}

/** The account of a secret key. Throws BAD_KEY. */
export function addressOf(secretKey: Uint8Array): Address {
  return addressOfPublicKey(publicKeyFrom(secretKey));
}

/** The EIP-2718 bytes of a transaction, signed. Throws BAD_KEY. */
export function signTransaction(unsigned: UnsignedTransaction, secretKey: Uint8Array): Uint8Array {
  const payload = signingPayload({ ...unsigned, yParity: 0, r: 0n, s: 0n });
  const { compact, yParity } = sign(keccak256(payload), secretKey);
  return encodeTransaction({
    ...unsigned,
    yParity,
    r: bytesToBigInt(compact.subarray(0, HASH_BYTES)),
    s: bytesToBigInt(compact.subarray(HASH_BYTES)),
  });
}

/** Where a transaction without recipient, or CREATE, puts its contract. */
export function contractAddress(sender: Address, nonce: bigint): Address {
  return keccak256(encodeRlp([sender, scalar(nonce)])).slice(HASH_BYTES - ADDRESS_BYTES);
}

function addressOfPublicKey(uncompressed: Uint8Array): Address {
  return keccak256(uncompressed.subarray(1)).slice(HASH_BYTES - ADDRESS_BYTES);
}

function writeRight(target: Uint8Array, end: number, bytes: Uint8Array): void {
  target.set(bytes, end - bytes.length);
}
