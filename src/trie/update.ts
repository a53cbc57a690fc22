import { bytesEqual } from '../lib/bytes.ts';
import {
  joinNibbles,
  matchingNibbles,
  type Nibbles,
  nibbleAt,
  nibbleLength,
  nibblesOf,
  packNibbles,
  sharedNibbles,
} from './nibbles.ts';
import {
  BRANCH_CHILDREN,
  type Branch,
  type Child,
  type Extension,
  isLoaded,
  type Leaf,
  type TrieNode,
} from './node.ts';

/** A key and its new value; undefined deletes it. */
export interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export interface UpdateResult {
  /** Undefined when the trie is empty. Meaningless while something is missing. */
  readonly root: Child | undefined;
  /** Paths at which the store holds a node and the new trie none. */
  readonly stalePaths: readonly Nibbles[];
  /** Paths of nodes that must be loaded before the update can be made; nothing was changed. */
  readonly missingPaths: readonly Nibbles[];
}

/**
 * Applies changes, ascending by key and each key once, to a trie whose nodes may be loaded in part. The old trie stays
 * as it was. New nodes have no reference yet: `seal` gives them one.
 */
export function updateTrie(
  root: Child | undefined,
  changes: readonly Change[],
  height: number,
): UpdateResult {
  const update = new Update(changes, height);
  const updated = changes.length === 0 ? root : update.at(root, 0, 0, changes.length);
  return {
    root: updated,
    stalePaths: update.stalePaths,
    missingPaths: update.missingPaths,
  };
}

/** A branch in the making: one that exists, or one that must split an extension. */
interface BranchDraft {
  readonly children: (Child | undefined)[];
  readonly value: Uint8Array | undefined;
  /** The node that stays when no child changes. */
  readonly original: Branch | undefined;
}

/**
 * One batch. Every method works at one path, `depth` half-bytes deep, on the run of changes from `low` up to `high`
 * that all begin with it (so any of them names it), and returns the node that belongs there now. A parent is
 * normalised once, after all its children.
 */
class Update {
  readonly stalePaths: Nibbles[] = [];
  readonly missingPaths: Nibbles[] = [];
  readonly #changes: readonly Change[];
  readonly #height: number;

  constructor(changes: readonly Change[], height: number) {
    this.#changes = changes;
    this.#height = height;
  }

  at(node: Child | undefined, depth: number, low: number, high: number): TrieNode | undefined {
    if (node === undefined) return this.#build(this.#inserts(low, high), depth);
    if (!isLoaded(node)) return this.#missing(nibblesOf(this.#key(low), 0, depth));
    const result = this.#change(node, depth, low, high);
    if (result === node) return node;
    if (result !== undefined) result.stored = node.stored;
    else if (node.stored) this.stalePaths.push(nibblesOf(this.#key(low), 0, depth));
    return result;
  }

  #change(node: TrieNode, depth: number, low: number, high: number): TrieNode | undefined {
    if (node.kind === 'leaf') return this.#changeLeaf(node, depth, low, high);
    if (node.kind === 'extension') return this.#changeExtension(node, depth, low, high);
    const { children, value } = node;
    return this.#changeBranch({ children, value, original: node }, depth, low, high);
  }

  #changeLeaf(leaf: Leaf, depth: number, low: number, high: number): TrieNode | undefined {
    const { key, value } = this.#changes[low] as Change;
    const rest = leaf.path.length;
    const isOwnKey =
      nibbleLength(key) - depth === rest && matchingNibbles(key, depth, leaf.path) === rest;
    if (high - low > 1 || !isOwnKey) return this.#mergeLeaf(leaf, depth, low, high);
    if (value === undefined) return undefined;
    return bytesEqual(value, leaf.value) ? leaf : this.#leaf(leaf.path, value);
  }

  /** A leaf among inserts is one more insert, unless a change is about its own key. */
  #mergeLeaf(leaf: Leaf, depth: number, low: number, high: number): TrieNode | undefined {
    const inserts: Change[] = [];
    let survivor: Change | undefined = {
      key: packNibbles(joinNibbles(nibblesOf(this.#key(low), 0, depth), leaf.path)),
      value: leaf.value,
    };
    for (let index = low; index < high; index += 1) {
      const change = this.#changes[index] as Change;
      const order = survivor === undefined ? 1 : Buffer.compare(change.key, survivor.key);
      if (order === 0 && change.value !== undefined && bytesEqual(change.value, leaf.value))
        continue;
      if (order > 0 && survivor !== undefined) inserts.push(survivor);
      if (order >= 0) survivor = undefined;
      if (change.value !== undefined) inserts.push(change);
    }
    if (survivor !== undefined) inserts.push(survivor);
    const [only] = inserts;
    if (inserts.length === 1 && only?.value === leaf.value) return leaf;
    return this.#build(inserts, depth);
  }

  #changeExtension(
    extension: Extension,
    depth: number,
    low: number,
    high: number,
  ): TrieNode | undefined {
    const { path, child } = extension;
    let shared = path.length;
    for (let index = low; index < high; index += 1) {
      if (this.#changes[index]?.value === undefined) continue;
      shared = Math.min(shared, matchingNibbles(this.#key(index), depth, path));
    }
    // Deletes that leave the path before the inserts do are of keys that do not exist.
    const [from, to] = this.#alongPath(path.subarray(0, shared), depth, low, high);
    if (from === to) return extension;
    const below = depth + shared;
    if (shared === path.length) {
      const updated = this.at(child, below, from, to);
      return updated === child ? extension : this.#prepend(path, updated, depth, from);
    }
    const children = new Array<Child | undefined>(BRANCH_CHILDREN).fill(undefined);
    const rest = path.subarray(shared + 1);
    children[path[shared] as number] = rest.length === 0 ? child : this.#extension(rest, child);
    const split = { children, value: undefined, original: undefined };
    const branch = this.#changeBranch(split, below, from, to);
    return this.#prepend(path.subarray(0, shared), branch, depth, from);
  }

  /** The run of changes whose keys follow the whole path. */
  #alongPath(path: Nibbles, depth: number, low: number, high: number): [number, number] {
    let from = low;
    while (from < high && matchingNibbles(this.#key(from), depth, path) < path.length) from += 1;
    let to = from;
    while (to < high && matchingNibbles(this.#key(to), depth, path) === path.length) to += 1;
    return [from, to];
  }

  #changeBranch(
    draft: BranchDraft,
    depth: number,
    low: number,
    high: number,
  ): TrieNode | undefined {
    let { value } = draft;
    let children = draft.children;
    let index = low;
    if (nibbleLength(this.#key(low)) === depth) {
      const changed = this.#changes[low]?.value;
      const same = changed !== undefined && value !== undefined && bytesEqual(changed, value);
      if (!same) value = changed;
      index += 1;
    }
    while (index < high) {
      const nibble = nibbleAt(this.#key(index), depth);
      let end = index + 1;
      while (end < high && nibbleAt(this.#key(end), depth) === nibble) end += 1;
      const child = children[nibble];
      const updated = this.at(child, depth + 1, index, end);
      if (updated !== child) {
        if (children === draft.children) children = children.slice();
        children[nibble] = updated;
      }
      index = end;
    }
    const { original } = draft;
    if (original !== undefined && children === original.children && value === original.value)
      return original;
    return this.#normalise(children, value, depth, low);
  }

  /** A branch needs two of children and value; with fewer it becomes what is left. */
  #normalise(
    children: (Child | undefined)[],
    value: Uint8Array | undefined,
    depth: number,
    low: number,
  ): TrieNode | undefined {
    let count = 0;
    let last = 0;
    for (let nibble = 0; nibble < BRANCH_CHILDREN; nibble += 1) {
      if (children[nibble] === undefined) continue;
      count += 1;
      last = nibble;
    }
    if (count > 1 || (count === 1 && value !== undefined)) return this.#branch(children, value);
    if (count === 0) return value === undefined ? undefined : this.#leaf(new Uint8Array(0), value);
    const child = children[last] as Child;
    const path = Uint8Array.of(last);
    // What a lone child becomes depends on its kind.
    if (!isLoaded(child))
      return this.#missing(joinNibbles(nibblesOf(this.#key(low), 0, depth), path));
    return this.#prepend(path, child, depth, low);
  }

  /** The node at `depth` that leads by a path to a node: leaves and extensions are merged, never chained. */
  #prepend(
    path: Nibbles,
    node: TrieNode | undefined,
    depth: number,
    low: number,
  ): TrieNode | undefined {
    if (node === undefined || path.length === 0) return node;
    if (node.kind === 'branch') return this.#extension(path, node);
    if (node.stored) this.stalePaths.push(joinNibbles(nibblesOf(this.#key(low), 0, depth), path));
    const joined = joinNibbles(path, node.path);
    if (node.kind === 'leaf') return this.#leaf(joined, node.value);
    return this.#extension(joined, node.child);
  }

  /** A fresh subtree of inserts, ascending, that all begin with the same `depth` half-bytes. */
  #build(inserts: readonly Change[], depth: number): TrieNode | undefined {
    const first = inserts[0];
    const last = inserts.at(-1);
    if (first === undefined || last === undefined) return undefined;
    if (inserts.length === 1)
      return this.#leaf(
        nibblesOf(first.key, depth, nibbleLength(first.key)),
        first.value as Uint8Array,
      );
    const shared = sharedNibbles(first.key, last.key, depth);
    const below = depth + shared;
    const children = new Array<Child | undefined>(BRANCH_CHILDREN).fill(undefined);
    const endsHere = nibbleLength(first.key) === below;
    let index = endsHere ? 1 : 0;
    while (index < inserts.length) {
      const nibble = nibbleAt((inserts[index] as Change).key, below);
      let end = index + 1;
      while (end < inserts.length && nibbleAt((inserts[end] as Change).key, below) === nibble)
        end += 1;
      children[nibble] = this.#build(inserts.slice(index, end), below + 1);
      index = end;
    }
    const branch = this.#branch(children, endsHere ? first.value : undefined);
    if (shared === 0) return branch;
    return this.#extension(nibblesOf(first.key, depth, below), branch);
  }

  #inserts(low: number, high: number): Change[] {
    const inserts: Change[] = [];
    for (let index = low; index < high; index += 1) {
      const change = this.#changes[index] as Change;
      if (change.value !== undefined) inserts.push(change);
    }
    return inserts;
  }

  /** Stands for a node that is not loaded; as a branch it asks nothing of its parents. */
  #missing(path: Nibbles): TrieNode {
    this.missingPaths.push(path);
    return this.#branch([], undefined);
  }

  #key(index: number): Uint8Array {
    return (this.#changes[index] as Change).key;
  }

  #leaf(path: Nibbles, value: Uint8Array): Leaf {
    return {
      kind: 'leaf',
      path,
      value,
      reference: undefined,
      stored: false,
      touchedHeight: this.#height,
    };
  }

  #extension(path: Nibbles, child: Child): Extension {
    return {
      kind: 'extension',
      path,
      child,
      reference: undefined,
      stored: false,
      touchedHeight: this.#height,
    };
  }

  #branch(children: (Child | undefined)[], value: Uint8Array | undefined): Branch {
    return {
      kind: 'branch',
      children,
      value,
      reference: undefined,
      stored: false,
      touchedHeight: this.#height,
    };
  }
}
