import {
  type Configuration,
  isVoter,
  type Learner,
  type MemberAddress,
  type MemberRecord,
} from './configuration.ts';
import type { MemberId } from './entry.ts';
import { NodeError } from './node_error.ts';

/** Voters of both halves of a joint configuration decide; `leaving` ones do so only until it ends. */
export type MembershipRole = 'voter' | 'learner' | 'leaving';

/** The cluster as one member sees it. */
export interface MembershipView {
  readonly term: number;
  readonly leaderId: MemberId | undefined;
  /** Of the log entry that holds the configuration in force; 0 for the one that the cluster began with. */
  readonly configurationIndex: number;
  readonly isCommitted: boolean;
  /** A change of voters is under way. */
  readonly isJoint: boolean;
  /** How often the cluster was brought back from one survivor. */
  readonly recoveries: number;
  /** A new member's id is above it. */
  readonly highestId: MemberId;
  readonly commitIndex: number;
  readonly lastIndex: number;
  /** Ascending by id. */
  readonly members: readonly MembershipEntry[];
}

export interface MembershipEntry {
  readonly record: MemberRecord;
  readonly role: MembershipRole;
  /** Undefined for all but learners. */
  readonly learner: Learner | undefined;
  /** Whether the answering member is connected to it; always true for itself. */
  readonly isConnected: boolean;
  /** The last entry that it is known to hold. This and what follows only the leader knows; undefined elsewhere. */
  readonly matchIndex: number | undefined;
  /** Undefined for the leader itself. */
  readonly replication: 'probe' | 'replicate' | 'snapshot' | undefined;
  /** How much of a snapshot it has, from 0 to 100, while it takes one. */
  readonly snapshotPercent: number | undefined;
}

/** A member that shall join. */
export interface MemberAddition {
  readonly record: MemberRecord;
  /** Whether the leader makes it a voter by itself once it has caught up. */
  readonly promotion: Learner['promotion'];
}

/** A change of the cluster that is committed. */
export interface MembershipChanged {
  /** Of the log entry that holds the new configuration. */
  readonly configurationIndex: number;
}

export function membershipRole(configuration: Configuration, id: MemberId): MembershipRole {
  if (configuration.voters.includes(id)) return 'voter';
  return isVoter(configuration, id) ? 'leaving' : 'learner';
}

/** `host:port`, with brackets around IPv6 addresses. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The answer of a member that does not lead: it names who does, as far as it knows. */
export function notLeader(leaderId: MemberId | undefined, address: MemberAddress | undefined) {
  if (leaderId === undefined)
    return new NodeError('NO_LEADER', 'the cluster has no leader at present; try again');
  if (address === undefined)
    return new NodeError('NOT_LEADER', `ask the leader, member ${leaderId}`, {
      fields: { leaderId },
    });
  const adminAddress = hostAndPort(address.host, address.adminPort);
  return new NodeError('NOT_LEADER', `ask the leader, member ${leaderId}, at ${adminAddress}`, {
    fields: { leaderId, adminAddress },
  });
}
