import { assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import { EMPTY_TRIE_ROOT, HASH_BYTES, type Hash } from '../types/primitives.ts';
import { matchingNibbles, type Nibbles, nibbleAt, nibbleLength, nibblesOf } from './nibbles.ts';
import {
  type Branch,
  type Child,
  decodeStoredNode,
  isLoaded,
  referenceOf,
  type TrieNode,
} from './node.ts';
import { describeNode, type TriePrefix } from './node_store.ts';

/** A run of keys that all lead through the path of a node that is not loaded. */
export interface MissingNode {
  readonly path: Nibbles;
  readonly low: number;
  readonly high: number;
}

/** One trie of which some nodes are in memory and the others are known by their hash. */
export class PartialTrie {
  readonly prefix: TriePrefix;
  root: Child | undefined;

  constructor(prefix: TriePrefix, rootHash: Hash) {
    this.prefix = prefix;
    this.root = bytesEqual(rootHash, EMPTY_TRIE_ROOT) ? undefined : rootHash;
  }

  get rootHash(): Hash {
    const hash = this.root === undefined ? EMPTY_TRIE_ROOT : referenceOf(this.root);
    assert(hash.length === HASH_BYTES, 'the root of a trie is known by its hash');
    return hash;
  }

  /**
   * Marks what the keys, ascending, lead through and returns the first node on each way that is not loaded.
   * `from` continues below a node that was missing and is now attached.
   */
  walk(
    keys: readonly Uint8Array[],
    height: number,
    from: MissingNode = { path: new Uint8Array(0), low: 0, high: keys.length },
  ): MissingNode[] {
    const walk = { keys, height, missing: [] };
    visit(walk, this.#childAt(from.path), from.path.length, from.low, from.high);
    return walk.missing;
  }

  /** Loads a node that was missing. Throws CORRUPT when the store has none, or another. */
  attach(path: Nibbles, encoded: Uint8Array | undefined, height: number): void {
    const hash = this.#childAt(path);
    assert(hash instanceof Uint8Array, 'only a node that is not loaded can be attached');
    const node = decodeStoredNode(encoded, hash, height, describeNode(this.prefix, path));
    const [parent, nibble] = this.#parentOf(path);
    if (parent === undefined) this.root = node;
    else if (parent.kind === 'extension') parent.child = node;
    else if (parent.kind === 'branch') parent.children[nibble] = node;
  }

  /** The nodes from the root to where the key ends or leaves the trie; all must be loaded. */
  nodesTo(key: Uint8Array): TrieNode[] {
    const nodes: TrieNode[] = [];
    let node = this.root;
    let depth = 0;
    while (node !== undefined) {
      assert(isLoaded(node), 'a node on the way to a key must be loaded before it is read');
      nodes.push(node);
      if (node.kind === 'branch') {
        node = depth === nibbleLength(key) ? undefined : node.children[nibbleAt(key, depth)];
        depth += 1;
        continue;
      }
      if (node.kind === 'leaf') break;
      if (matchingNibbles(key, depth, node.path) < node.path.length) break;
      depth += node.path.length;
      node = node.child;
    }
    return nodes;
  }

  /** The value of a key whose way is loaded; undefined when the trie does not hold it. */
  get(key: Uint8Array): Uint8Array | undefined {
    let node = this.root;
    let depth = 0;
    while (node !== undefined) {
      assert(isLoaded(node), 'a node on the way to a key must be loaded before it is read');
      const rest = nibbleLength(key) - depth;
      if (node.kind === 'branch') {
        if (rest === 0) return node.value;
        node = node.children[nibbleAt(key, depth)];
        depth += 1;
        continue;
      }
      if (matchingNibbles(key, depth, node.path) < node.path.length) return undefined;
      if (node.kind === 'leaf') return rest === node.path.length ? node.value : undefined;
      depth += node.path.length;
      node = node.child;
    }
    return undefined;
  }

  /** What stands at the path of a node; everything above it must be loaded. */
  #childAt(path: Nibbles): Child | undefined {
    const [parent, nibble] = this.#parentOf(path);
    if (parent === undefined) return this.root;
    if (parent.kind === 'leaf') return undefined;
    return parent.kind === 'extension' ? parent.child : parent.children[nibble];
  }

  #parentOf(path: Nibbles): [TrieNode | undefined, number] {
    let parent: TrieNode | undefined;
    let node = this.root;
    let depth = 0;
    let nibble = 0;
    while (depth < path.length) {
      assert(
        isLoaded(node) && node.kind !== 'leaf',
        'the path of a node must lead through the trie',
      );
      parent = node;
      nibble = path[depth] as number;
      depth += node.kind === 'extension' ? node.path.length : 1;
      node = node.kind === 'extension' ? node.child : node.children[nibble];
    }
    return [parent, nibble];
  }
}

interface Walk {
  readonly keys: readonly Uint8Array[];
  readonly height: number;
  readonly missing: MissingNode[];
}

function visit(
  walk: Walk,
  node: Child | undefined,
  depth: number,
  low: number,
  high: number,
): void {
  if (node === undefined || low === high) return;
  if (!isLoaded(node)) {
    walk.missing.push({ path: nibblesOf(walk.keys[low] as Uint8Array, 0, depth), low, high });
    return;
  }
  node.touchedHeight = walk.height;
  if (node.kind === 'branch') visitChildren(walk, node, depth, low, high);
  if (node.kind !== 'extension') return;
  const [start, end] = runAlong(walk.keys, depth, low, high, node.path);
  visit(walk, node.child, depth + node.path.length, start, end);
}

/** Splits the run of keys by their half-byte at this depth. */
function visitChildren(walk: Walk, branch: Branch, depth: number, low: number, high: number): void {
  const { keys } = walk;
  let index = low;
  while (index < high && nibbleLength(keys[index] as Uint8Array) === depth) index += 1;
  while (index < high) {
    const nibble = nibbleAt(keys[index] as Uint8Array, depth);
    let end = index + 1;
    while (end < high && nibbleAt(keys[end] as Uint8Array, depth) === nibble) end += 1;
    visit(walk, branch.children[nibble], depth + 1, index, end);
    index = end;
  }
}

/** The run of keys that follow the whole path. */
function runAlong(
  keys: readonly Uint8Array[],
  depth: number,
  low: number,
  high: number,
  path: Nibbles,
): [number, number] {
  const follows = (index: number): boolean =>
    matchingNibbles(keys[index] as Uint8Array, depth, path) === path.length;
  let start = low;
  while (start < high && !follows(start)) start += 1;
  let end = start;
  while (end < high && follows(end)) end += 1;
  return [start, end];
}
