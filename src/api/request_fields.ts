import { bytesToBigInt } from '../lib/bytes.ts';
import { ADDRESS_BYTES, type Address, HASH_BYTES, type Hash } from '../types/primitives.ts';
import type { Consistency, TransactionDetail } from '../types/views.ts';
import { ApiError } from './api_error.ts';

export function invalid(field: string, expected: string): ApiError {
  return new ApiError('INVALID_REQUEST', `${field} must be ${expected}`, { fields: { field } });
}

export function addressField(bytes: Uint8Array, field: string): Address {
  if (bytes.length !== ADDRESS_BYTES)
    throw invalid(field, `${ADDRESS_BYTES} bytes, not ${bytes.length}`);
  return bytes;
}

export function hashField(bytes: Uint8Array, field: string): Hash {
  if (bytes.length !== HASH_BYTES) throw invalid(field, `${HASH_BYTES} bytes, not ${bytes.length}`);
  return bytes;
}

/** A big-endian number of at most 256 bits; leading zeros are allowed. */
export function numberField(bytes: Uint8Array, field: string): bigint {
  if (bytes.length > HASH_BYTES)
    throw invalid(field, `a big-endian number of at most ${HASH_BYTES} bytes`);
  return bytesToBigInt(bytes);
}

/** A uint64 that the loader gave as a number: exact below 2^53, refused above. */
export function safeIntegerField(value: number, field: string): number {
  if (!Number.isSafeInteger(value)) throw invalid(field, 'below 2^53');
  return value;
}

export function countField(count: number, max: number, field: string): void {
  if (count > max) throw invalid(field, `at most ${max} items, not ${count}`);
}

/** Enum values arrive by name, and those that this version does not know as numbers. */
type EnumValue = string | number;

export function consistencyField(value: EnumValue): Consistency {
  if (value === 'CONSISTENCY_UNSPECIFIED' || value === 'CONSISTENCY_LINEARIZABLE')
    return 'linearizable';
  if (value === 'CONSISTENCY_LOCAL') return 'local';
  throw invalid('consistency', 'CONSISTENCY_LINEARIZABLE or CONSISTENCY_LOCAL');
}

export function detailField(value: EnumValue): TransactionDetail {
  if (value === 'TRANSACTION_DETAIL_UNSPECIFIED' || value === 'TRANSACTION_DETAIL_HASHES')
    return 'hashes';
  if (value === 'TRANSACTION_DETAIL_FULL') return 'full';
  throw invalid('detail', 'TRANSACTION_DETAIL_HASHES or TRANSACTION_DETAIL_FULL');
}

export type WaitLevel = 'admitted' | 'committed';

export function waitField(value: EnumValue): WaitLevel {
  if (value === 'WAIT_LEVEL_ADMITTED' || value === 'WAIT_LEVEL_UNSPECIFIED') return 'admitted';
  if (value === 'WAIT_LEVEL_COMMITTED') return 'committed';
  throw invalid('wait', 'WAIT_LEVEL_ADMITTED or WAIT_LEVEL_COMMITTED');
}
