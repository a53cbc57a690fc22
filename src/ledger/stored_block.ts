import { blockId } from '../crypto/block.ts';
import { transactionHash } from '../crypto/transaction.ts';
import { concatBytes } from '../lib/bytes.ts';
import { type Block, decodeBlock, encodeBlock } from '../types/block.ts';
import { ADDRESS_BYTES, type Address, type Hash } from '../types/primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader } from '../types/rlp.ts';

/** A block with what was learnt about it when it was admitted, so that nothing is recovered twice. */
export interface StoredBlock {
  readonly block: Block;
  readonly blockId: Hash;
  /** Sender of each transaction. */
  readonly senders: readonly Address[];
  /** Hash of each transaction. */
  readonly transactionHashes: readonly Hash[];
}

export function encodeStoredBlock({ block, senders }: StoredBlock): Uint8Array {
  return encodeRlp([encodeBlock(block), concatBytes(...senders)]);
}

export function decodeStoredBlock(bytes: Uint8Array): StoredBlock {
  const reader = new FieldReader(decodeRlp(bytes), 'storedBlock', 2);
  const block = decodeBlock(reader.bytes('block'));
  const packed = reader.bytes('senders');
  if (packed.length !== block.transactions.length * ADDRESS_BYTES)
    throw new CodecError('storedBlock.senders must be one for each transaction');
  return {
    block,
    blockId: blockId(block.header),
    senders: block.transactions.map((_, index) =>
      packed.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES),
    ),
    transactionHashes: block.transactions.map(transactionHash),
  };
}
