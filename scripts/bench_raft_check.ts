import { createHash } from 'node:crypto';
import type { Connection } from './bench_raft_client.ts';
import type { BenchCluster } from './bench_raft_cluster.ts';
import { type BenchPairs, END_KEY, FIRST_KEY } from './bench_raft_pairs.ts';

/** What the members of a cluster hold in the end. */
export interface CheckResult {
  /** Over all pairs in order: the same on every member. */
  readonly digest: string;
  readonly acknowledged: number;
  /** Acknowledged ones, and those whose outcome the client never learned. */
  readonly stored: number;
}

/** What of a cluster is needed to look into it. */
export interface CheckedCluster extends Pick<BenchCluster, 'name' | 'leader'> {
  readonly connections: readonly PairReader[];
}

type PairReader = Pick<Connection, 'range'>;

const PAGE_PAIRS = 4_096;

/**
 * Reads everything from each member's own store. Throws when an acknowledged pair is missing anywhere, when a member
 * holds what was never written, or when two members differ.
 */
export async function checkCluster(
  cluster: CheckedCluster,
  pairs: BenchPairs,
): Promise<CheckResult> {
  // All members have applied the same then.
  await cluster.leader();
  const results: CheckResult[] = [];
  for (const [position, connection] of cluster.connections.entries())
    results.push(await checkMember(`${cluster.name}, member ${position + 1}`, connection, pairs));
  const [first] = results;
  if (first === undefined) throw new Error(`${cluster.name} has no members`);
  for (const { digest } of results)
    if (digest !== first.digest) throw new Error(`${cluster.name}: two members differ`);
  return first;
}

async function checkMember(
  name: string,
  connection: PairReader,
  pairs: BenchPairs,
): Promise<CheckResult> {
  const hash = createHash('sha256');
  let stored = 0;
  let acknowledged = 0;
  let from: Uint8Array = FIRST_KEY;
  for (;;) {
    const { kvs, more } = await connection.range(from, END_KEY, PAGE_PAIRS);
    for (const pair of kvs) {
      const number = pairs.numberOf(pair);
      if (number === undefined)
        throw new Error(`${name} holds ${Buffer.from(pair.key)}, which was not written like that`);
      hash.update(pair.key).update(pair.value);
      stored += 1;
      if (pairs.isAcknowledged(number)) acknowledged += 1;
    }
    const last = kvs.at(-1);
    if (!more || last === undefined) break;
    from = Buffer.concat([last.key, Buffer.of(0)]);
  }
  const missing = pairs.acknowledgedCount - acknowledged;
  if (missing !== 0) throw new Error(`${name} has lost ${missing} acknowledged pairs`);
  return { digest: hash.digest('hex'), acknowledged, stored };
}
