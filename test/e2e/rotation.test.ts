import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type ChannelCredentials, status as grpcStatus } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Config, type MemberConfig, tlsFiles } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load_config.ts';
import { NodeClient } from '../../src/lab/client.ts';
import { ClusterWatch, leaderOf } from '../../src/lab/cluster_watch.ts';
import { clientCredentials } from '../../src/lab/credentials.ts';
import { systemClock } from '../../src/lib/environment.ts';
import { AuditedLoad } from './audited_load.ts';
import { sleep, type TestCluster, testCluster } from './harness.ts';
import { adminCall, transferLeadership } from './operator.ts';
import { rawCall, refusalOf } from './raw_call.ts';
import { runCli } from './run_cli.ts';

const SEED = 20_260_304;
const TRANSACTIONS = 6_000;
const POLL_INTERVAL_MS = 100;
const TEMPLATE = new URL('../../cluster-configs/local-3.yaml', import.meta.url);

// One cluster with mutual TLS everywhere lives through all of this, under a light load.
describe(`certificates are replaced while the cluster works (seed ${SEED})`, () => {
  let folder: string;
  let cluster: TestCluster;
  let config: Config;
  let load: AuditedLoad;
  let pids: (number | undefined)[];
  /** What a client has that read its files after the last rotation. */
  let credentials: ChannelCredentials;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'blockraft-e2e-'));
    const template = join(folder, 'mutual-tls.yaml');
    const text = await readFile(fileURLToPath(TEMPLATE), 'utf8');
    await writeFile(template, text.replace('security: plaintext', 'security: mutual-tls'));
    cluster = await testCluster(template);
    config = await loadConfig({ file: cluster.configFile, environment: {} });
    expect(config.api.security).toBe('mutual-tls');
    load = await AuditedLoad.prepare(cluster, { transactions: TRANSACTIONS, seed: SEED });
    pids = config.members.map(({ id }) => cluster.processes.pidOf(id));
    credentials = cluster.credentials;
  });

  afterAll(async () => {
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Rotates under load until every port shows what the files hold; then clients take their new files. */
  async function rotate(...flags: string[]): Promise<void> {
    const sent = await load.lightlyDuring(
      async () => {
        const { code, stderr } = await runCli(['certs', 'rotate', cluster.configFile, ...flags]);
        expect([code, stderr]).toEqual([0, '']);
        for (const member of config.members) await untilServed(config, member);
      },
      () => credentials,
    );
    expect(sent).toBeGreaterThan(0);
    credentials = clientCredentials(config);
    await load.lightlyDuring(
      async () => undefined,
      () => credentials,
    );
    expect(config.members.map(({ id }) => cluster.processes.pidOf(id))).toEqual(pids);
  }

  /** A view of the cluster over connections that are new. */
  function freshWatch(): ClusterWatch {
    const watch = new ClusterWatch(cluster.processes.members, { credentials, clock: systemClock });
    onTestFinished(() => watch.close());
    return watch;
  }

  async function leader(): Promise<number> {
    const members = await freshWatch().until('a leader', (seen) => leaderOf(seen) !== undefined);
    return leaderOf(members)?.id as number;
  }

  async function killAndRestart(id: number): Promise<void> {
    await load.lightlyDuring(
      async () => {
        await cluster.processes.kill(id, 'SIGKILL');
        cluster.processes.start(id);
        await freshWatch().until('all are ready', (members) =>
          members.every(({ status }) => status?.ready === true),
        );
      },
      () => credentials,
    );
  }

  test('only operators may use Admin; it hands the leadership over', async () => {
    const from = await leader();
    const to = (from % config.members.length) + 1;
    const request = { target: to };
    const transfer = { memberId: from, method: 'TransferLeadership', request };
    for (const holder of ['client', 'member-1', 'member-2', 'member-3']) {
      const denied = { code: grpcStatus.PERMISSION_DENIED, reason: 'PERMISSION_DENIED' };
      expect(await refusalOf(adminCall(config, transfer, holder))).toEqual(denied);
      const list = { memberId: to, method: 'ListMembers' };
      expect(await refusalOf(adminCall(config, list, holder))).toEqual(denied);
    }
    expect(await leader()).toBe(from);
    await load.lightlyDuring(
      async () => {
        expect(await rawCall(adminCall(config, transfer))).toMatchObject({ leaderId: to });
      },
      () => credentials,
    );
    expect(await leader()).toBe(to);
  });

  test('new certificates from the same CA', async () => {
    const before = await fingerprintsOf(config);
    await rotate();
    for (const fingerprint of await fingerprintsOf(config))
      expect(before).not.toContain(fingerprint);
  });

  test('a new CA beside the old one, then without it', async () => {
    const before = credentials;
    const old = await readFile(tlsFiles(config, 'ca').caFile, 'utf8');
    await rotate('--ca');
    expect(await readFile(tlsFiles(config, 'ca').caFile, 'utf8')).toContain(old.trim());
    // Clients that have not read anything new yet are still served over new connections.
    const { address } = cluster.processes.members[0]!;
    const status = { address, service: 'Node', method: 'GetStatus' } as const;
    expect(await rawCall({ ...status, credentials: before })).toMatchObject({ memberId: 1 });
    await rotate('--finish');
    expect(await readFile(tlsFiles(config, 'ca').caFile, 'utf8')).not.toContain(old.trim());
    expect(await refusalOf({ ...status, credentials: before })).toMatchObject({
      code: grpcStatus.UNAVAILABLE,
    });
  });

  test('members that are killed and started again join with the new certificates', async () => {
    const first = await leader();
    for (const { id } of config.members) if (id !== first) await killAndRestart(id);
    const from = await leader();
    const to = (from % config.members.length) + 1;
    await transferLeadership(config, { from, to });
    await killAndRestart(to);
    const clients = cluster.processes.members.map(({ address }) => {
      const client = new NodeClient({ addresses: [address], credentials }, systemClock);
      onTestFinished(() => client.close());
      return client;
    });
    await load.expectSound(clients);
  });
});

/** SHA-256 of the certificates that the files of the members hold. */
function fingerprintsOf(config: Config): Promise<string[]> {
  return Promise.all(config.members.map(({ id }) => fingerprintOf(config, id)));
}

async function fingerprintOf(config: Config, id: number): Promise<string> {
  const { certificateFile } = tlsFiles(config, `member-${id}`);
  return new X509Certificate(await readFile(certificateFile)).fingerprint256;
}

/** Resolves when new connections to each port of a member get the certificate of its file. */
async function untilServed(config: Config, member: MemberConfig): Promise<void> {
  const expected = await fingerprintOf(config, member.id);
  const ca = await readFile(tlsFiles(config, 'ca').caFile);
  for (const port of Object.values(member.ports))
    while ((await servedFingerprint({ host: member.host, port, ca })) !== expected)
      await sleep(POLL_INTERVAL_MS);
}

/** SHA-256 of the certificate that answers, which must be valid under the CA. */
function servedFingerprint(at: { host: string; port: number; ca: Buffer }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...at, ALPNProtocols: ['h2'] }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      resolve(certificate?.fingerprint256 ?? '');
    });
    socket.on('error', reject);
  });
}
