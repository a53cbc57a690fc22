import { assert } from '../lib/assert.ts';
import { bytesToBigInt } from '../lib/bytes.ts';
import type { Account } from '../types/outcome.ts';
import { ADDRESS_BYTES, type Address, HASH_BYTES } from '../types/primitives.ts';
import type { SlotKey } from './state_reader.ts';

/**
 * Values as one buffer each, so that a message between threads moves a few buffers and copies none.
 * A view into a large buffer would drag the whole of it along.
 */
export interface PackedBytes {
  readonly bytes: Uint8Array;
  readonly lengths: Uint32Array;
}

const SLOT_KEY_BYTES = ADDRESS_BYTES + HASH_BYTES;
/** Whether it exists, nonce, balance, code hash. */
const ACCOUNT_BYTES = 1 + 8 + 32 + HASH_BYTES;

export function packBytes(parts: readonly Uint8Array[]): PackedBytes {
  const lengths = Uint32Array.from(parts, (part) => part.length);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return { bytes, lengths };
}

/** Views into the packed buffer. */
export function unpackBytes({ bytes, lengths }: PackedBytes): Uint8Array[] {
  let offset = 0;
  return Array.from(lengths, (length) => {
    const part = bytes.subarray(offset, offset + length);
    offset += length;
    return part;
  });
}

export function packSlotKeys(keys: readonly SlotKey[]): Uint8Array {
  const bytes = new Uint8Array(keys.length * SLOT_KEY_BYTES);
  keys.forEach(({ address, slot }, index) => {
    bytes.set(address, index * SLOT_KEY_BYTES);
    bytes.set(slot, index * SLOT_KEY_BYTES + ADDRESS_BYTES);
  });
  return bytes;
}

export function unpackSlotKeys(bytes: Uint8Array): SlotKey[] {
  return unpackFixed(bytes, SLOT_KEY_BYTES).map((key) => ({
    address: key.subarray(0, ADDRESS_BYTES),
    slot: key.subarray(ADDRESS_BYTES),
  }));
}

export function packAccounts(accounts: readonly (Account | undefined)[]): Uint8Array {
  const bytes = new Uint8Array(accounts.length * ACCOUNT_BYTES);
  const view = new DataView(bytes.buffer);
  accounts.forEach((account, index) => {
    if (account === undefined) return;
    const offset = index * ACCOUNT_BYTES;
    bytes[offset] = 1;
    view.setBigUint64(offset + 1, account.nonce);
    for (let word = 0; word < 4; word += 1)
      view.setBigUint64(offset + 9 + word * 8, account.balance >> BigInt(64 * (3 - word)));
    bytes.set(account.codeHash, offset + 41);
  });
  return bytes;
}

/** Accounts that own their bytes. */
export function unpackAccounts(bytes: Uint8Array): (Account | undefined)[] {
  return unpackFixed(bytes, ACCOUNT_BYTES).map((packed) => {
    if (packed[0] === 0) return undefined;
    return {
      nonce: bytesToBigInt(packed.subarray(1, 9)),
      balance: bytesToBigInt(packed.subarray(9, 41)),
      codeHash: packed.slice(41),
    };
  });
}

export function packAddresses(addresses: readonly Address[]): Uint8Array {
  return packFixed(addresses, ADDRESS_BYTES);
}

export function unpackAddresses(bytes: Uint8Array): Address[] {
  return unpackFixed(bytes, ADDRESS_BYTES);
}

/** Parts of one fixed length, without the lengths. */
function packFixed(parts: readonly Uint8Array[], partBytes: number): Uint8Array {
  const bytes = new Uint8Array(parts.length * partBytes);
  parts.forEach((part, index) => {
    assert(part.length === partBytes, `a part must have ${partBytes} bytes, not ${part.length}`);
    bytes.set(part, index * partBytes);
  });
  return bytes;
}

function unpackFixed(bytes: Uint8Array, partBytes: number): Uint8Array[] {
  return Array.from({ length: bytes.length / partBytes }, (_, index) =>
    bytes.subarray(index * partBytes, (index + 1) * partBytes),
  );
}
