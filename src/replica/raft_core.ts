import { leaseMs } from '../config/config.ts';
import type { Random } from '../lib/environment.ts';
import { Raft } from '../raft/raft.ts';
import type { MemberOptions, MemberParts } from './member_parts.ts';

/** The protocol core of a member, as its log and state say where it stands. */
export function makeRaft(
  { config, memberId }: MemberOptions,
  { wal, ledger, random }: Pick<MemberParts, 'wal' | 'ledger'> & { random: Random },
): Raft {
  const { tickMs, heartbeatMs, electionTimeoutMs } = config.raft;
  const durationMs = leaseMs(config);
  return new Raft(
    {
      id: memberId,
      configuration: ledger.head.configuration,
      leaseReads: durationMs === undefined ? undefined : { durationMs },
      electionTicks: Math.round(electionTimeoutMs / tickMs),
      heartbeatTicks: Math.round(heartbeatMs / tickMs),
      maxAppendBytes: config.raft.appendBytesMax,
      maxInflightAppends: config.raft.inflightAppendsMax,
      maxUncommittedBytes: config.raft.uncommittedBytesMax,
      hardState: wal.hardState,
      applied: ledger.head.appliedIndex,
    },
    { log: wal, random },
  );
}
