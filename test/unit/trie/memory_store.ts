import { toHex } from '../../../src/lib/bytes.ts';
import { isLoaded } from '../../../src/trie/node.ts';
import { NodeLoader } from '../../../src/trie/node_loader.ts';
import {
  ACCOUNT_TRIE_PREFIX,
  type NodeReader,
  type NodeWrite,
} from '../../../src/trie/node_store.ts';
import { PartialTrie } from '../../../src/trie/partial_trie.ts';
import { Sealer } from '../../../src/trie/seal.ts';
import { type Change, updateTrie } from '../../../src/trie/update.ts';
import { EMPTY_TRIE_ROOT, type Hash } from '../../../src/types/primitives.ts';

/** A store of nodes in a map, which counts what is read. */
export class MemoryNodeStore implements NodeReader {
  readonly nodes = new Map<string, Uint8Array>();
  readsCount = 0;

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.readsCount += 1;
    return keys.map((key) => this.nodes.get(toHex(key)));
  }

  /** Writes one batch; a key that repeats in it, or a deletion of nothing, is an error. */
  write(writes: readonly NodeWrite[]): void {
    const seen = new Set<string>();
    for (const { key, value } of writes) {
      const name = toHex(key);
      if (seen.has(name)) throw new Error(`key ${name} repeats in one batch`);
      seen.add(name);
      if (value !== undefined) this.nodes.set(name, value.slice());
      else if (!this.nodes.delete(name)) throw new Error(`deleting ${name}, which is not stored`);
    }
  }
}

/** One trie over its own store, by raw keys of any length; as the state's tries, without hashed keys. */
export class StoredTrie {
  readonly store = new MemoryNodeStore();
  #trie = new PartialTrie(ACCOUNT_TRIE_PREFIX, EMPTY_TRIE_ROOT);
  #height = 0;

  get root(): Hash {
    return this.#trie.rootHash;
  }

  /** Changes in any order, each key once. */
  async update(unordered: readonly Change[]): Promise<Hash> {
    const changes = [...unordered].sort((left, right) => Buffer.compare(left.key, right.key));
    const loader = new NodeLoader({ nodes: this.store });
    this.#height += 1;
    const keys = changes.map(({ key }) => key);
    await loader.loadKeys([{ trie: this.#trie, keys }], this.#height);
    for (;;) {
      const result = updateTrie(this.#trie.root, changes, this.#height);
      if (result.missingPaths.length === 0) {
        const sealer = new Sealer();
        const { root } = result;
        sealer.seal(isLoaded(root) ? root : undefined, ACCOUNT_TRIE_PREFIX, result.stalePaths);
        this.store.write(sealer.writes);
        this.#trie.root = root;
        return this.root;
      }
      const missing = result.missingPaths.map((path) => ({ trie: this.#trie, path }));
      await loader.loadPaths(missing, this.#height);
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    await new NodeLoader({ nodes: this.store }).loadKeys(
      [{ trie: this.#trie, keys: [key] }],
      this.#height,
    );
    return this.#trie.get(key);
  }

  /** Drops every loaded node, as after a restart. */
  forget(): void {
    this.#trie = new PartialTrie(ACCOUNT_TRIE_PREFIX, this.root);
  }
}
