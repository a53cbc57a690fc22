/** What the replica needs of the database (storage/); a snapshot offers the reading half. */
export interface StoreReader {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
}
