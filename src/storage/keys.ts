import { assert } from '../lib/assert.ts';

/** Keys from `gte` on and below `lt`, in the order of their unsigned bytes. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

/** A range that is read in pages. */
export interface PagedRange extends KeyRange {
  /** Pairs of one page: what one read may hold in memory. */
  readonly pairsMax: number;
}

/** All keys that start with the prefix, which must not be made of 0xff alone. */
export function prefixRange(prefix: Uint8Array): KeyRange {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  assert(length > 0, 'a prefix has a successor');
  const lt = prefix.slice(0, length);
  lt[length - 1] = (lt[length - 1] ?? 0) + 1;
  return { gte: prefix, lt };
}

/** The key directly behind the given one. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1);
  after.set(key);
  return after;
}
