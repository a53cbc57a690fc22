import { isDialableHost } from '../lib/host.ts';
import {
  type MemberAddress,
  type MemberRecord,
  PRIORITY_DEFAULT,
  PRIORITY_MAX,
} from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import {
  hostAndPort,
  type MemberAddition,
  type MembershipView,
  notLeader,
} from '../types/membership.ts';
import { NodeError } from '../types/node_error.ts';
import type { AdminBackend } from './backend.ts';
import type { OpenCalls } from './calls.ts';
import { membershipWire } from './membership_wire.ts';
import { invalid } from './request_fields.ts';
import type {
  AddMemberRequest,
  MemberIdRequest,
  ReplaceMemberRequest,
  TransferLeadershipRequest,
  UpdateMemberRequest,
  WireMemberAddress,
} from './wire.ts';

const MEMBER_ID_MAX = 65_535;
const PORT_MAX = 65_535;

/** The methods of the service Admin. Whatever is wrong with a request is told before the backend hears of it. */
export function adminService(backend: AdminBackend, calls: OpenCalls) {
  return {
    ListMembers: calls.unary<object>('ListMembers', async () =>
      membershipWire(backend.status(), backend.listMembers()),
    ),
    TransferLeadership: calls.unary<TransferLeadershipRequest>(
      'TransferLeadership',
      async ({ target }, signal) => {
        const id = memberIdField(target, 'target');
        if (leaderView(backend).leaderId === id)
          return { leaderId: id, term: backend.listMembers().term };
        return { ...(await backend.transferLeadership(id, signal)) };
      },
    ),
    AddMember: calls.unary<AddMemberRequest>('AddMember', async (request, signal) => {
      const addition = additionOf(request, PRIORITY_DEFAULT);
      requireFreeAddress(leaderView(backend), addition.record);
      return { ...(await backend.addMember(addition, signal)) };
    }),
    ReplaceMember: calls.unary<ReplaceMemberRequest>('ReplaceMember', async (request, signal) => {
      const replaced = memberIdField(request.replacedId, 'replaced_id');
      const sound = additionOf(request, PRIORITY_DEFAULT);
      const view = leaderView(backend);
      const { priority } = requireMember(view, replaced);
      const addition = {
        ...sound,
        record: { ...sound.record, priority: request.priority ?? priority },
      };
      requireFreeAddress(view, addition.record);
      return { ...(await backend.replaceMember(replaced, addition, signal)) };
    }),
    PromoteMember: calls.unary<MemberIdRequest>('PromoteMember', async (request, signal) => {
      const id = memberIdField(request.id, 'id');
      requireMember(leaderView(backend), id);
      return { ...(await backend.promoteMember(id, signal)) };
    }),
    RemoveMember: calls.unary<MemberIdRequest>('RemoveMember', async (request, signal) => {
      const id = memberIdField(request.id, 'id');
      requireMember(leaderView(backend), id);
      return { ...(await backend.removeMember(id, signal)) };
    }),
    UpdateMember: calls.unary<UpdateMemberRequest>('UpdateMember', async (request, signal) => {
      const id = memberIdField(request.id, 'id');
      const address = request.address === null ? undefined : addressOf(request.address);
      const priority = priorityField(request.priority);
      const view = leaderView(backend);
      const known = requireMember(view, id);
      const record: MemberRecord = {
        id,
        address: address ?? known.address,
        priority: priority ?? known.priority,
      };
      requireFreeAddress(view, record);
      return { ...(await backend.updateMember(record, signal)) };
    }),
  };
}

/** The cluster as the leader sees it. Throws NOT_LEADER or NO_LEADER anywhere else. */
function leaderView(backend: AdminBackend): MembershipView {
  const view = backend.listMembers();
  if (view.leaderId === backend.status().memberId) return view;
  const leader = view.members.find(({ record }) => record.id === view.leaderId);
  throw notLeader(view.leaderId, leader?.record.address);
}

function requireMember(view: MembershipView, id: MemberId): MemberRecord {
  const found = view.members.find(({ record }) => record.id === id);
  if (found !== undefined) return found.record;
  const ids = view.members.map(({ record }) => record.id).join(', ');
  throw new NodeError('UNKNOWN_MEMBER', `there is no member ${id}, only ${ids}`, {
    fields: { id },
  });
}

/** Two members at one address would each be taken for the other, and refused. */
function requireFreeAddress(view: MembershipView, { id, address }: MemberRecord): void {
  const wanted = new Set(listenersOf(address));
  for (const { record } of view.members) {
    if (record.id === id) continue;
    const taken = listenersOf(record.address).find((listener) => wanted.has(listener));
    if (taken !== undefined)
      throw new NodeError('ADDRESS_IN_USE', `member ${record.id} has ${taken} already`, {
        fields: { id: record.id, address: taken },
      });
  }
}

function listenersOf({ host, peerPort, apiPort, adminPort }: MemberAddress): string[] {
  return [peerPort, apiPort, adminPort].map((port) => hostAndPort(host.toLowerCase(), port));
}

function additionOf(request: AddMemberRequest, priorityDefault: number): MemberAddition {
  if (request.address === null) throw invalid('address', 'given');
  return {
    record: {
      id: memberIdField(request.id, 'id'),
      address: addressOf(request.address),
      priority: priorityField(request.priority) ?? priorityDefault,
    },
    promotion: promotionField(request.promotion),
  };
}

function memberIdField(value: number, field: string): MemberId {
  if (value >= 1 && value <= MEMBER_ID_MAX) return value;
  throw invalid(field, `the id of a member, from 1 to ${MEMBER_ID_MAX}`);
}

function addressOf({ host, peerPort, apiPort, adminPort }: WireMemberAddress): MemberAddress {
  if (!isDialableHost(host))
    throw invalid('address.host', 'a name or an address that the other members can dial');
  const ports = { peer_port: peerPort, api_port: apiPort, admin_port: adminPort };
  for (const [field, port] of Object.entries(ports))
    if (port < 1 || port > PORT_MAX) throw invalid(`address.${field}`, `from 1 to ${PORT_MAX}`);
  if (new Set(Object.values(ports)).size < 3) throw invalid('address', 'of three different ports');
  return { host, peerPort, apiPort, adminPort };
}

function priorityField(value: number | undefined): number | undefined {
  if (value !== undefined && value > PRIORITY_MAX)
    throw invalid('priority', `from 0 to ${PRIORITY_MAX}`);
  return value;
}

function promotionField(value: string | number): MemberAddition['promotion'] {
  if (value === 'PROMOTION_UNSPECIFIED' || value === 'PROMOTION_AUTOMATIC') return 'automatic';
  if (value === 'PROMOTION_MANUAL') return 'manual';
  throw invalid('promotion', 'PROMOTION_AUTOMATIC or PROMOTION_MANUAL');
}
