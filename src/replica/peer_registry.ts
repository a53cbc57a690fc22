import { bytesEqual, copyBytes } from '../lib/bytes.ts';
import type { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { MemberId } from '../types/entry.ts';
import { peerFolderKey } from './keys.ts';

/**
 * Remembers which data folder each member id came with first. A member that returns with another one has
 * lost its votes and the entries that it acknowledged: taking it for the same could elect two leaders.
 */
export class PeerRegistry {
  readonly #database: Database;
  readonly #folders: Map<MemberId, Uint8Array>;

  static async load(members: readonly MemberId[], database: Database): Promise<PeerRegistry> {
    const stored = await database.getMany(members.map(peerFolderKey));
    const folders = new Map<MemberId, Uint8Array>();
    for (const [position, member] of members.entries()) {
      const folderId = stored[position];
      if (folderId !== undefined) folders.set(member, folderId);
    }
    return new PeerRegistry({ folders }, { database });
  }

  constructor(
    options: { folders: Map<MemberId, Uint8Array> },
    dependencies: { database: Database },
  ) {
    this.#folders = options.folders;
    this.#database = dependencies.database;
  }

  /** True for the folder that the member has always had; the first one is recorded for ever. */
  async isKnown(member: MemberId, folderId: Uint8Array): Promise<boolean> {
    const known = this.#folders.get(member);
    if (known !== undefined) return bytesEqual(known, folderId);
    const kept = copyBytes(folderId);
    this.#folders.set(member, kept);
    const batch = new WriteBatch();
    batch.put(peerFolderKey(member), kept);
    await this.#database.write(batch);
    // It must be remembered after a loss of power as well, or the memory is worth nothing.
    await this.#database.flush();
    return true;
  }
}
