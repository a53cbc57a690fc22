/** One change of the database. */
export type WriteOperation =
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: Uint8Array }
  | { readonly kind: 'deleteRange'; readonly gte: Uint8Array; readonly lt: Uint8Array };

/**
 * Changes that happen together or not at all, in the order in which they were added: a later one
 * to the same key wins. The bytes are not copied and must not be changed until the write has
 * finished.
 */
export class WriteBatch {
  readonly #operations: WriteOperation[] = [];
  #sizeBytes = 0;

  put(key: Uint8Array, value: Uint8Array): void {
    this.#operations.push({ kind: 'put', key, value });
    this.#sizeBytes += key.length + value.length;
  }

  delete(key: Uint8Array): void {
    this.#operations.push({ kind: 'delete', key });
    this.#sizeBytes += key.length;
  }

  /** Deletes the keys from `gte` on and below `lt`. */
  deleteRange(gte: Uint8Array, lt: Uint8Array): void {
    this.#operations.push({ kind: 'deleteRange', gte, lt });
    this.#sizeBytes += gte.length + lt.length;
  }

  get operations(): readonly WriteOperation[] {
    return this.#operations;
  }

  /** Number of changes. */
  get count(): number {
    return this.#operations.length;
  }

  /** Bytes of all keys and values. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }
}
