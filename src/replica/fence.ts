import { FENCE_KEY } from '../ledger/keys.ts';
import { toPrefixedHex, utf8 } from '../lib/bytes.ts';
import type { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import type { Divergence } from './root_agreement.ts';

/** Why this member fenced itself in an earlier life; undefined when it is well. */
export async function storedFence(database: Database): Promise<string | undefined> {
  const reason = await database.get(FENCE_KEY);
  return reason === undefined ? undefined : new TextDecoder().decode(reason);
}

/** Makes the fence outlast a restart: what is wrong on the disk is still wrong then. */
export async function storeFence(reason: string, database: Database): Promise<void> {
  const batch = new WriteBatch();
  batch.put(FENCE_KEY, utf8(reason));
  await database.write(batch);
  await database.flush();
}

export function fenceReason({ height, own, other, authority }: Divergence): string {
  const says = authority === 'majority' ? 'most members computed' : 'the decided chain carries';
  return `after block ${height} this member has the state root ${toPrefixedHex(own)} where ${says} ${toPrefixedHex(other)}`;
}
