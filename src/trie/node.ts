import { keccak256 } from '../crypto/keccak.ts';
import { HASH_BYTES, type Hash } from '../types/primitives.ts';
import { CodecError, decodeRlp, type RlpItem } from '../types/rlp.ts';
import type { Nibbles } from './nibbles.ts';
import { TrieError } from './trie_error.ts';

// Nodes are not changed once made, but for three things that do not change what they mean: a child that was only a
// reference may be loaded, the reference of a new node is filled in when it is sealed, and `touchedHeight` moves.

export type TrieNode = Leaf | Extension | Branch;

/** A node, or the hash of one that is not loaded. */
export type Child = TrieNode | Hash;

interface NodeCommon {
  /** What the parent holds: a hash, or the node itself when it is shorter than one. Undefined until sealed. */
  reference: Uint8Array | undefined;
  /** Whether the store holds a node, this or an older one, at this node's path. */
  stored: boolean;
  /** Last height that made the node or came through it. */
  touchedHeight: number;
}

export interface Leaf extends NodeCommon {
  readonly kind: 'leaf';
  readonly path: Nibbles;
  readonly value: Uint8Array;
}

export interface Extension extends NodeCommon {
  readonly kind: 'extension';
  /** Never empty. */
  readonly path: Nibbles;
  /** A branch. */
  child: Child;
}

export interface Branch extends NodeCommon {
  readonly kind: 'branch';
  /** Sixteen. */
  readonly children: (Child | undefined)[];
  /** Value of the key that ends here; never in tries whose keys are all of one length. */
  readonly value: Uint8Array | undefined;
}

export const BRANCH_CHILDREN = 16;

export function isLoaded(child: Child | undefined): child is TrieNode {
  return child !== undefined && !(child instanceof Uint8Array);
}

/** What the parent's encoding holds for a child: that of a node must be sealed. */
export function referenceOf(child: Child): Uint8Array {
  return child instanceof Uint8Array ? child : (child.reference as Uint8Array);
}

/**
 * Decodes a stored node and checks it against the hash that names it. Throws CORRUPT, also when there is none.
 * `where` names the node in the error.
 */
export function decodeStoredNode(
  encoded: Uint8Array | undefined,
  hash: Hash,
  touchedHeight: number,
  where: string,
): TrieNode {
  if (encoded === undefined)
    throw new TrieError('CORRUPT', `the trie node ${where} is not in the store`, {
      fields: { node: where },
    });
  if (Buffer.compare(keccak256(encoded), hash) !== 0)
    throw new TrieError('CORRUPT', `the stored trie node ${where} does not have its hash`, {
      fields: { node: where },
    });
  try {
    // Decoding copies what it keeps, unless it is given a Buffer, whose slices are views.
    const plain = new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length);
    const node = nodeFrom(decodeRlp(plain), touchedHeight);
    node.reference = hash;
    node.stored = true;
    return node;
  } catch (cause) {
    throw new TrieError('CORRUPT', `the stored trie node ${where} is not a node`, {
      fields: { node: where },
      cause,
    });
  }
}

function nodeFrom(item: RlpItem, touchedHeight: number): TrieNode {
  if (!Array.isArray(item)) throw new CodecError('a trie node must be a list');
  const common = { reference: undefined, stored: false, touchedHeight };
  if (item.length === BRANCH_CHILDREN + 1) {
    const value = item[BRANCH_CHILDREN];
    if (!(value instanceof Uint8Array)) throw new CodecError('a branch value must be bytes');
    return {
      kind: 'branch',
      children: item.slice(0, BRANCH_CHILDREN).map((child) => childFrom(child, touchedHeight)),
      value: value.length === 0 ? undefined : value,
      ...common,
    };
  }
  const [compact, content] = item;
  if (item.length !== 2 || !(compact instanceof Uint8Array) || content === undefined)
    throw new CodecError('a trie node must have 2 or 17 items');
  const { path, isLeaf } = pathFrom(compact);
  if (isLeaf) {
    if (!(content instanceof Uint8Array)) throw new CodecError('a leaf value must be bytes');
    return { kind: 'leaf', path, value: content, ...common };
  }
  const child = childFrom(content, touchedHeight);
  if (child === undefined || path.length === 0) throw new CodecError('an extension leads nowhere');
  return { kind: 'extension', path, child, ...common };
}

function childFrom(item: RlpItem, touchedHeight: number): Child | undefined {
  if (item instanceof Uint8Array) {
    if (item.length === 0) return undefined;
    if (item.length !== HASH_BYTES) throw new CodecError('a child reference must be a hash');
    return item;
  }
  const node = nodeFrom(item, touchedHeight);
  node.reference = encodeAlone(node);
  if (node.reference.length >= HASH_BYTES) throw new CodecError('an inline node is too long');
  return node;
}

/** Hex-prefix encoding (yellow paper, appendix C): bit 5 of the first byte marks a leaf, bit 4 an odd length. */
function pathFrom(compact: Uint8Array): { path: Nibbles; isLeaf: boolean } {
  const first = compact[0];
  if (first === undefined || first > 0x3f) throw new CodecError('a node path has no prefix');
  const odd = (first & 0x10) !== 0;
  if (!odd && (first & 0x0f) !== 0) throw new CodecError('a node path has a bad prefix');
  const path = new Uint8Array((compact.length - 1) * 2 + (odd ? 1 : 0));
  let at = 0;
  if (odd) {
    path[0] = first & 0x0f;
    at = 1;
  }
  for (const byte of compact.subarray(1)) {
    path[at] = byte >> 4;
    path[at + 1] = byte & 15;
    at += 2;
  }
  return { path, isLeaf: (first & 0x20) !== 0 };
}

/** Bytes of the node's encoding, at most: enough for any child and any header. */
export function encodedBytesMax(node: TrieNode): number {
  const headersMax = 16;
  if (node.kind === 'leaf') return headersMax + node.path.length + node.value.length;
  if (node.kind === 'extension') return headersMax + node.path.length + HASH_BYTES;
  return headersMax + BRANCH_CHILDREN * (HASH_BYTES + 1) + (node.value?.length ?? 0);
}

/** Writes the RLP of the node at an offset and returns the part written. Its children must be sealed. */
export function encodeNode(node: TrieNode, target: Uint8Array, start: number): Uint8Array {
  let at = writeHeader(target, start, 0xc0, payloadLength(node));
  if (node.kind === 'branch') {
    for (const child of node.children) {
      if (child === undefined) {
        target[at] = 0x80;
        at += 1;
      } else at = writeReference(target, at, referenceOf(child));
    }
    if (node.value === undefined) {
      target[at] = 0x80;
      at += 1;
    } else at = writeString(target, at, node.value);
  } else {
    at = writePath(target, at, node.path, node.kind === 'leaf');
    if (node.kind === 'leaf') at = writeString(target, at, node.value);
    else at = writeReference(target, at, referenceOf(node.child));
  }
  return target.subarray(start, at);
}

/** The RLP of the node in bytes of its own. Its children must be sealed. */
export function encodeAlone(node: TrieNode): Uint8Array {
  return encodeNode(node, new Uint8Array(encodedBytesMax(node)), 0).slice();
}

function payloadLength(node: TrieNode): number {
  if (node.kind === 'leaf') return pathItemLength(node.path) + stringLength(node.value);
  if (node.kind === 'extension')
    return pathItemLength(node.path) + referenceLength(referenceOf(node.child));
  let length = node.value === undefined ? 1 : stringLength(node.value);
  for (const child of node.children)
    length += child === undefined ? 1 : referenceLength(referenceOf(child));
  return length;
}

/** A hash is a string with one byte before it; a shorter node stands as it is. */
function referenceLength(reference: Uint8Array): number {
  return reference.length === HASH_BYTES ? HASH_BYTES + 1 : reference.length;
}

function writeReference(target: Uint8Array, at: number, reference: Uint8Array): number {
  if (reference.length !== HASH_BYTES) {
    target.set(reference, at);
    return at + reference.length;
  }
  target[at] = 0x80 + HASH_BYTES;
  target.set(reference, at + 1);
  return at + 1 + HASH_BYTES;
}

/** A path of at most one half-byte is one byte below 0x80, its own encoding. */
function pathItemLength(path: Nibbles): number {
  const bytes = (path.length >> 1) + 1;
  return bytes === 1 ? 1 : headerLength(bytes) + bytes;
}

function writePath(target: Uint8Array, start: number, path: Nibbles, isLeaf: boolean): number {
  const bytes = (path.length >> 1) + 1;
  const odd = path.length & 1;
  let at = bytes === 1 ? start : writeHeader(target, start, 0x80, bytes);
  target[at] = (isLeaf ? 0x20 : 0) | (odd === 1 ? 0x10 | (path[0] as number) : 0);
  at += 1;
  for (let index = odd; index < path.length; index += 2) {
    target[at] = ((path[index] as number) << 4) | (path[index + 1] as number);
    at += 1;
  }
  return at;
}

function stringLength(bytes: Uint8Array): number {
  if (bytes.length === 1 && (bytes[0] as number) < 0x80) return 1;
  return headerLength(bytes.length) + bytes.length;
}

function writeString(target: Uint8Array, start: number, bytes: Uint8Array): number {
  const bare = bytes.length === 1 && (bytes[0] as number) < 0x80;
  const at = bare ? start : writeHeader(target, start, 0x80, bytes.length);
  target.set(bytes, at);
  return at + bytes.length;
}

function headerLength(length: number): number {
  if (length < 56) return 1;
  if (length < 0x100) return 2;
  return length < 0x10000 ? 3 : 4;
}

/** The header of a string (base 0x80) or a list (base 0xc0) of less than 16 MiB. */
function writeHeader(target: Uint8Array, at: number, base: number, length: number): number {
  const bytes = headerLength(length);
  if (bytes === 1) {
    target[at] = base + length;
    return at + 1;
  }
  target[at] = base + 54 + bytes;
  for (let index = 1; index < bytes; index += 1)
    target[at + index] = (length >>> (8 * (bytes - 1 - index))) & 0xff;
  return at + bytes;
}
