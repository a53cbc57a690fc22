import type { Address, Hash } from './primitives.ts';
import { ADDRESS_BYTES, BLOOM_BYTES, HASH_BYTES } from './primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem, scalar } from './rlp.ts';

export interface Log {
  readonly address: Address;
  /** At most four. */
  readonly topics: readonly Hash[];
  readonly data: Uint8Array;
}

/** What the execution of one transaction gave (EIP-658, EIP-2718). */
export interface Receipt {
  /** Transaction type: 0, 1 or 2. */
  readonly type: number;
  /** False when the transaction reverted: it paid its gas and changed nothing else. */
  readonly succeeded: boolean;
  /** Gas of the block up to and including this transaction. */
  readonly cumulativeGasUsed: bigint;
  /** 256 bytes. */
  readonly logsBloom: Uint8Array;
  readonly logs: readonly Log[];
}

/** The leaf of the receipts root: Ethereum's own form, type byte first unless legacy. */
export function encodeReceipt(receipt: Receipt): Uint8Array {
  const payload = encodeRlp(receiptItem(receipt));
  if (receipt.type === 0) return payload;
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = receipt.type;
  bytes.set(payload, 1);
  return bytes;
}

export function decodeReceipt(bytes: Uint8Array): Receipt {
  const first = bytes[0];
  if (first === undefined) throw new CodecError('receipt must not be empty');
  const typed = first < 0x80;
  if (typed && first !== 1 && first !== 2) throw new CodecError(`receipt type ${first} is unknown`);
  return receiptFrom(decodeRlp(typed ? bytes.subarray(1) : bytes), typed ? first : 0);
}

export function encodeReceipts(receipts: readonly Receipt[]): Uint8Array {
  return encodeRlp(receipts.map((receipt) => encodeReceipt(receipt)));
}

export function decodeReceipts(bytes: Uint8Array): Receipt[] {
  const items = decodeRlp(bytes);
  if (!Array.isArray(items)) throw new CodecError('receipts must be a list');
  return items.map((item) => {
    if (!(item instanceof Uint8Array)) throw new CodecError('receipt must be bytes');
    return decodeReceipt(item);
  });
}

function receiptItem(receipt: Receipt): RlpItem {
  return [
    scalar(receipt.succeeded ? 1 : 0),
    scalar(receipt.cumulativeGasUsed),
    receipt.logsBloom,
    receipt.logs.map((log) => [log.address, [...log.topics], log.data]),
  ];
}

function receiptFrom(item: RlpItem, type: number): Receipt {
  const reader = new FieldReader(item, 'receipt', 4);
  const status = reader.number('status');
  if (status > 1) throw new CodecError('receipt.status must be 0 or 1');
  return {
    type,
    succeeded: status === 1,
    cumulativeGasUsed: reader.bigint('cumulativeGasUsed', 8),
    logsBloom: reader.bytes('logsBloom', BLOOM_BYTES),
    logs: reader.list('logs').map(logFrom),
  };
}

function logFrom(item: RlpItem): Log {
  const reader = new FieldReader(item, 'log', 3);
  const address = reader.bytes('address', ADDRESS_BYTES);
  const topics = reader.list('topics').map((topic) => {
    if (!(topic instanceof Uint8Array) || topic.length !== HASH_BYTES)
      throw new CodecError('log.topics must be 32 bytes each');
    return topic;
  });
  if (topics.length > 4) throw new CodecError('log.topics must be at most four');
  return { address, topics, data: reader.bytes('data') };
}
