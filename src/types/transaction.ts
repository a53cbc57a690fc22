import type { Address, Hash } from './primitives.ts';
import { ADDRESS_BYTES, HASH_BYTES } from './primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem, scalar } from './rlp.ts';

/** One address of an EIP-2930 access list with its slots. */
export interface AccessListEntry {
  readonly address: Address;
  readonly slots: readonly Hash[];
}

/**
 * A signed Ethereum transaction: legacy with EIP-155 replay protection, EIP-2930 or EIP-1559.
 * Legacy and EIP-2930 transactions carry their gas price as both fee caps.
 */
export interface Transaction {
  readonly type: 0 | 1 | 2;
  /** For legacy ones derived from v; undefined when v has no chain id (before EIP-155). */
  readonly chainId: bigint | undefined;
  readonly nonce: bigint;
  /** Wei per gas, at most, of tip and in all. */
  readonly maxPriorityFeePerGas: bigint;
  readonly maxFeePerGas: bigint;
  readonly gasLimit: bigint;
  /** Undefined creates a contract. */
  readonly to: Address | undefined;
  /** Wei. */
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly accessList: readonly AccessListEntry[];
  /** 0 or 1. */
  readonly yParity: number;
  readonly r: bigint;
  readonly s: bigint;
}

/** Decodes the EIP-2718 envelope. Checks shape only: signature range, chain id and gas are the admission's. */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  const first = bytes[0];
  if (first === undefined) throw new CodecError('transaction must not be empty');
  if (first >= 0xc0) return decodeLegacy(decodeRlp(bytes));
  if (first === 1) return decodeTyped(decodeRlp(bytes.subarray(1)), 1);
  if (first === 2) return decodeTyped(decodeRlp(bytes.subarray(1)), 2);
  throw new CodecError(
    `transaction type ${first} is not accepted; use legacy, EIP-2930 (1) or EIP-1559 (2)`,
  );
}

/** The EIP-2718 bytes, canonical: decoding them and encoding again gives the same. */
export function encodeTransaction(transaction: Transaction): Uint8Array {
  if (transaction.type === 0) {
    const v =
      transaction.chainId === undefined
        ? 27n + BigInt(transaction.yParity)
        : transaction.chainId * 2n + 35n + BigInt(transaction.yParity);
    return encodeRlp([
      ...legacyFields(transaction),
      scalar(v),
      scalar(transaction.r),
      scalar(transaction.s),
    ]);
  }
  return withType(transaction.type, [
    ...typedFields(transaction),
    scalar(transaction.yParity),
    scalar(transaction.r),
    scalar(transaction.s),
  ]);
}

/** The bytes whose keccak-256 the sender signed. */
export function signingPayload(transaction: Transaction): Uint8Array {
  if (transaction.type !== 0) return withType(transaction.type, typedFields(transaction));
  const fields = legacyFields(transaction);
  return encodeRlp(
    transaction.chainId === undefined
      ? fields
      : [...fields, scalar(transaction.chainId), scalar(0), scalar(0)],
  );
}

function legacyFields(transaction: Transaction): RlpItem[] {
  return [
    scalar(transaction.nonce),
    scalar(transaction.maxFeePerGas),
    scalar(transaction.gasLimit),
    transaction.to ?? new Uint8Array(0),
    scalar(transaction.value),
    transaction.data,
  ];
}

function typedFields(transaction: Transaction): RlpItem[] {
  return [
    scalar(transaction.chainId ?? 0n),
    scalar(transaction.nonce),
    ...(transaction.type === 2 ? [scalar(transaction.maxPriorityFeePerGas)] : []),
    scalar(transaction.maxFeePerGas),
    scalar(transaction.gasLimit),
    transaction.to ?? new Uint8Array(0),
    scalar(transaction.value),
    transaction.data,
    transaction.accessList.map(({ address, slots }) => [address, [...slots]]),
  ];
}

function withType(type: number, fields: RlpItem[]): Uint8Array {
  const payload = encodeRlp(fields);
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = type;
  bytes.set(payload, 1);
  return bytes;
}

function decodeLegacy(item: RlpItem): Transaction {
  const reader = new FieldReader(item, 'transaction', 9);
  const nonce = reader.bigint('nonce', 8);
  const gasPrice = reader.bigint('gasPrice');
  const gasLimit = reader.bigint('gasLimit', 8);
  const to = recipient(reader);
  const value = reader.bigint('value');
  const data = reader.bytes('data');
  const v = reader.bigint('v', 9);
  return {
    type: 0,
    ...replayProtection(v),
    nonce,
    maxPriorityFeePerGas: gasPrice,
    maxFeePerGas: gasPrice,
    gasLimit,
    to,
    value,
    data,
    accessList: [],
    r: reader.bigint('r'),
    s: reader.bigint('s'),
  };
}

/** EIP-155: v is 27 or 28 without a chain id, else chainId × 2 + 35 or 36. */
function replayProtection(v: bigint): Pick<Transaction, 'chainId' | 'yParity'> {
  if (v === 27n || v === 28n) return { chainId: undefined, yParity: Number(v - 27n) };
  if (v < 35n) throw new CodecError('transaction.v must be 27, 28 or at least 35 (EIP-155)');
  return { chainId: (v - 35n) / 2n, yParity: Number((v - 35n) % 2n) };
}

function decodeTyped(item: RlpItem, type: 1 | 2): Transaction {
  const reader = new FieldReader(item, 'transaction', type === 1 ? 11 : 12);
  const chainId = reader.bigint('chainId', 8);
  const nonce = reader.bigint('nonce', 8);
  const firstFee = reader.bigint(type === 1 ? 'gasPrice' : 'maxPriorityFeePerGas');
  const maxFeePerGas = type === 1 ? firstFee : reader.bigint('maxFeePerGas');
  const gasLimit = reader.bigint('gasLimit', 8);
  const to = recipient(reader);
  const value = reader.bigint('value');
  const data = reader.bytes('data');
  const accessList = reader.list('accessList').map(accessListEntryFrom);
  const yParity = reader.number('yParity');
  if (yParity > 1) throw new CodecError('transaction.yParity must be 0 or 1');
  return {
    type,
    chainId,
    nonce,
    maxPriorityFeePerGas: firstFee,
    maxFeePerGas,
    gasLimit,
    to,
    value,
    data,
    accessList,
    yParity,
    r: reader.bigint('r'),
    s: reader.bigint('s'),
  };
}

function recipient(reader: FieldReader): Address | undefined {
  const to = reader.bytes('to');
  if (to.length !== 0 && to.length !== ADDRESS_BYTES)
    throw new CodecError('transaction.to must be 20 bytes, or none to create a contract');
  return to.length === 0 ? undefined : to;
}

function accessListEntryFrom(item: RlpItem): AccessListEntry {
  const reader = new FieldReader(item, 'accessListEntry', 2);
  const address = reader.bytes('address', ADDRESS_BYTES);
  const slots = reader.list('slots').map((slot) => {
    if (!(slot instanceof Uint8Array) || slot.length !== HASH_BYTES)
      throw new CodecError('accessList slots must be 32 bytes each');
    return slot;
  });
  return { address, slots };
}
