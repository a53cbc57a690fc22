import { utf8 } from '../lib/bytes.ts';
import type { MemberId } from './entry.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem, scalar } from './rlp.ts';

/** Where a member is reached. */
export interface MemberAddress {
  readonly host: string;
  readonly peerPort: number;
  readonly apiPort: number;
  readonly adminPort: number;
}

/** One member as the cluster knows it. */
export interface MemberRecord {
  readonly id: MemberId;
  readonly address: MemberAddress;
  /** Of two healthy voters the one with the higher priority leads. */
  readonly priority: number;
}

/** A member that stores the log and does not vote. */
export interface Learner {
  readonly id: MemberId;
  /** Whether the leader makes it a voter as soon as it has caught up. */
  readonly promotion: 'automatic' | 'manual';
  /** The voter that leaves in the same step in which this one becomes a voter. */
  readonly replaces: MemberId | undefined;
}

/**
 * Who the cluster consists of (dissertation, chapter 4). It is joint while `outgoing` is not empty: every
 * decision then needs a majority of `voters` and a majority of `outgoing`. All lists ascend by id. A member in
 * force is in `voters`, `outgoing` or `learners`; `members` describes exactly those. Nobody is a learner and a
 * voter of either half at once.
 */
export interface Configuration {
  readonly voters: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
  readonly learners: readonly Learner[];
  readonly members: readonly MemberRecord[];
  /** The highest id that ever belonged to the cluster: a new member's is above it. */
  readonly highestId: MemberId;
  /** How often the cluster was brought back from one survivor; every signature names it (BFT round). */
  readonly recoveries: number;
}

/** What a member holds that has not heard of its cluster yet: it belongs to nobody and elects nobody. */
export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  outgoing: [],
  learners: [],
  members: [],
  highestId: 0,
  recoveries: 0,
};

export const PRIORITY_DEFAULT = 100;
export const PRIORITY_MAX = 1_000;
/** Members of all kinds that one cluster may have at once. */
export const MEMBERS_MAX = 32;

const CONFIGURATION_VERSION = 1;
const HOST_BYTES_MAX = 253;
const PORT_MAX = 65_535;

/** The configuration that a new cluster starts with: all of its members vote. */
export function initialConfiguration(members: readonly MemberRecord[]): Configuration {
  const ascending = [...members].sort((left, right) => left.id - right.id);
  const voters = ascending.map(({ id }) => id);
  return {
    ...EMPTY_CONFIGURATION,
    voters,
    members: ascending,
    highestId: voters.at(-1) ?? 0,
  };
}

export function isVoter({ voters, outgoing }: Configuration, id: MemberId): boolean {
  return voters.includes(id) || outgoing.includes(id);
}

export function isMember({ members }: Configuration, id: MemberId): boolean {
  return members.some((member) => member.id === id);
}

export function isJoint({ outgoing }: Configuration): boolean {
  return outgoing.length > 0;
}

/** The data of an entry of type 'configuration'. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const { voters, outgoing, learners, members, highestId, recoveries } = configuration;
  return encodeRlp([
    scalar(CONFIGURATION_VERSION),
    voters.map(scalar),
    outgoing.map(scalar),
    learners.map(({ id, promotion, replaces }) => [
      scalar(id),
      scalar(promotion === 'automatic' ? 1 : 0),
      scalar(replaces ?? 0),
    ]),
    members.map(({ id, priority, address }) => [
      scalar(id),
      scalar(priority),
      utf8(address.host),
      scalar(address.peerPort),
      scalar(address.apiPort),
      scalar(address.adminPort),
    ]),
    scalar(highestId),
    scalar(recoveries),
  ]);
}

/** Throws a CodecError for anything that `encodeConfiguration` would not write. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const reader = new FieldReader(decodeRlp(bytes), 'configuration', 7);
  const version = reader.number('version');
  if (version !== CONFIGURATION_VERSION)
    throw new CodecError(`configuration version ${version} is unknown here; upgrade this member`);
  const voters = idsFrom(reader.list('voters'));
  const outgoing = idsFrom(reader.list('outgoing'));
  const learners = reader.list('learners').map(learnerFrom);
  const members = reader.list('members').map(memberFrom);
  const highestId = reader.number('highestId');
  const recoveries = reader.number('recoveries');
  const configuration = { voters, outgoing, learners, members, highestId, recoveries };
  const problem = configurationProblem(configuration);
  if (problem !== undefined) throw new CodecError(`configuration: ${problem}`);
  return configuration;
}

/** Which rule of `Configuration` does not hold; undefined when all do. */
export function configurationProblem(configuration: Configuration): string | undefined {
  const { voters, outgoing, learners, members, highestId } = configuration;
  const learnerIds = learners.map(({ id }) => id);
  const memberIds = members.map(({ id }) => id);
  for (const ids of [voters, outgoing, learnerIds, memberIds])
    if (!ids.every((id, position) => id > (position === 0 ? 0 : (ids[position - 1] ?? 0))))
      return 'ids must be positive and ascend';
  if (learnerIds.some((id) => isVoter(configuration, id))) return 'a learner is no voter';
  const inForce = new Set([...voters, ...outgoing, ...learnerIds]);
  if (inForce.size !== memberIds.length || !memberIds.every((id) => inForce.has(id)))
    return 'every member is described once, and nobody else';
  if (voters.length === 0 && inForce.size > 0) return 'a cluster has a voter';
  if (members.length > MEMBERS_MAX) return `there are more than ${MEMBERS_MAX} members`;
  if ((memberIds.at(-1) ?? 0) > highestId) return 'an id is above the highest one';
  if (members.some(({ priority }) => priority > PRIORITY_MAX)) return 'a priority is too high';
  return undefined;
}

function idsFrom(items: RlpItem[]): MemberId[] {
  const reader = new FieldReader(items, 'ids');
  return items.map(() => reader.number('id'));
}

function learnerFrom(item: RlpItem): Learner {
  const reader = new FieldReader(item, 'learner', 3);
  const id = reader.number('id');
  const promotion = reader.number('promotion');
  if (promotion > 1) throw new CodecError(`learner.promotion ${promotion} is unknown`);
  const replaces = reader.number('replaces');
  return {
    id,
    promotion: promotion === 1 ? 'automatic' : 'manual',
    replaces: replaces === 0 ? undefined : replaces,
  };
}

function memberFrom(item: RlpItem): MemberRecord {
  const reader = new FieldReader(item, 'member', 6);
  const id = reader.number('id');
  const priority = reader.number('priority');
  const host = reader.bytes('host');
  if (host.length === 0 || host.length > HOST_BYTES_MAX)
    throw new CodecError(`member.host must have 1 to ${HOST_BYTES_MAX} bytes`);
  const [peerPort, apiPort, adminPort] = [
    reader.number('peerPort'),
    reader.number('apiPort'),
    reader.number('adminPort'),
  ];
  if (Math.max(peerPort, apiPort, adminPort) > PORT_MAX)
    throw new CodecError(`a port of member ${id} is above ${PORT_MAX}`);
  const address = { host: new TextDecoder().decode(host), peerPort, apiPort, adminPort };
  return { id, address, priority };
}
