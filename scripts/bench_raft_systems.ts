import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { issueCertificate, makeAuthority } from '../src/cli/certificates.ts';
import { freePorts } from '../src/lab/free_ports.ts';
import type { TlsFiles } from '../src/lib/tls_files.ts';
import type { BenchSystem } from './bench_raft_cluster.ts';
import type { BenchMemberOptions } from './bench_raft_member.ts';
import { OwnProcess } from './bench_raft_process.ts';

const HOST = '127.0.0.1';
const IDS = [1, 2, 3];
const CLUSTER_ID = 'bench';
const MEMBER_PROGRAM = fileURLToPath(new URL('./bench_raft_member.ts', import.meta.url));
/** Has Linux end a program when whoever started it is gone, whatever ended that. */
const GUARD = '/usr/bin/setpriv';
/** Bytes of etcd's store, beyond which it would refuse writes. */
const ETCD_QUOTA_BYTES = 8 * 1024 ** 3;

/** Members of ours, with everything in the folder. @param nodeArguments for the members' node itself */
export async function ourSystem(
  folder: string,
  nodeArguments: readonly string[],
): Promise<BenchSystem> {
  await mkdir(folder, { recursive: true });
  const [ports, peerPorts] = [await freePorts(IDS.length), await freePorts(IDS.length)];
  const tls = await makeCertificates(folder);
  const members = IDS.map((id, position) => ({ id, peerPort: peerPorts[position] ?? 0 }));
  return {
    name: 'ours',
    addresses: ports.map((port) => `${HOST}:${port}`),
    launch: (position) => {
      const id = IDS[position] ?? 0;
      const options: BenchMemberOptions = {
        id,
        folder: join(folder, `member-${id}`),
        clusterId: CLUSTER_ID,
        tls: tls(id),
        port: ports[position] ?? 0,
        members,
      };
      return new OwnProcess(
        process.execPath,
        [...nodeArguments, MEMBER_PROGRAM, JSON.stringify(options)],
        join(folder, `member-${id}.log`),
      );
    },
  };
}

/** The files of each member, by id. */
async function makeCertificates(folder: string): Promise<(id: number) => TlsFiles> {
  const nowMs = Date.now();
  const authority = await makeAuthority({ clusterId: CLUSTER_ID, nowMs });
  const fileOf = (name: string): string => join(folder, name);
  const caFile = fileOf('ca.pem');
  await writeFile(caFile, authority.certificatePem);
  for (const id of IDS) {
    const { certificatePem, keyPem } = await issueCertificate({
      authority,
      identity: { clusterId: CLUSTER_ID, role: 'member', name: String(id) },
      hosts: [HOST],
      nowMs,
    });
    await writeFile(fileOf(`${id}.pem`), certificatePem);
    await writeFile(fileOf(`${id}.key.pem`), keyPem, { mode: 0o600 });
  }
  return (id) => ({
    caFile,
    certificateFile: fileOf(`${id}.pem`),
    keyFile: fileOf(`${id}.key.pem`),
  });
}

/** What etcd is told of time; undefined leaves its own defaults. */
export interface EtcdTiming {
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
}

/** Members of etcd as it comes, in plaintext also between each other. */
export async function etcdSystem(
  folder: string,
  timing: EtcdTiming | undefined,
): Promise<BenchSystem> {
  await mkdir(folder, { recursive: true });
  const [ports, peerPorts] = [await freePorts(IDS.length), await freePorts(IDS.length)];
  const url = (port: number | undefined): string => `http://${HOST}:${port}`;
  const initialCluster = IDS.map((id, position) => `m${id}=${url(peerPorts[position])}`).join(',');
  const timingArguments =
    timing === undefined
      ? []
      : [
          `--heartbeat-interval=${timing.heartbeatMs}`,
          `--election-timeout=${timing.electionTimeoutMs}`,
        ];
  return {
    name: 'etcd',
    addresses: ports.map((port) => `${HOST}:${port}`),
    launch: (position) => {
      const name = `m${IDS[position]}`;
      return new OwnProcess(
        existsSync(GUARD) ? GUARD : 'etcd',
        [
          ...(existsSync(GUARD) ? ['--pdeathsig=KILL', 'etcd'] : []),
          `--name=${name}`,
          `--data-dir=${join(folder, name)}`,
          `--listen-peer-urls=${url(peerPorts[position])}`,
          `--initial-advertise-peer-urls=${url(peerPorts[position])}`,
          `--listen-client-urls=${url(ports[position])}`,
          `--advertise-client-urls=${url(ports[position])}`,
          `--initial-cluster=${initialCluster}`,
          '--initial-cluster-token=blockraft-bench',
          `--quota-backend-bytes=${ETCD_QUOTA_BYTES}`,
          '--logger=zap',
          '--log-level=warn',
          ...timingArguments,
        ],
        join(folder, `${name}.log`),
      );
    },
  };
}

/** The installed etcd's version; undefined when there is none. */
export async function etcdVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('etcd', ['--version']);
    return /etcd Version: (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  } catch {
    return undefined;
  }
}
