import { keccak256 } from '../crypto/keccak.ts';
import { assert } from '../lib/assert.ts';
import { bytesEqual, toHex } from '../lib/bytes.ts';
import type { Account, Delta, SlotChange } from '../types/outcome.ts';
import { type Address, EMPTY_TRIE_ROOT, type Hash, type Height } from '../types/primitives.ts';
import { decodeRlp, encodeRlp } from '../types/rlp.ts';
import { decodeAccountLeaf, encodeAccountLeaf, storageRootOf } from './account_leaf.ts';
import { type Child, encodeAlone, isLoaded, referenceOf } from './node.ts';
import { trimNodes } from './node_cache.ts';
import { NodeLoader } from './node_loader.ts';
import {
  ACCOUNT_TRIE_PREFIX,
  type NodeReader,
  type NodeWrite,
  storageTriePrefix,
} from './node_store.ts';
import { PartialTrie } from './partial_trie.ts';
import { Sealer } from './seal.ts';
import { sortByKey } from './sort_keys.ts';
import { TrieError } from './trie_error.ts';
import { type Change, type UpdateResult, updateTrie } from './update.ts';

/** Heights applied but not yet reported as stored, at most: their nodes stay in memory. */
const UNSTORED_HEIGHTS_MAX = 1024;
/** Calls that wait for the ones before them, at most. */
export const WAITING_CALLS_MAX = 1024;
/** Slots of one proof, at most. */
export const PROOF_SLOTS_MAX = 1024;

/** What hashing one height gave. */
export interface AppliedDelta {
  readonly height: Height;
  /** Root of the account trie. */
  readonly root: Hash;
  /** Whoever owns the store writes all of them at once, before those of the next height. Keys do not repeat. */
  readonly writes: readonly NodeWrite[];
}

/** EIP-1186: the nodes from the root to an account and to some of its slots, or to where they would be. */
export interface AccountProof {
  /** Last applied height, for which it holds, and its root. */
  readonly height: Height;
  readonly root: Hash;
  /** Undefined when the account does not exist. */
  readonly account: Account | undefined;
  readonly storageHash: Hash;
  readonly accountProof: readonly Uint8Array[];
  /** In the order asked for. */
  readonly storageProofs: readonly StorageProof[];
}

export interface StorageProof {
  readonly slot: Hash;
  /** Minimal big-endian; empty when the slot holds nothing. */
  readonly value: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** The state of one height as Ethereum's secure trie, in this thread or in another. */
export interface LedgerTrie {
  /**
   * Hashes the next height: exactly the last one + 1. Calls are answered in order. Throws CORRUPT when the store lacks
   * what it should hold; nothing was changed then.
   */
  apply(height: Height, delta: Delta): Promise<AppliedDelta>;
  /** The store now holds the writes of all heights up to this one. */
  stored(height: Height): void;
  /** Proves what the last applied height holds. At most PROOF_SLOTS_MAX slots. Throws CORRUPT. */
  prove(address: Address, slots: readonly Hash[]): Promise<AccountProof>;
}

export interface StateTrieOptions {
  /** Last applied height, all of which the store holds; −1 before genesis. */
  readonly height: Height;
  readonly root: Hash;
  /** Nodes kept in memory, at most, beside those of heights that are not stored; a full branch takes about 3 KiB. */
  readonly cacheNodesMax: number;
}

interface TrieUpdate {
  readonly trie: PartialTrie;
  readonly changes: readonly Change[];
}

/** The update of one account's storage. */
interface StorageUpdate extends TrieUpdate {
  readonly addressHash: Hash;
  /** Place of the account among those of the delta. */
  readonly accountIndex: number;
}

/** Applies deltas on the caller's own thread; only reading nodes waits. */
export class StateTrie implements LedgerTrie {
  readonly #options: StateTrieOptions;
  readonly #loader: NodeLoader;
  readonly #accounts: PartialTrie;
  /** Storage tries with loaded nodes, by the hex of the hash of their account's address. */
  readonly #storages = new Map<string, PartialTrie>();
  #height: Height;
  #storedHeight: Height;
  /** Nodes made or loaded since the last trim, and left by it: no fewer than there are. */
  #nodesEstimate = 0;
  #loadedCountSeen = 0;
  #lastCall: Promise<unknown> = Promise.resolve();
  #waitingCalls = 0;

  constructor(options: StateTrieOptions, dependencies: { nodes: NodeReader }) {
    this.#options = options;
    this.#loader = new NodeLoader(dependencies);
    this.#accounts = new PartialTrie(ACCOUNT_TRIE_PREFIX, options.root);
    this.#height = options.height;
    this.#storedHeight = options.height;
  }

  apply(height: Height, delta: Delta): Promise<AppliedDelta> {
    return this.#inOrder(() => this.#apply(height, delta));
  }

  prove(address: Address, slots: readonly Hash[]): Promise<AccountProof> {
    if (slots.length > PROOF_SLOTS_MAX)
      return Promise.reject(
        new TrieError('OVERLOADED', `a proof is of at most ${PROOF_SLOTS_MAX} slots`),
      );
    return this.#inOrder(() => this.#prove(address, slots));
  }

  stored(height: Height): void {
    assert(height <= this.#height, 'only an applied height can be stored');
    this.#storedHeight = Math.max(this.#storedHeight, height);
  }

  /** Nothing of one call happens between the steps of another: they read the store as of one height. */
  #inOrder<Result>(call: () => Promise<Result>): Promise<Result> {
    if (this.#waitingCalls >= WAITING_CALLS_MAX)
      return Promise.reject(new TrieError('OVERLOADED', 'too many calls wait for the trie'));
    this.#waitingCalls += 1;
    const result = this.#lastCall.then(call);
    this.#lastCall = result
      .catch(() => undefined)
      .then(() => {
        this.#waitingCalls -= 1;
        this.#trim();
      });
    return result;
  }

  async #apply(height: Height, delta: Delta): Promise<AppliedDelta> {
    assert(height === this.#height + 1, `height ${height} does not follow ${this.#height}`);
    if (height - this.#storedHeight > UNSTORED_HEIGHTS_MAX)
      throw new TrieError('OVERLOADED', 'the store is too many heights behind the trie', {
        fields: { height, storedHeight: this.#storedHeight },
      });
    const accounts = sortByKey(
      delta.accounts.map(({ address, account, slots }) => ({
        key: keccak256(address),
        account,
        slots,
      })),
      ({ key }) => key,
    );
    await this.#load([{ trie: this.#accounts, changes: accounts }], height);
    const storageRoots = accounts.map(({ key }) => this.#storageRoot(key));
    const storages: StorageUpdate[] = [];
    for (const [accountIndex, { key, slots }] of accounts.entries()) {
      if (slots.length === 0) continue;
      const trie = this.#storageTrie(key, storageRoots[accountIndex] as Hash);
      storages.push({ addressHash: key, accountIndex, trie, changes: slotChanges(slots) });
    }
    await this.#load(storages, height);
    const sealer = new Sealer();
    const newStorages = await this.#update(storages, height, sealer);
    for (const [index, { accountIndex }] of storages.entries())
      storageRoots[accountIndex] = rootHashOf(newStorages[index]);
    const changes = accounts.map(({ key, account }, index) =>
      accountChange(key, account, storageRoots[index] as Hash),
    );
    const [root] = await this.#update([{ trie: this.#accounts, changes }], height, sealer);
    this.#commit(height, root, storages, newStorages);
    this.#nodesEstimate += sealer.writes.length;
    return { height, root: this.#accounts.rootHash, writes: sealer.writes };
  }

  /** Loads the ways to all keys that change. */
  #load(
    updates: readonly { trie: PartialTrie; changes: readonly { key: Uint8Array }[] }[],
    height: Height,
  ): Promise<void> {
    const requests = updates.map(({ trie, changes }) => ({
      trie,
      keys: changes.map(({ key }) => key),
    }));
    return this.#loader.loadKeys(requests, height);
  }

  /**
   * Updates and seals tries side by side, without moving their roots, and loads what a collapse turns out to need.
   * Returns the new roots, in order.
   */
  async #update(
    updates: readonly TrieUpdate[],
    height: Height,
    sealer: Sealer,
  ): Promise<(Child | undefined)[]> {
    const results: (UpdateResult | undefined)[] = updates.map(() => undefined);
    for (;;) {
      const missing: { trie: PartialTrie; path: Uint8Array }[] = [];
      for (const [index, { trie, changes }] of updates.entries()) {
        if (results[index] !== undefined) continue;
        const result = updateTrie(trie.root, changes, height);
        if (result.missingPaths.length === 0) results[index] = result;
        for (const path of result.missingPaths) missing.push({ trie, path });
      }
      if (missing.length === 0) break;
      await this.#loader.loadPaths(missing, height);
    }
    return updates.map(({ trie }, index) => {
      const { root, stalePaths } = results[index] as UpdateResult;
      sealer.seal(isLoaded(root) ? root : undefined, trie.prefix, stalePaths);
      return root;
    });
  }

  #commit(
    height: Height,
    root: Child | undefined,
    storages: readonly StorageUpdate[],
    storageRoots: readonly (Child | undefined)[],
  ): void {
    this.#accounts.root = root;
    for (const [index, { addressHash, trie }] of storages.entries()) {
      trie.root = storageRoots[index];
      if (isLoaded(trie.root)) this.#storages.set(toHex(addressHash), trie);
      else this.#storages.delete(toHex(addressHash));
    }
    this.#height = height;
  }

  async #prove(address: Address, slots: readonly Hash[]): Promise<AccountProof> {
    const height = this.#height;
    const addressHash = keccak256(address);
    await this.#loader.loadKeys([{ trie: this.#accounts, keys: [addressHash] }], height);
    const leaf = this.#accounts.get(addressHash);
    const { account, storageRoot } =
      leaf === undefined
        ? { account: undefined, storageRoot: EMPTY_TRIE_ROOT }
        : decodeAccountLeaf(leaf);
    const storage = this.#storageTrie(addressHash, storageRoot);
    const keys = slots.map((slot) => keccak256(slot));
    await this.#loader.loadKeys([{ trie: storage, keys: sortByKey(keys, (key) => key) }], height);
    if (isLoaded(storage.root)) this.#storages.set(toHex(addressHash), storage);
    return {
      height,
      root: this.#accounts.rootHash,
      account,
      storageHash: storageRoot,
      accountProof: proofNodes(this.#accounts, addressHash),
      storageProofs: slots.map((slot, index) => {
        const key = keys[index] as Hash;
        const item = storage.get(key);
        const value = item === undefined ? new Uint8Array(0) : (decodeRlp(item) as Uint8Array);
        return { slot, value, proof: proofNodes(storage, key) };
      }),
    };
  }

  #storageRoot(addressHash: Hash): Hash {
    const leaf = this.#accounts.get(addressHash);
    return leaf === undefined ? EMPTY_TRIE_ROOT : storageRootOf(leaf);
  }

  #storageTrie(addressHash: Hash, storageRoot: Hash): PartialTrie {
    const loaded = this.#storages.get(toHex(addressHash));
    if (loaded === undefined) return new PartialTrie(storageTriePrefix(addressHash), storageRoot);
    assert(bytesEqual(loaded.rootHash, storageRoot), 'a storage trie must have its account’s root');
    return loaded;
  }

  #trim(): void {
    this.#nodesEstimate += this.#loader.loadedCount - this.#loadedCountSeen;
    this.#loadedCountSeen = this.#loader.loadedCount;
    if (this.#nodesEstimate <= this.#options.cacheNodesMax) return;
    this.#nodesEstimate = trimNodes([this.#accounts, ...this.#storages.values()], {
      nodesMax: this.#options.cacheNodesMax,
      storedHeight: this.#storedHeight,
    });
    for (const [owner, trie] of this.#storages)
      if (!isLoaded(trie.root)) this.#storages.delete(owner);
  }
}

/** An account trie holds each account under the hash of its address. */
function accountChange(key: Hash, account: Account | null, storageRoot: Hash): Change {
  if (account !== null) return { key, value: encodeAccountLeaf(account, storageRoot) };
  assert(
    bytesEqual(storageRoot, EMPTY_TRIE_ROOT),
    'an account that ends must have cleared its storage',
  );
  return { key, value: undefined };
}

/** A storage trie holds the RLP of each value under the hash of its slot. */
function slotChanges(slots: readonly SlotChange[]): Change[] {
  const changes = slots.map(({ slot, value }) => ({
    key: keccak256(slot),
    value: value.length === 0 ? undefined : encodeRlp(value),
  }));
  return sortByKey(changes, ({ key }) => key);
}

function rootHashOf(root: Child | undefined): Hash {
  return root === undefined ? EMPTY_TRIE_ROOT : referenceOf(root);
}

/** The encodings of the nodes to a key; those that stand inside their parent are part of it. */
function proofNodes(trie: PartialTrie, key: Hash): Uint8Array[] {
  return trie
    .nodesTo(key)
    .filter(({ stored }) => stored)
    .map((node) => encodeAlone(node));
}
