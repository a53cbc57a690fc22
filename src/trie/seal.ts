import { keccak256 } from '../crypto/keccak.ts';
import { HASH_BYTES } from '../types/primitives.ts';
import type { Nibbles } from './nibbles.ts';
import { type Branch, encodedBytesMax, encodeNode, isLoaded, type TrieNode } from './node.ts';
import { type NodeWrite, nodeKey, type TriePrefix } from './node_store.ts';

const CHUNK_BYTES = 256 * 1024;
/** A key of 32 bytes has 64 half-bytes; those of other tries are shorter than this too. */
const PATH_NIBBLES_MAX = 1024;

/** Hashes new nodes, children first and each once, and collects what the store must change. */
export class Sealer {
  readonly writes: NodeWrite[] = [];
  readonly #path = new Uint8Array(PATH_NIBBLES_MAX);
  #chunk = new Uint8Array(0);
  #used = 0;

  /** Seals one trie; stale paths are those of its update. */
  seal(root: TrieNode | undefined, prefix: TriePrefix, stalePaths: readonly Nibbles[]): void {
    for (const path of stalePaths)
      this.writes.push({ key: nodeKey(prefix, path), value: undefined });
    if (root !== undefined) this.#seal(root, prefix, 0);
  }

  #seal(node: TrieNode, prefix: TriePrefix, depth: number): void {
    if (node.reference !== undefined) return;
    if (node.kind === 'branch') this.#sealChildren(node, prefix, depth);
    else if (node.kind === 'extension' && isLoaded(node.child)) {
      this.#path.set(node.path, depth);
      this.#seal(node.child, prefix, depth + node.path.length);
    }
    const encoded = this.#encode(node);
    if (encoded.length >= HASH_BYTES || depth === 0) {
      node.reference = keccak256(encoded);
      node.stored = true;
      this.writes.push({ key: this.#key(prefix, depth), value: encoded });
      return;
    }
    node.reference = encoded.slice();
    if (node.stored) this.writes.push({ key: this.#key(prefix, depth), value: undefined });
    node.stored = false;
  }

  #sealChildren(branch: Branch, prefix: TriePrefix, depth: number): void {
    for (let nibble = 0; nibble < branch.children.length; nibble += 1) {
      const child = branch.children[nibble];
      if (!isLoaded(child) || child.reference !== undefined) continue;
      this.#path[depth] = nibble;
      this.#seal(child, prefix, depth + 1);
    }
  }

  #key(prefix: TriePrefix, depth: number): Uint8Array {
    return nodeKey(prefix, this.#path.subarray(0, depth));
  }

  /** Many nodes share a chunk: an allocation for each would cost as much as its hash. */
  #encode(node: TrieNode): Uint8Array {
    const bytesMax = encodedBytesMax(node);
    if (this.#used + bytesMax > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(CHUNK_BYTES, bytesMax));
      this.#used = 0;
    }
    const encoded = encodeNode(node, this.#chunk, this.#used);
    this.#used += encoded.length;
    return encoded;
  }
}
