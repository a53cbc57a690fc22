import { credentials, status } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AdminServer } from '../../../src/api/admin_server.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import type { CertificateRole } from '../../../src/types/certificate_identity.ts';
import type { MemberRecord } from '../../../src/types/configuration.ts';
import { NodeError } from '../../../src/types/node_error.ts';
import { connect, failure, type NodeClient, RecordingLogger } from './api_fixture.ts';
import { MemoryCluster } from './memory_cluster.ts';
import { TestAuthority, writeTlsFiles } from './test_certificates.ts';

type Holder = [role: CertificateRole, name: string, clusterId?: string];

function record(id: number): MemberRecord {
  const host = `member-${id}.example`;
  return {
    id,
    address: { host, peerPort: 7_100, apiPort: 7_101, adminPort: 7_102 },
    priority: 100,
  };
}

async function startAdmin(memberId = 2) {
  const authority = await TestAuthority.create();
  const cluster = new MemoryCluster([1, 2, 3].map(record), 2);
  const backend = cluster.backendOf(memberId, 'lab');
  const server = new AdminServer(
    {
      listen: { host: '127.0.0.1', port: 0 },
      tls: writeTlsFiles(authority, await authority.issue('member', '1')),
      clusterId: 'lab',
    },
    { backend, logger: new RecordingLogger(), clock: systemClock },
  );
  const port = await server.start();
  onTestFinished(() => server.stop());
  const clientFor = async (holder: Holder, service = 'blockraft.v1.Admin'): Promise<NodeClient> =>
    connect(service, port, {
      credentials: authority.clientCredentials(await authority.issue(...holder)),
    });
  return { authority, cluster, backend, server, port, clientFor };
}

const OPERATOR: Holder = ['operator', 'alice'];

describe('Admin', () => {
  test('an operator transfers leadership and lists members', async () => {
    const { clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const transfer = (target: number) => client.unary('TransferLeadership', { target });
    expect(await transfer(2)).toEqual({ leaderId: 2, term: 7 });
    expect(await transfer(3)).toEqual({ leaderId: 3, term: 8 });
    const list = await client.unary('ListMembers', {});
    expect(list).toMatchObject({ term: 7, leaderId: 3, memberId: 2, clusterId: 'lab' });
    expect(list.members.map((member: { id: number }) => member.id)).toEqual([1, 2, 3]);
  });

  test('what the backend refuses has its status', async () => {
    const { backend, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    for (const [code, expected] of [
      ['UNKNOWN_MEMBER', status.NOT_FOUND],
      ['NOT_LEADER', status.FAILED_PRECONDITION],
      ['TRANSFER_FAILED', status.ABORTED],
    ] as const) {
      backend.transferLeadership = async () => {
        throw new NodeError(code, 'ask member 2', { fields: { leaderId: 2 } });
      };
      const error = await failure(client.unary('TransferLeadership', { target: 1 }));
      expect([error.code, error.message]).toEqual([expected, 'ask member 2']);
      expect(error.details).toMatchObject({ reason: code, metadata: { leaderId: '2' } });
    }
    expect(await failure(client.unary('TransferLeadership', {}))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: 'target must be the id of a member, from 1 to 65535',
    });
  });

  test.each<Holder>([
    ['member', '1'],
    ['client', 'bob'],
    ['operator', 'alice', 'other'],
  ])('%s %s %s is refused everything', async (...holder) => {
    const { backend, clientFor } = await startAdmin();
    let transfers = 0;
    backend.transferLeadership = async (target) => {
      transfers += 1;
      return { leaderId: target, term: 1 };
    };
    const client = await clientFor(holder);
    const error = await failure(client.unary('TransferLeadership', { target: 2 }));
    expect(error.code).toBe(status.PERMISSION_DENIED);
    expect(error.details?.reason).toBe('PERMISSION_DENIED');
    expect(error.message).toContain('operators of cluster lab only');
    expect((await failure(client.unary('ListMembers', {}))).code).toBe(status.PERMISSION_DENIED);
    const health = await clientFor(holder, 'grpc.health.v1.Health');
    expect((await failure(health.unary('Check', {}))).code).toBe(status.PERMISSION_DENIED);
    expect(transfers).toBe(0);
  });

  test("no certificate, a stranger's certificate and plaintext do not get in", async () => {
    const { authority, port } = await startAdmin();
    const stranger = await TestAuthority.create();
    for (const offered of [
      authority.clientCredentials(),
      authority.clientCredentials(await stranger.issue(...OPERATOR)),
      credentials.createInsecure(),
    ]) {
      const client = connect('blockraft.v1.Admin', port, { credentials: offered });
      expect((await failure(client.unary('ListMembers', {}, 5_000))).code).toBe(status.UNAVAILABLE);
    }
  });

  test('health speaks for Admin, to operators', async () => {
    const { backend, clientFor } = await startAdmin();
    const health = await clientFor(OPERATOR, 'grpc.health.v1.Health');
    const check = () => health.unary('Check', { service: 'blockraft.v1.Admin' });
    expect((await check()).status).toBe('NOT_SERVING');
    backend.setReadiness({ ready: true, reason: '' });
    expect((await check()).status).toBe('SERVING');
  });
});

function address(changes: object = {}): object {
  return { host: 'new.example', peerPort: 7_100, apiPort: 7_101, adminPort: 7_102, ...changes };
}

describe('a change of the cluster', () => {
  test('adds a learner that becomes a voter by itself, and shows how far it is', async () => {
    const { clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const added = { id: 4, address: address(), priority: 0 };
    expect(await client.unary('AddMember', added)).toEqual({ configurationIndex: 4 });
    const list = await client.unary('ListMembers', {});
    expect(list).toMatchObject({
      configurationIndex: 4,
      configurationCommitted: true,
      joint: false,
      highestId: 4,
      lastIndex: 1_000,
    });
    expect(list.members[3]).toMatchObject({
      id: 4,
      host: 'new.example',
      peerPort: 7_100,
      apiPort: 7_101,
      adminPort: 7_102,
      priority: 0,
      membership: 'MEMBERSHIP_LEARNER',
      promotion: 'PROMOTION_AUTOMATIC',
      replaces: 0,
      connected: false,
      matchIndex: 0,
      replicationState: 'REPLICATION_STATE_REPLICATE',
    });
    const { members: later } = await client.unary('ListMembers', {});
    expect(later[3]).toMatchObject({ connected: true, matchIndex: 400 });
    await client.unary('ListMembers', {});
    const { members } = await client.unary('ListMembers', {});
    expect(members[3]).toMatchObject({ membership: 'MEMBERSHIP_VOTER', matchIndex: 1_000 });
    expect(members[3].promotion).toBe('PROMOTION_UNSPECIFIED');
  });

  test('replaces a member with one of the same priority', async () => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    await client.unary('UpdateMember', { id: 3, priority: 250 });
    const manual = { promotion: 'PROMOTION_MANUAL' };
    await client.unary('ReplaceMember', { replacedId: 3, id: 9, address: address(), ...manual });
    expect(cluster.configuration.members.find(({ id }) => id === 9)?.priority).toBe(250);
    const early = await failure(client.unary('PromoteMember', { id: 9 }));
    expect(early.details?.reason).toBe('NOT_CAUGHT_UP');
    for (let look = 0; look < 3; look += 1) await client.unary('ListMembers', {});
    await client.unary('PromoteMember', { id: 9 });
    expect(cluster.configuration.voters).toEqual([1, 2, 9]);
  });

  test('updates what is given and leaves the rest', async () => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const recordOf = (id: number) => cluster.configuration.members.find((one) => one.id === id);
    await client.unary('UpdateMember', { id: 1, priority: 0 });
    expect(recordOf(1)).toEqual({ ...record(1), priority: 0 });
    await client.unary('UpdateMember', { id: 1, address: address() });
    expect(recordOf(1)).toEqual({ id: 1, address: address(), priority: 0 });
  });

  test('is refused with the status of what the backend says', async () => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    for (const [code, expected] of [
      ['CHANGE_PENDING', status.ABORTED],
      ['NOT_READY', status.UNAVAILABLE],
      ['OUTCOME_UNKNOWN', status.UNAVAILABLE],
      ['TOO_MANY_MEMBERS', status.FAILED_PRECONDITION],
      ['LAST_VOTER', status.FAILED_PRECONDITION],
      ['ALREADY_A_VOTER', status.ALREADY_EXISTS],
    ] as const) {
      cluster.refusals.push(new NodeError(code, 'why'));
      const error = await failure(client.unary('RemoveMember', { id: 1 }));
      expect([error.code, error.details?.reason]).toEqual([expected, code]);
    }
    const used = await failure(client.unary('AddMember', { id: 3, address: address() }));
    expect([used.code, used.details?.reason]).toEqual([status.ALREADY_EXISTS, 'ID_USED_BEFORE']);
  });

  test('is for the leader alone: others name it and its address', async () => {
    const { cluster, clientFor } = await startAdmin(1);
    const client = await clientFor(OPERATOR);
    for (const [method, request] of [
      ['AddMember', { id: 4, address: address() }],
      ['ReplaceMember', { replacedId: 3, id: 4, address: address() }],
      ['PromoteMember', { id: 3 }],
      ['RemoveMember', { id: 3 }],
      ['UpdateMember', { id: 3, priority: 1 }],
      ['TransferLeadership', { target: 3 }],
    ] as const) {
      const error = await failure(client.unary(method, request));
      expect([method, error.code]).toEqual([method, status.FAILED_PRECONDITION]);
      expect(error.details).toMatchObject({
        reason: 'NOT_LEADER',
        metadata: { leaderId: '2', adminAddress: 'member-2.example:7102' },
      });
    }
    cluster.leaderId = undefined;
    const error = await failure(client.unary('RemoveMember', { id: 3 }));
    expect(error.details?.reason).toBe('NO_LEADER');
    expect(cluster.changes).toEqual([]);
  });

  test.each([
    ['AddMember', { id: 0, address: address() }, 'id must be the id of a member'],
    ['AddMember', { id: 65_536, address: address() }, 'id must be the id of a member'],
    ['AddMember', { id: 4 }, 'address must be given'],
    ['AddMember', { id: 4, address: address({ host: '0.0.0.0' }) }, 'address.host must be'],
    ['AddMember', { id: 4, address: address({ host: 'a b' }) }, 'address.host must be'],
    ['AddMember', { id: 4, address: address({ host: 'a'.repeat(300) }) }, 'address.host must be'],
    ['AddMember', { id: 4, address: address({ peerPort: 0 }) }, 'address.peer_port must be'],
    ['AddMember', { id: 4, address: address({ apiPort: 65_536 }) }, 'address.api_port must be'],
    ['AddMember', { id: 4, address: address({ adminPort: 7_100 }) }, 'three different ports'],
    ['AddMember', { id: 4, address: address(), priority: 1_001 }, 'priority must be from 0 to'],
    ['AddMember', { id: 4, address: address(), promotion: 7 }, 'promotion must be'],
    ['ReplaceMember', { id: 4, address: address() }, 'replaced_id must be'],
    ['PromoteMember', {}, 'id must be'],
    ['RemoveMember', { id: 70_000 }, 'id must be'],
    ['UpdateMember', { id: 1, address: address({ host: '' }) }, 'address.host must be'],
    ['UpdateMember', { id: 1, priority: 9_999 }, 'priority must be'],
  ])('%s of %j is refused before the cluster hears of it', async (method, request, message) => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const error = await failure(client.unary(method, request));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details?.reason).toBe('INVALID_REQUEST');
    expect(error.message).toContain(message);
    expect(cluster.changes).toEqual([]);
    expect(cluster.configurationIndex).toBe(3);
  });

  test.each([
    ['ReplaceMember', { replacedId: 8, id: 9, address: address() }],
    ['PromoteMember', { id: 8 }],
    ['RemoveMember', { id: 8 }],
    ['UpdateMember', { id: 8, priority: 1 }],
  ])('%s of a member that there is not is refused', async (method, request) => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const error = await failure(client.unary(method, request));
    expect(error).toMatchObject({
      code: status.NOT_FOUND,
      message: 'there is no member 8, only 1, 2, 3',
    });
    expect(cluster.changes).toEqual([]);
  });

  test.each([
    ['AddMember', { id: 4, address: address({ host: 'member-1.example', peerPort: 9 }) }],
    [
      'AddMember',
      { id: 4, address: address({ host: 'MEMBER-1.example', adminPort: 7_101, apiPort: 1 }) },
    ],
    ['ReplaceMember', { replacedId: 1, id: 4, address: address({ host: 'member-1.example' }) }],
    ['UpdateMember', { id: 2, address: address({ host: 'member-1.example' }) }],
  ])('%s of %j takes no address of another member', async (method, request) => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const error = await failure(client.unary(method, request));
    expect(error.details).toMatchObject({
      reason: 'ADDRESS_IN_USE',
      metadata: { id: '1' },
    });
    expect(cluster.changes).toEqual([]);
  });

  test('larger than the limit is not read', async () => {
    const { cluster, clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    const request = { id: 4, address: address({ host: 'a'.repeat(100_000) }) };
    const error = await failure(client.unary('AddMember', request));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(cluster.changes).toEqual([]);
  });
});
