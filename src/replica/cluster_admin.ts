import type { RaftDriver } from '../driver/raft_driver.ts';
import type { Clock } from '../lib/environment.ts';
import type { ConfigurationChange, ConfigurationRefusal, RaftStatus } from '../raft/ready.ts';
import {
  type Configuration,
  isJoint,
  isMember,
  isVoter,
  type MemberRecord,
} from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import {
  type MemberAddition,
  type MembershipChanged,
  type MembershipEntry,
  type MembershipView,
  membershipRole,
  notLeader,
} from '../types/membership.ts';
import { NodeError } from '../types/node_error.ts';
import type { Membership } from './membership.ts';

export interface ClusterAdminDependencies {
  readonly driver: RaftDriver;
  readonly membership: Membership;
  readonly isConnected: (peer: MemberId) => boolean;
  readonly clock: Clock;
}

/** How often somebody who waits for a change looks whether it is committed. */
const POLL_MS = 5;

/** Changes of who the cluster consists of, for operators. All but the list is for the leader. */
export class ClusterAdmin {
  readonly #self: MemberId;
  readonly #dependencies: ClusterAdminDependencies;

  constructor(options: { self: MemberId }, dependencies: ClusterAdminDependencies) {
    this.#self = options.self;
    this.#dependencies = dependencies;
  }

  list(): MembershipView {
    const status = this.#dependencies.driver.status();
    const { index, configuration, committed } = status.configuration;
    return {
      term: status.term,
      leaderId: status.leader,
      configurationIndex: index,
      isCommitted: committed,
      isJoint: isJoint(configuration),
      recoveries: configuration.recoveries,
      highestId: configuration.highestId,
      commitIndex: status.commit,
      lastIndex: status.lastIndex,
      members: configuration.members.map((record) => this.#entry(record, status)),
    };
  }

  /** Asking again for what was done already is answered as done. */
  add(
    { record, promotion }: MemberAddition,
    replaces: MemberId | undefined,
    signal: AbortSignal,
  ): Promise<MembershipChanged> {
    return this.#change(
      { kind: 'addLearner', member: record, promotion, replaces },
      { isDone: (configuration) => hasJoined(configuration, record, replaces), signal },
    );
  }

  promote(id: MemberId, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#change(
      { kind: 'promote', id },
      { isDone: (configuration) => configuration.voters.includes(id), signal },
    );
  }

  remove(id: MemberId, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#change(
      { kind: 'remove', id },
      {
        isDone: (configuration) => id <= configuration.highestId && !isMember(configuration, id),
        signal,
      },
    );
  }

  update(record: MemberRecord, signal: AbortSignal): Promise<MembershipChanged> {
    return this.#change(
      { kind: 'update', member: record },
      { isDone: ({ members }) => members.some((member) => isSame(member, record)), signal },
    );
  }

  /** Resolves once a configuration that holds the change is committed and final. */
  async #change(
    change: ConfigurationChange,
    { isDone, signal }: { isDone: (configuration: Configuration) => boolean; signal: AbortSignal },
  ): Promise<MembershipChanged> {
    const { driver, membership } = this.#dependencies;
    const before = driver.status();
    if (before.role !== 'leader') throw this.notLeader(before.leader);
    const { applied } = membership;
    const { index, committed } = before.configuration;
    if (committed && index === applied.index && this.#holds(applied.configuration, isDone))
      return { configurationIndex: applied.index };
    const answer = driver.changeConfiguration(change);
    if ('refused' in answer) throw this.#refusal(answer, change);
    await this.#until(answer, isDone, signal);
    return { configurationIndex: membership.applied.index };
  }

  /** Whoever the change takes out of the lead, or whose leader dies, learns of its end only by asking again. */
  async #until(
    { index, term }: { index: number; term: number },
    isDone: (configuration: Configuration) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { driver, membership, clock } = this.#dependencies;
    for (;;) {
      const { applied } = membership;
      if (applied.index >= index && this.#holds(applied.configuration, isDone)) return;
      const status = driver.status();
      const isApplying = driver.appliedIndex < status.commit;
      const hasLost = status.role !== 'leader' || status.term !== term;
      if (signal.aborted || (hasLost && !isApplying))
        throw new NodeError(
          'OUTCOME_UNKNOWN',
          'the leader changed, or time was up, before the change was committed; list the members',
        );
      await new Promise<void>((resolve) => {
        clock.schedule(POLL_MS, resolve);
      });
    }
  }

  #holds(configuration: Configuration, isDone: (configuration: Configuration) => boolean): boolean {
    return !isJoint(configuration) && isDone(configuration);
  }

  #refusal({ refused, leader }: ConfigurationRefusal, change: ConfigurationChange): NodeError {
    const id =
      change.kind === 'addLearner' || change.kind === 'update' ? change.member.id : change.id;
    switch (refused) {
      case 'not-leader':
        return this.notLeader(leader);
      case 'transferring':
        return new NodeError('NOT_READY', 'the leader is handing over; ask again');
      case 'not-committed-in-term':
        return new NodeError('NOT_READY', 'the leader is new and not ready for this; ask again');
      case 'change-pending':
        return new NodeError('CHANGE_PENDING', 'another change is not finished; ask again later');
      case 'unknown-member':
        return this.#unknown(change, id);
      case 'already-a-voter':
        return new NodeError('ALREADY_A_VOTER', `member ${id} votes already`);
      case 'id-used-before':
        return new NodeError(
          'ID_USED_BEFORE',
          `the id of a new member is above ${this.#configuration.highestId}, the highest that was ever used; ${id} is not`,
          { fields: { highestId: this.#configuration.highestId } },
        );
      case 'last-voter':
        return new NodeError('LAST_VOTER', `member ${id} is the last voter; add another one first`);
      case 'too-many-members':
        return new NodeError('TOO_MANY_MEMBERS', 'the cluster has as many members as it can have');
      case 'invalid-member':
        throw new Error(`the description of member ${id} should have been refused before`);
      case 'not-caught-up':
        return new NodeError(
          'NOT_CAUGHT_UP',
          `member ${id} has not caught up yet; ask again later`,
        );
    }
  }

  #unknown(change: ConfigurationChange, id: MemberId): NodeError {
    const missing = change.kind === 'addLearner' ? (change.replaces ?? id) : id;
    const what = change.kind === 'promote' ? 'learner' : 'member';
    const { members } = this.#configuration;
    const ids = members.map((member) => member.id).join(', ');
    return new NodeError(
      'UNKNOWN_MEMBER',
      `there is no ${what} ${missing}; the members are ${ids}`,
    );
  }

  /** What is answered here in place of the leader. */
  notLeader(leader: MemberId | undefined): NodeError {
    const { members } = this.#configuration;
    return notLeader(leader, members.find(({ id }) => id === leader)?.address);
  }

  get #configuration(): Configuration {
    return this.#dependencies.membership.inForce.configuration;
  }

  #entry(record: MemberRecord, status: RaftStatus): MembershipEntry {
    const { configuration } = status.configuration;
    const { id } = record;
    const isSelf = id === this.#self;
    const peer = status.peers.find((candidate) => candidate.id === id);
    const isLeader = isSelf && status.role === 'leader';
    return {
      record,
      role: membershipRole(configuration, id),
      learner: isVoter(configuration, id)
        ? undefined
        : configuration.learners.find((learner) => learner.id === id),
      isConnected: isSelf || this.#dependencies.isConnected(id),
      matchIndex: isLeader ? status.stableIndex : peer?.match,
      replication: peer?.state,
      snapshotPercent: undefined,
    };
  }
}

/** Also once the new member votes: that may be seen before its admission was. */
function hasJoined(
  { learners, members }: Configuration,
  record: MemberRecord,
  replaces: MemberId | undefined,
): boolean {
  if (!members.some((member) => isSame(member, record))) return false;
  const pending = learners.find(({ id }) => id === record.id)?.replaces;
  return pending === undefined ? members.every(({ id }) => id !== replaces) : pending === replaces;
}

function isSame(left: MemberRecord, right: MemberRecord): boolean {
  const { host, peerPort, apiPort, adminPort } = right.address;
  return (
    left.id === right.id &&
    left.priority === right.priority &&
    left.address.host === host &&
    left.address.peerPort === peerPort &&
    left.address.apiPort === apiPort &&
    left.address.adminPort === adminPort
  );
}
