import { assert } from '../lib/assert.ts';
import { ADDRESS_BYTES, HASH_BYTES } from '../types/primitives.ts';
import type {
  RecoveredTransaction,
  RecoveryFailure,
  RecoveryFailureCode,
  RecoveryResult,
} from './recovery.ts';

// What passes between the pool and its workers: one transferable buffer each way, since cloning an object for each
// transaction would cost the main thread more than decoding it.

/** A batch of transactions as packed bytes (lib/packed_bytes.ts). */
export interface RecoveryRequest {
  readonly id: number;
  readonly packed: ArrayBuffer;
}

/** One fixed record for each transaction; the texts of failures beside them. */
export interface RecoveryResponse {
  readonly id: number;
  readonly records: ArrayBuffer;
  readonly failures: readonly {
    readonly index: number;
    readonly code: RecoveryFailureCode;
    readonly message: string;
  }[];
}

const FLAG_CHAIN_ID = 1;
const FLAG_TO = 2;

/** Offsets within a record; numbers are little-endian, wide ones as 64-bit words with the lowest first. */
const HASH_AT = 0;
const SENDER_AT = HASH_AT + HASH_BYTES;
const TO_AT = SENDER_AT + ADDRESS_BYTES;
const TYPE_AT = TO_AT + ADDRESS_BYTES;
const FLAGS_AT = TYPE_AT + 4;
const DATA_BYTES_AT = FLAGS_AT + 4;
const DATA_ZERO_BYTES_AT = DATA_BYTES_AT + 4;
const LIST_ADDRESSES_AT = DATA_ZERO_BYTES_AT + 4;
const LIST_SLOTS_AT = LIST_ADDRESSES_AT + 4;
const NONCE_AT = LIST_SLOTS_AT + 4;
const GAS_LIMIT_AT = NONCE_AT + 8;
const CHAIN_ID_AT = GAS_LIMIT_AT + 8;
const MAX_FEE_AT = CHAIN_ID_AT + 16;
const MAX_PRIORITY_FEE_AT = MAX_FEE_AT + 32;
const VALUE_AT = MAX_PRIORITY_FEE_AT + 32;
const RECORD_BYTES = VALUE_AT + 32;

export function packResults(id: number, results: readonly RecoveryResult[]): RecoveryResponse {
  const records = new ArrayBuffer(RECORD_BYTES * results.length);
  const failures: RecoveryResponse['failures'][number][] = [];
  for (const [index, result] of results.entries()) {
    const bytes = new Uint8Array(records, index * RECORD_BYTES, RECORD_BYTES);
    bytes.set(result.hash, HASH_AT);
    if (result.ok) writeRecord(bytes, result);
    else failures.push({ index, code: result.code, message: result.message });
  }
  return { id, records, failures };
}

export function unpackResults(response: RecoveryResponse): RecoveryResult[] {
  const { records, failures } = response;
  const count = records.byteLength / RECORD_BYTES;
  assert(Number.isSafeInteger(count), 'a recovery response must hold whole records');
  const bytes = new Uint8Array(records);
  const view = new DataView(records);
  const results = new Array<RecoveryResult>(count);
  for (const failure of failures) results[failure.index] = failureAt(bytes, failure);
  for (let index = 0; index < count; index += 1)
    results[index] ??= readRecord(bytes, view, index * RECORD_BYTES);
  return results;
}

function failureAt(
  bytes: Uint8Array,
  failure: RecoveryResponse['failures'][number],
): RecoveryFailure {
  const at = failure.index * RECORD_BYTES + HASH_AT;
  const hash = bytes.slice(at, at + HASH_BYTES);
  return { ok: false, hash, code: failure.code, message: failure.message };
}

function writeRecord(bytes: Uint8Array, result: RecoveredTransaction): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  bytes.set(result.sender, SENDER_AT);
  if (result.to !== undefined) bytes.set(result.to, TO_AT);
  const flags =
    (result.chainId === undefined ? 0 : FLAG_CHAIN_ID) | (result.to === undefined ? 0 : FLAG_TO);
  view.setUint32(TYPE_AT, result.type, true);
  view.setUint32(FLAGS_AT, flags, true);
  view.setUint32(DATA_BYTES_AT, result.dataBytes, true);
  view.setUint32(DATA_ZERO_BYTES_AT, result.dataZeroBytes, true);
  view.setUint32(LIST_ADDRESSES_AT, result.accessListAddresses, true);
  view.setUint32(LIST_SLOTS_AT, result.accessListSlots, true);
  writeWords(view, NONCE_AT, 1, result.nonce);
  writeWords(view, GAS_LIMIT_AT, 1, result.gasLimit);
  writeWords(view, CHAIN_ID_AT, 2, result.chainId ?? 0n);
  writeWords(view, MAX_FEE_AT, 4, result.maxFeePerGas);
  writeWords(view, MAX_PRIORITY_FEE_AT, 4, result.maxPriorityFeePerGas);
  writeWords(view, VALUE_AT, 4, result.value);
}

function readRecord(bytes: Uint8Array, view: DataView, at: number): RecoveredTransaction {
  const flags = view.getUint32(at + FLAGS_AT, true);
  const toAt = at + TO_AT;
  return {
    ok: true,
    hash: bytes.slice(at + HASH_AT, at + HASH_AT + HASH_BYTES),
    sender: bytes.slice(at + SENDER_AT, at + SENDER_AT + ADDRESS_BYTES),
    type: view.getUint32(at + TYPE_AT, true) as 0 | 1 | 2,
    chainId: (flags & FLAG_CHAIN_ID) === 0 ? undefined : readWords(view, at + CHAIN_ID_AT, 2),
    nonce: view.getBigUint64(at + NONCE_AT, true),
    gasLimit: view.getBigUint64(at + GAS_LIMIT_AT, true),
    maxFeePerGas: readWords(view, at + MAX_FEE_AT, 4),
    maxPriorityFeePerGas: readWords(view, at + MAX_PRIORITY_FEE_AT, 4),
    value: readWords(view, at + VALUE_AT, 4),
    to: (flags & FLAG_TO) === 0 ? undefined : bytes.slice(toAt, toAt + ADDRESS_BYTES),
    dataBytes: view.getUint32(at + DATA_BYTES_AT, true),
    dataZeroBytes: view.getUint32(at + DATA_ZERO_BYTES_AT, true),
    accessListAddresses: view.getUint32(at + LIST_ADDRESSES_AT, true),
    accessListSlots: view.getUint32(at + LIST_SLOTS_AT, true),
  };
}

function writeWords(view: DataView, at: number, words: number, value: bigint): void {
  let rest = value;
  for (let word = 0; word < words; word += 1) {
    view.setBigUint64(at + word * 8, rest & 0xffff_ffff_ffff_ffffn, true);
    rest >>= 64n;
  }
  assert(rest === 0n, 'a decoded number must fit its record');
}

function readWords(view: DataView, at: number, words: number): bigint {
  let value = view.getBigUint64(at, true);
  for (let word = 1; word < words; word += 1) {
    const high = view.getBigUint64(at + word * 8, true);
    if (high !== 0n) value |= high << BigInt(64 * word);
  }
  return value;
}
