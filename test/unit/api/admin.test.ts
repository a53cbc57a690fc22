import { credentials, status } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AdminServer } from '../../../src/api/admin_server.ts';
import type { AdminBackend } from '../../../src/api/backend.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import type { CertificateRole } from '../../../src/types/certificate_identity.ts';
import { NodeError } from '../../../src/types/node_error.ts';
import { connect, failure, type NodeClient, RecordingLogger } from './api_fixture.ts';
import { MemoryBackend } from './memory_backend.ts';
import { TestAuthority, writeTlsFiles } from './test_certificates.ts';

type Holder = [role: CertificateRole, name: string, clusterId?: string];

class MemoryAdminBackend extends MemoryBackend implements AdminBackend {
  transferLeadership: AdminBackend['transferLeadership'] = async (target) => ({
    leaderId: target,
    term: 8,
  });
}

async function startAdmin() {
  const authority = await TestAuthority.create();
  const backend = new MemoryAdminBackend();
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
  return { authority, backend, server, port, clientFor };
}

const OPERATOR: Holder = ['operator', 'alice'];

describe('Admin', () => {
  test('an operator transfers leadership and lists members', async () => {
    const { clientFor } = await startAdmin();
    const client = await clientFor(OPERATOR);
    expect(await client.unary('TransferLeadership', { target: 3 })).toEqual({
      leaderId: 3,
      term: 8,
    });
    const list = await client.unary('ListMembers', {});
    expect(list).toMatchObject({ term: 7, leaderId: 2 });
    expect(list.members.map((member: { id: number }) => member.id)).toEqual([1, 2]);
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
      message: 'target must be the id of a member',
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
