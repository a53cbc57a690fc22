import { CodedError } from '../lib/error.ts';

/**
 * BAD_SIGNATURE: no key made this signature; HIGH_S: valid, but its s is in the upper half (EIP-2);
 * BAD_KEY: not a secret or public key; BAD_COMMIT: a certificate that does not prove its block;
 * OVERLOADED: the recovery queue is full; STOPPED: the recovery pool no longer works.
 */
export type CryptoErrorCode =
  | 'BAD_SIGNATURE'
  | 'HIGH_S'
  | 'BAD_KEY'
  | 'BAD_COMMIT'
  | 'OVERLOADED'
  | 'STOPPED';

export class CryptoError extends CodedError<CryptoErrorCode> {}
