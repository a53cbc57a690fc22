/** A path in the trie: one half-byte in each byte. */
export type Nibbles = Uint8Array;

/** Half-bytes in a key. */
export function nibbleLength(key: Uint8Array): number {
  return key.length * 2;
}

/** The half-byte at an index of a packed key, which must lie within. */
export function nibbleAt(key: Uint8Array, index: number): number {
  const byte = key[index >> 1] as number;
  return (index & 1) === 0 ? byte >> 4 : byte & 15;
}

/** The half-bytes of a packed key from `start` up to `end`. */
export function nibblesOf(key: Uint8Array, start: number, end: number): Nibbles {
  const nibbles = new Uint8Array(end - start);
  for (let index = start; index < end; index += 1) nibbles[index - start] = nibbleAt(key, index);
  return nibbles;
}

/** The packed key of a whole path, which must be an even number of half-bytes. */
export function packNibbles(nibbles: Nibbles): Uint8Array {
  const key = new Uint8Array(nibbles.length >> 1);
  for (let index = 0; index < key.length; index += 1)
    key[index] = ((nibbles[2 * index] as number) << 4) | (nibbles[2 * index + 1] as number);
  return key;
}

export function joinNibbles(...parts: readonly (Nibbles | number)[]): Nibbles {
  let length = 0;
  for (const part of parts) length += typeof part === 'number' ? 1 : part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    if (typeof part === 'number') joined[offset] = part;
    else joined.set(part, offset);
    offset += typeof part === 'number' ? 1 : part.length;
  }
  return joined;
}

/** How many half-bytes of the path the key repeats from `depth` on. */
export function matchingNibbles(key: Uint8Array, depth: number, path: Nibbles): number {
  const limit = Math.min(path.length, nibbleLength(key) - depth);
  let count = 0;
  while (count < limit && nibbleAt(key, depth + count) === path[count]) count += 1;
  return count;
}

/** How many half-bytes two keys share from `depth` on. */
export function sharedNibbles(left: Uint8Array, right: Uint8Array, depth: number): number {
  const limit = Math.min(nibbleLength(left), nibbleLength(right));
  let index = depth;
  while (index < limit && nibbleAt(left, index) === nibbleAt(right, index)) index += 1;
  return index - depth;
}
