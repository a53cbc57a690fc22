import { bytesEqual } from '../lib/bytes.ts';
import { EMPTY_CODE_HASH, HASH_BYTES, type Hash } from '../types/primitives.ts';
import { encodeReceipt, type Receipt } from '../types/receipt.ts';
import { keccak256 } from './keccak.ts';

// Binary Merkle trees as in RFC 6962 section 2.1, with keccak-256. Splitting at the largest power of two makes every
// aligned run of 2^n leaves a subtree of its own, so a segment of a block can be checked alone.

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

/** Where a leaf stands and the siblings from it up to the root. */
export interface InclusionProof {
  readonly index: number;
  /** Leaves of the whole tree. */
  readonly count: number;
  readonly siblings: readonly Hash[];
}

/** Root over EIP-2718 bytes in block order. */
export function transactionsRoot(raws: readonly Uint8Array[]): Hash {
  return merkleRoot(raws);
}

/** Root over Ethereum's receipt bytes in block order. */
export function receiptsRoot(receipts: readonly Receipt[]): Hash {
  return merkleRoot(receipts.map((receipt) => encodeReceipt(receipt)));
}

/** The root of no leaves is the hash of nothing. */
export function merkleRoot(leaves: readonly Uint8Array[]): Hash {
  if (leaves.length === 0) return EMPTY_CODE_HASH.slice();
  return subtreeRoot(leaves.map(hashLeaf), 0, leaves.length);
}

/** Proves that the leaf at the index belongs to the tree; the index must lie within. */
export function merkleProof(leaves: readonly Uint8Array[], index: number): InclusionProof {
  if (!Number.isSafeInteger(index) || index < 0 || index >= leaves.length)
    throw new RangeError(`leaf ${index} is not among ${leaves.length}`);
  const hashes = leaves.map(hashLeaf);
  const siblings: Hash[] = [];
  let start = 0;
  let end = hashes.length;
  while (end - start > 1) {
    const middle = start + splitSize(end - start);
    const isLeft = index < middle;
    siblings.push(isLeft ? subtreeRoot(hashes, middle, end) : subtreeRoot(hashes, start, middle));
    if (isLeft) end = middle;
    else start = middle;
  }
  return { index, count: leaves.length, siblings: siblings.reverse() };
}

/**
 * Whether the proof shows that the leaf is in the tree with this root. Never throws on a peer's proof. The index is
 * proven for the given count; the count itself must be known from elsewhere.
 */
export function verifyMerkleProof(leaf: Uint8Array, proof: InclusionProof, root: Hash): boolean {
  const { index, count, siblings } = proof;
  if (!Number.isSafeInteger(count) || !Number.isSafeInteger(index)) return false;
  if (index < 0 || index >= count) return false;
  const sides = siblingSides(index, count);
  if (sides.length !== siblings.length) return false;
  let hash = hashLeaf(leaf);
  for (const [level, sibling] of siblings.entries()) {
    if (sibling.length !== HASH_BYTES) return false;
    hash = sides[level] === 'left' ? hashNode(sibling, hash) : hashNode(hash, sibling);
  }
  return bytesEqual(hash, root);
}

/** On which side the sibling stands at each level, from the leaf up. */
function siblingSides(index: number, count: number): ('left' | 'right')[] {
  const sides: ('left' | 'right')[] = [];
  let start = 0;
  let end = count;
  while (end - start > 1) {
    const middle = start + splitSize(end - start);
    if (index < middle) {
      sides.push('right');
      end = middle;
    } else {
      sides.push('left');
      start = middle;
    }
  }
  return sides.reverse();
}

function subtreeRoot(hashes: readonly Hash[], start: number, end: number): Hash {
  if (end - start === 1) return hashes[start] as Hash;
  const middle = start + splitSize(end - start);
  return hashNode(subtreeRoot(hashes, start, middle), subtreeRoot(hashes, middle, end));
}

/** The largest power of two below the size. */
function splitSize(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function hashLeaf(leaf: Uint8Array): Hash {
  const bytes = new Uint8Array(leaf.length + 1);
  bytes[0] = LEAF_PREFIX;
  bytes.set(leaf, 1);
  return keccak256(bytes);
}

const nodeBytes = new Uint8Array(1 + 2 * HASH_BYTES);
nodeBytes[0] = NODE_PREFIX;

function hashNode(left: Hash, right: Hash): Hash {
  nodeBytes.set(left, 1);
  nodeBytes.set(right, 1 + HASH_BYTES);
  return keccak256(nodeBytes);
}
