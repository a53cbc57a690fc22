import { isLoopbackHost } from '../lib/host.ts';
import { MEMBERS_MAX } from '../types/configuration.ts';
import type { ClusterFile, ClusterMember } from './cluster_schema.ts';
import type { PlacedProblem } from './schema_problems.ts';

/** The parts of a cluster file that are sound by themselves; a member that is not leaves a hole. */
export type SoundParts = Partial<Omit<ClusterFile, 'members'>> & {
  readonly members?: readonly (ClusterMember | undefined)[];
};

/** Members that a new cluster starts with. */
const FOUNDER_COUNTS = [1, 3, 5, 7];
/** Heartbeats that may be lost before a follower doubts its leader. */
const HEARTBEATS_PER_ELECTION_TIMEOUT = 3;

/** What does not fit together among values that are each allowed. */
export function relationProblems(parts: SoundParts): PlacedProblem[] {
  return [
    ...memberCountProblems(parts),
    ...memberIdProblems(parts),
    ...portProblems(parts),
    ...hostProblems(parts),
    ...securityProblems(parts),
    ...raftProblems(parts),
    ...walProblems(parts),
    ...mempoolProblems(parts),
    ...admissionProblems(parts),
  ];
}

/** Once members were removed nobody founds the cluster any more: then all of them join. */
function memberCountProblems({ members }: SoundParts): PlacedProblem[] {
  if (members === undefined) return [];
  const problem = (fix: string): PlacedProblem[] => [{ path: ['members'], fix }];
  if (members.length > MEMBERS_MAX)
    return problem(`there are ${members.length} members; a cluster has at most ${MEMBERS_MAX}`);
  const founders = members.filter((member) => member?.joins !== true).length;
  if (FOUNDER_COUNTS.includes(founders)) return [];
  if (founders === 0)
    return members.length > 0 ? [] : problem('there are 0 members; give 1, 3, 5 or 7');
  const found =
    founders === members.length
      ? `there are ${founders} members; `
      : `there are ${founders} members without "joins: true"; `;
  return problem(
    founders > 7
      ? `${found}more than 7 slow every commit down; give 1, 3, 5 or 7`
      : `${found}an even number survives no more failures than one member less; give 1, 3, 5 or 7`,
  );
}

function memberIdProblems({ members = [] }: SoundParts): PlacedProblem[] {
  const first = new Map<number, number>();
  return members.flatMap((member, index) => {
    if (member === undefined) return [];
    const other = first.get(member.id);
    if (other === undefined) first.set(member.id, index);
    return other === undefined
      ? []
      : [
          {
            path: ['members', index, 'id'],
            fix: `members[${other}] has this id already; give each its own`,
          },
        ];
  });
}

function portProblems({ members = [] }: SoundParts): PlacedProblem[] {
  const users = new Map<string, string>();
  return members.flatMap((member, index) =>
    Object.entries(member?.ports ?? {}).flatMap(([listener, port]): PlacedProblem[] => {
      const host = member === undefined ? '' : machineOf(member.host);
      const other = users.get(`${host} ${port}`);
      if (other === undefined) {
        users.set(`${host} ${port}`, `members[${index}].ports.${listener}`);
        return [];
      }
      const fix = `${other} on the same host has this port already; give each listener its own`;
      return [{ path: ['members', index, 'ports', listener], fix }];
    }),
  );
}

/** All loopback addresses count as one machine: that is how they are used. */
function machineOf(host: string): string {
  return isLoopbackHost(host) ? 'loopback' : host.toLowerCase();
}

function hostProblems({ members = [] }: SoundParts): PlacedProblem[] {
  const remote = members.find((member) => member !== undefined && !isLoopbackHost(member.host));
  if (remote === undefined) return [];
  return members.flatMap((member, index) =>
    member === undefined || !isLoopbackHost(member.host)
      ? []
      : [
          {
            path: ['members', index, 'host'],
            fix: `is a loopback address, which the member on ${remote.host} cannot reach; give the address of its machine`,
          },
        ],
  );
}

function securityProblems({ api, members = [] }: SoundParts): PlacedProblem[] {
  const remote = members.find((member) => member !== undefined && !isLoopbackHost(member.host));
  if (api?.security !== 'plaintext' || remote === undefined) return [];
  return [
    {
      path: ['api', 'security'],
      fix: `is only for loopback hosts, and there is ${remote.host}; write mutual-tls`,
    },
  ];
}

function raftProblems({ raft }: SoundParts): PlacedProblem[] {
  if (raft === undefined) return [];
  const { tickMs, heartbeatMs, electionTimeoutMs, appendBytesMax, uncommittedBytesMax } = raft;
  const problems: PlacedProblem[] = [];
  if (heartbeatMs % tickMs !== 0)
    problems.push({
      path: ['raft', 'heartbeatMs'],
      fix: `must be a multiple of tickMs (${tickMs})`,
    });
  if (electionTimeoutMs % tickMs !== 0)
    problems.push({
      path: ['raft', 'electionTimeoutMs'],
      fix: `must be a multiple of tickMs (${tickMs})`,
    });
  if (heartbeatMs * HEARTBEATS_PER_ELECTION_TIMEOUT > electionTimeoutMs)
    problems.push({
      path: ['raft', 'heartbeatMs'],
      fix: `must be at most a third of electionTimeoutMs (${electionTimeoutMs}), so that one late heartbeat starts no election`,
    });
  if (uncommittedBytesMax < appendBytesMax)
    problems.push({
      path: ['raft', 'uncommittedBytesMax'],
      fix: `must be at least appendBytesMax (${appendBytesMax})`,
    });
  return problems;
}

function walProblems({ wal }: SoundParts): PlacedProblem[] {
  if (wal === undefined) return [];
  const { segmentBytes, compactBytes, compactEntries, tailEntries } = wal;
  const problems: PlacedProblem[] = [];
  if (compactBytes < 2 * segmentBytes)
    problems.push({
      path: ['wal', 'compactBytes'],
      fix: `must be at least ${2 * segmentBytes}, two segments (segmentBytes ${segmentBytes}): only whole segments are removed`,
    });
  if (tailEntries >= compactEntries)
    problems.push({
      path: ['wal', 'tailEntries'],
      fix: `must be less than compactEntries (${compactEntries}), or compaction would remove nothing`,
    });
  return problems;
}

function mempoolProblems({ mempool, blocks }: SoundParts): PlacedProblem[] {
  if (mempool === undefined) return [];
  const { transactionsMax, transactionsPerSenderMax, nonceGapMax, lifetimeMs } = mempool;
  const problems: PlacedProblem[] = [];
  if (transactionsPerSenderMax > transactionsMax)
    problems.push({
      path: ['mempool', 'transactionsPerSenderMax'],
      fix: `must be at most transactionsMax (${transactionsMax})`,
    });
  if (nonceGapMax > transactionsPerSenderMax)
    problems.push({
      path: ['mempool', 'nonceGapMax'],
      fix: `must be at most transactionsPerSenderMax (${transactionsPerSenderMax}), or the gap could never be filled`,
    });
  if (blocks !== undefined && lifetimeMs <= blocks.intervalMs)
    problems.push({
      path: ['mempool', 'lifetimeMs'],
      fix: `must be more than blocks.intervalMs (${blocks.intervalMs}), or transactions expire before any block`,
    });
  return problems;
}

function admissionProblems({ admission, mempool, blocks }: SoundParts): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  if (admission === undefined) return problems;
  if (mempool !== undefined && admission.batchTransactionsMax > mempool.transactionsMax)
    problems.push({
      path: ['admission', 'batchTransactionsMax'],
      fix: `must be at most mempool.transactionsMax (${mempool.transactionsMax})`,
    });
  if (blocks !== undefined && admission.batchDelayMsMax > blocks.intervalMs)
    problems.push({
      path: ['admission', 'batchDelayMsMax'],
      fix: `must be at most blocks.intervalMs (${blocks.intervalMs}), or admission waits longer than blocks`,
    });
  return problems;
}
