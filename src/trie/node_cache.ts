import { HASH_BYTES, type Height } from '../types/primitives.ts';
import { type Child, isLoaded, type TrieNode } from './node.ts';
import type { PartialTrie } from './partial_trie.ts';

/** Share of the limit that stays after a trim, so that the next one is far. */
const KEPT_SHARE = 0.5;

/**
 * Unloads the nodes that were not used for longest until half of `nodesMax` remains, if there are more than that. A
 * node that the store may not hold yet, touched above `storedHeight`, stays. Returns how many nodes are loaded after.
 */
export function trimNodes(
  tries: Iterable<PartialTrie>,
  limits: { nodesMax: number; storedHeight: Height },
): number {
  const all = [...tries];
  const counts = new Map<Height, number>();
  for (const { root } of all) countByHeight(root, counts);
  const total = sum(counts.values());
  if (total <= limits.nodesMax) return total;
  const cutoff = Math.min(limits.storedHeight, cutoffHeight(counts, limits.nodesMax * KEPT_SHARE));
  for (const trie of all) trie.root = withoutOld(trie.root, cutoff);
  return sum([...counts].map(([height, count]) => (height <= cutoff ? 0 : count)));
}

/** The height up to which nodes must go so that no more than `keep` stay. */
function cutoffHeight(counts: ReadonlyMap<Height, number>, keep: number): Height {
  let kept = 0;
  for (const height of [...counts.keys()].sort((left, right) => right - left)) {
    kept += counts.get(height) ?? 0;
    if (kept > keep) return height;
  }
  return Number.NEGATIVE_INFINITY;
}

function countByHeight(node: Child | undefined, counts: Map<Height, number>): void {
  if (!isLoaded(node)) return;
  counts.set(node.touchedHeight, (counts.get(node.touchedHeight) ?? 0) + 1);
  if (node.kind === 'extension') countByHeight(node.child, counts);
  else if (node.kind === 'branch') for (const child of node.children) countByHeight(child, counts);
}

/** A node is never touched later than its parent, so what hangs below an old one is old too. */
function withoutOld(node: Child | undefined, cutoff: Height): Child | undefined {
  if (!isLoaded(node)) return node;
  if (node.touchedHeight <= cutoff && node.reference?.length === HASH_BYTES) return node.reference;
  unloadChildren(node, cutoff);
  return node;
}

function unloadChildren(node: TrieNode, cutoff: Height): void {
  if (node.kind === 'extension') node.child = withoutOld(node.child, cutoff) ?? node.child;
  if (node.kind !== 'branch') return;
  for (let nibble = 0; nibble < node.children.length; nibble += 1)
    node.children[nibble] = withoutOld(node.children[nibble], cutoff);
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
