import type { AdminBackend } from '../../../src/api/backend.ts';
import {
  type Configuration,
  initialConfiguration,
  type Learner,
  type MemberRecord,
} from '../../../src/types/configuration.ts';
import {
  type MemberAddition,
  type MembershipView,
  membershipRole,
  notLeader,
} from '../../../src/types/membership.ts';
import { NodeError } from '../../../src/types/node_error.ts';
import { MemoryBackend } from './memory_backend.ts';

const LAST_INDEX = 1_000;
/** How far a learner gets between two looks at the cluster. */
const STEP = 400;

/**
 * The membership of one cluster in memory, with a backend for each member. A learner is not connected at first; whenever
 * the leader was asked how things stand, it gets further.
 */
export class MemoryCluster {
  leaderId: number | undefined;
  configuration: Configuration;
  configurationIndex = 3;
  /** What the next changes are refused with, in order. */
  readonly refusals: NodeError[] = [];
  /** Names of the changes that were asked of the leader. */
  readonly changes: string[] = [];
  readonly #matches = new Map<number, number>();

  constructor(records: readonly MemberRecord[], leaderId: number) {
    this.configuration = initialConfiguration(records);
    this.leaderId = leaderId;
  }

  backendOf(id: number, clusterId: string): MemoryMember {
    return new MemoryMember(this, id, clusterId);
  }

  view(askedId: number): MembershipView {
    const isLeader = askedId === this.leaderId;
    const { members, learners, highestId, recoveries, outgoing } = this.configuration;
    const view: MembershipView = {
      term: 7,
      leaderId: this.leaderId,
      configurationIndex: this.configurationIndex,
      isCommitted: true,
      isJoint: outgoing.length > 0,
      recoveries,
      highestId,
      commitIndex: LAST_INDEX,
      lastIndex: LAST_INDEX,
      members: members.map((record) => ({
        record,
        role: membershipRole(this.configuration, record.id),
        learner: learners.find(({ id }) => id === record.id),
        isConnected: this.#matches.get(record.id) !== 0,
        matchIndex: isLeader ? (this.#matches.get(record.id) ?? LAST_INDEX) : undefined,
        replication: isLeader && record.id !== askedId ? 'replicate' : undefined,
        snapshotPercent: undefined,
      })),
    };
    if (isLeader) this.#progress();
    return view;
  }

  add(change: string, { record, promotion }: MemberAddition, replaces?: number): void {
    this.#begin(change);
    const { highestId, learners, members } = this.configuration;
    if (record.id <= highestId)
      throw new NodeError('ID_USED_BEFORE', `id ${record.id} was used; take ${highestId + 1}`);
    const learner: Learner = { id: record.id, promotion, replaces };
    this.#matches.set(record.id, 0);
    this.#change({
      learners: [...learners, learner],
      members: [...members, record],
      highestId: record.id,
    });
  }

  promote(id: number): void {
    this.#begin('promote');
    this.#promote(id);
  }

  remove(id: number): void {
    this.#begin('remove');
    const { voters, learners, members } = this.configuration;
    if (voters.length === 1 && voters[0] === id)
      throw new NodeError('LAST_VOTER', 'a cluster without a voter could do nothing');
    this.#change({
      voters: voters.filter((other) => other !== id),
      learners: learners.filter((other) => other.id !== id),
      members: members.filter((other) => other.id !== id),
    });
    if (this.leaderId === id) this.leaderId = this.configuration.voters[0];
  }

  update(record: MemberRecord): void {
    this.#begin('update');
    const { members } = this.configuration;
    this.#change({ members: members.map((other) => (other.id === record.id ? record : other)) });
  }

  #begin(change: string): void {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    this.changes.push(change);
  }

  #progress(): void {
    for (const { id, promotion } of this.configuration.learners) {
      const match = Math.min(LAST_INDEX, (this.#matches.get(id) ?? 0) + STEP);
      this.#matches.set(id, match);
      if (match === LAST_INDEX && promotion === 'automatic') this.#promote(id);
    }
  }

  #promote(id: number): void {
    const { voters, learners, members } = this.configuration;
    const learner = learners.find((other) => other.id === id);
    if (learner === undefined)
      throw new NodeError('ALREADY_A_VOTER', `member ${id} votes already`, { fields: { id } });
    if ((this.#matches.get(id) ?? 0) < LAST_INDEX)
      throw new NodeError('NOT_CAUGHT_UP', `member ${id} is behind`);
    const stay = (other: number): boolean => other !== learner.replaces;
    this.#change({
      voters: [...voters, id].filter(stay).sort((left, right) => left - right),
      learners: learners.filter((other) => other.id !== id),
      members: members.filter((other) => stay(other.id)),
    });
  }

  #change(changed: Partial<Configuration>): void {
    this.configuration = { ...this.configuration, ...changed };
    this.configurationIndex += 1;
  }
}

/** One member's face of a MemoryCluster. */
export class MemoryMember extends MemoryBackend implements AdminBackend {
  readonly #cluster: MemoryCluster;
  readonly #id: number;
  readonly #clusterId: string;

  constructor(cluster: MemoryCluster, id: number, clusterId: string) {
    super();
    this.#cluster = cluster;
    this.#id = id;
    this.#clusterId = clusterId;
  }

  override status() {
    const { leaderId } = this.#cluster;
    const role = leaderId === this.#id ? ('leader' as const) : ('follower' as const);
    const memberId = this.#id;
    return { ...super.status(), clusterId: this.#clusterId, memberId, leaderId, role };
  }

  listMembers(): MembershipView {
    return this.#cluster.view(this.#id);
  }

  transferLeadership: AdminBackend['transferLeadership'] = async (target) => {
    this.#requireLeader();
    if (!this.#cluster.configuration.voters.includes(target))
      throw new NodeError('UNKNOWN_MEMBER', `there is no member ${target} that votes`);
    this.#cluster.leaderId = target;
    return { leaderId: target, term: 8 };
  };

  async addMember(addition: MemberAddition) {
    return this.#changed(() => this.#cluster.add('add', addition));
  }

  async replaceMember(replaced: number, addition: MemberAddition) {
    return this.#changed(() => this.#cluster.add(`replace ${replaced}`, addition, replaced));
  }

  async promoteMember(id: number) {
    return this.#changed(() => this.#cluster.promote(id));
  }

  async removeMember(id: number) {
    return this.#changed(() => this.#cluster.remove(id));
  }

  async updateMember(record: MemberRecord) {
    return this.#changed(() => this.#cluster.update(record));
  }

  #changed(change: () => void) {
    this.#requireLeader();
    change();
    return { configurationIndex: this.#cluster.configurationIndex };
  }

  #requireLeader(): void {
    const { leaderId } = this.#cluster;
    if (leaderId !== this.#id) throw notLeader(leaderId, undefined);
  }
}
