import { peerFolderKey } from '../ledger/keys.ts';
import { bytesEqual, copyBytes } from '../lib/bytes.ts';
import type { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { MemberId } from '../types/entry.ts';

/**
 * Remembers which data folder each member id came with first. A member that returns with another one has
 * lost its votes and the entries that it acknowledged: taking it for the same could elect two leaders.
 */
export class PeerRegistry {
  readonly #database: Database;
  /** Of the members that were asked about: ids are few, since the transport admits no others. */
  readonly #folders = new Map<MemberId, Promise<Uint8Array>>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** True for the folder that the member has always had; the first one is recorded for ever. */
  async isKnown(member: MemberId, folderId: Uint8Array): Promise<boolean> {
    let known = this.#folders.get(member);
    if (known === undefined) {
      known = this.#firstFolder(member, copyBytes(folderId));
      this.#folders.set(member, known);
    }
    return bytesEqual(await known, folderId);
  }

  /** Resolves once it is durable: nobody is taken for known before that would survive a crash here. */
  async #firstFolder(member: MemberId, candidate: Uint8Array): Promise<Uint8Array> {
    const stored = await this.#database.get(peerFolderKey(member));
    if (stored !== undefined) return stored;
    const batch = new WriteBatch();
    batch.put(peerFolderKey(member), candidate);
    await this.#database.write(batch);
    // It must be remembered after a loss of power as well, or the memory is worth nothing.
    await this.#database.flush();
    return candidate;
  }
}
