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
  readonly #folders: Map<MemberId, Uint8Array>;
  /** Records of this start: resolved once durable. */
  readonly #recorded = new Map<MemberId, Promise<void>>();

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
    let known = this.#folders.get(member);
    if (known === undefined) {
      known = copyBytes(folderId);
      this.#folders.set(member, known);
      this.#recorded.set(member, this.#record(member, known));
    }
    // Nobody is taken for known before that would survive a crash here.
    await this.#recorded.get(member);
    return bytesEqual(known, folderId);
  }

  async #record(member: MemberId, folderId: Uint8Array): Promise<void> {
    const batch = new WriteBatch();
    batch.put(peerFolderKey(member), folderId);
    await this.#database.write(batch);
    // It must be remembered after a loss of power as well, or the memory is worth nothing.
    await this.#database.flush();
  }
}
