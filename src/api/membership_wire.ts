import type { MembershipEntry, MembershipView } from '../types/membership.ts';
import type { NodeStatus } from '../types/views.ts';
import type { Wire } from './responses.ts';

const ROLE_NAMES: Readonly<Record<MembershipEntry['role'], string>> = {
  voter: 'MEMBERSHIP_VOTER',
  learner: 'MEMBERSHIP_LEARNER',
  leaving: 'MEMBERSHIP_LEAVING',
};

const PROMOTION_NAMES = {
  automatic: 'PROMOTION_AUTOMATIC',
  manual: 'PROMOTION_MANUAL',
} as const;

const REPLICATION_NAMES = {
  probe: 'REPLICATION_STATE_PROBE',
  replicate: 'REPLICATION_STATE_REPLICATE',
  snapshot: 'REPLICATION_STATE_SNAPSHOT',
} as const;

/** The answer of ListMembers; in the form of the other responses. */
export function membershipWire(node: NodeStatus, view: MembershipView): Wire {
  const lags = new Map(node.members.map(({ id, lagEntries }) => [id, lagEntries]));
  return {
    term: view.term,
    leaderId: view.leaderId ?? 0,
    members: view.members.map((entry) => entryWire(entry, lags.get(entry.record.id))),
    clusterId: node.clusterId,
    memberId: node.memberId,
    configurationIndex: view.configurationIndex,
    configurationCommitted: view.isCommitted,
    joint: view.isJoint,
    recoveries: view.recoveries,
    highestId: view.highestId,
    commitIndex: view.commitIndex,
    lastIndex: view.lastIndex,
  };
}

function entryWire(entry: MembershipEntry, lagEntries: number | undefined): Wire {
  const { record, role, learner, matchIndex, replication, snapshotPercent } = entry;
  const { host, peerPort, apiPort, adminPort } = record.address;
  return {
    id: record.id,
    host,
    apiPort,
    connected: entry.isConnected,
    ...(lagEntries === undefined ? {} : { lagEntries }),
    peerPort,
    adminPort,
    priority: record.priority,
    membership: ROLE_NAMES[role],
    ...(learner === undefined ? {} : { promotion: PROMOTION_NAMES[learner.promotion] }),
    replaces: learner?.replaces ?? 0,
    ...(matchIndex === undefined ? {} : { matchIndex }),
    ...(replication === undefined ? {} : { replicationState: REPLICATION_NAMES[replication] }),
    ...(snapshotPercent === undefined ? {} : { snapshotPercent }),
  };
}
