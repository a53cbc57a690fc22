import { assert } from '../lib/assert.ts';
import type { Height } from '../types/primitives.ts';
import type { Nibbles } from './nibbles.ts';
import { type NodeReader, nodeKey } from './node_store.ts';
import type { MissingNode, PartialTrie } from './partial_trie.ts';

/** Keys of one read, at most. */
const READ_KEYS_MAX = 8192;

/** Brings nodes of many tries into memory, a level of all of them in each read. */
export class NodeLoader {
  readonly #nodes: NodeReader;
  #loadedCount = 0;

  constructor(dependencies: { nodes: NodeReader }) {
    this.#nodes = dependencies.nodes;
  }

  /** Nodes loaded since it was made. */
  get loadedCount(): number {
    return this.#loadedCount;
  }

  /** Loads the ways to the keys, ascending. Throws CORRUPT. */
  async loadKeys(
    requests: readonly { trie: PartialTrie; keys: readonly Uint8Array[] }[],
    height: Height,
  ): Promise<void> {
    type Frontier = { trie: PartialTrie; keys: readonly Uint8Array[]; missing: MissingNode };
    const below = (
      trie: PartialTrie,
      keys: readonly Uint8Array[],
      from?: MissingNode,
    ): Frontier[] => trie.walk(keys, height, from).map((missing) => ({ trie, keys, missing }));
    let frontier = requests.flatMap(({ trie, keys }) => below(trie, keys));
    while (frontier.length > 0) {
      await this.loadPaths(
        frontier.map(({ trie, missing }) => ({ trie, path: missing.path })),
        height,
      );
      frontier = frontier.flatMap(({ trie, keys, missing }) => below(trie, keys, missing));
    }
  }

  /** Loads single nodes, each below a loaded one. Throws CORRUPT. */
  async loadPaths(
    nodes: readonly { trie: PartialTrie; path: Nibbles }[],
    height: Height,
  ): Promise<void> {
    for (let start = 0; start < nodes.length; start += READ_KEYS_MAX) {
      const batch = nodes.slice(start, start + READ_KEYS_MAX);
      const values = await this.#nodes.getMany(
        batch.map(({ trie, path }) => nodeKey(trie.prefix, path)),
      );
      assert(values.length === batch.length, 'a node reader must answer for every key');
      for (const [index, { trie, path }] of batch.entries())
        trie.attach(path, values[index], height);
      this.#loadedCount += batch.length;
    }
  }
}
