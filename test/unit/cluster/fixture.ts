import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  issueCertificate,
  type KeyedCertificate,
  makeAuthority,
} from '../../../src/cli/certificates.ts';
import type { TransportLimits } from '../../../src/cluster/limits.ts';
import { MemberTransport, type PeerAddress } from '../../../src/cluster/member_transport.ts';
import type { Refusal } from '../../../src/cluster/refusal.ts';
import { type Logger, systemClock } from '../../../src/lib/environment.ts';
import type { TlsFiles } from '../../../src/lib/tls_files.ts';
import type { CertificateRole } from '../../../src/types/certificate_identity.ts';

export const CLUSTER_ID = 'test';
export const GENESIS_HASH = new Uint8Array(32).fill(7);

/** Keeps what was logged, for tests of what operators are told. */
export class RecordingLogger implements Logger {
  readonly lines: { readonly event: string; readonly fields: Record<string, unknown> }[] = [];
  debug = (fields: object, event: string): void => this.#add(fields, event);
  info = (fields: object, event: string): void => this.#add(fields, event);
  warn = (fields: object, event: string): void => this.#add(fields, event);
  error = (fields: object, event: string): void => this.#add(fields, event);

  events(event: string): Record<string, unknown>[] {
    return this.lines.filter((line) => line.event === event).map(({ fields }) => fields);
  }

  #add(fields: object, event: string): void {
    this.lines.push({ event, fields: { ...fields } });
  }
}

/** Stands between the members' fixed addresses and their real ports, and can fall silent or break. */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;
  targetPort: number | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(): Promise<Relay> {
    const relay = new Relay(createServer((socket) => relay.#accept(socket)));
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the relay is closed');
    return address.port;
  }

  /** Forwards nothing from now on, in both directions, and closes nothing. */
  silence(): void {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  resume(): void {
    this.#isSilent = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(near: Socket): void {
    if (this.targetPort === undefined) {
      near.destroy();
      return;
    }
    const far = connect(this.targetPort, '127.0.0.1');
    this.#forward(near, far);
    this.#forward(far, near);
  }

  #forward(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on('data', (bytes) => {
      if (!to.write(bytes)) from.pause();
    });
    to.on('drain', () => {
      if (!this.#isSilent) from.resume();
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#isSilent) from.pause();
  }
}

export interface MemberOptions {
  readonly limits?: Partial<TransportLimits>;
  readonly clusterId?: string;
  readonly genesisHash?: Uint8Array;
  readonly tls?: TlsFiles;
  readonly listenPort?: number;
  /** Ids of the other members; by default all that the fixture knows. */
  readonly peers?: readonly number[];
  readonly configurationIndex?: () => number;
}

/** A cluster's addresses and certificates in a temporary folder; `close` leaves nothing behind. */
export class Fixture {
  readonly folder: string;
  readonly authority: KeyedCertificate;
  readonly relays = new Map<number, Relay>();
  readonly #members: MemberTransport[] = [];

  private constructor(folder: string, authority: KeyedCertificate) {
    this.folder = folder;
    this.authority = authority;
  }

  static async open(ids: readonly number[]): Promise<Fixture> {
    const folder = await mkdtemp(join(tmpdir(), 'blockraft-cluster-'));
    const authority = await newAuthority();
    const fixture = new Fixture(folder, authority);
    for (const id of ids) {
      fixture.relays.set(id, await Relay.listen());
      await fixture.writeTls('member', String(id));
    }
    return fixture;
  }

  relay(id: number): Relay {
    const relay = this.relays.get(id);
    if (relay === undefined) throw new Error(`no member ${id}`);
    return relay;
  }

  files(name: string): TlsFiles {
    return {
      caFile: join(this.folder, `${name}.ca.pem`),
      certificateFile: join(this.folder, `${name}.pem`),
      keyFile: join(this.folder, `${name}.key.pem`),
    };
  }

  /** Makes and writes a certificate as rotation does: each file replaced in one step. */
  async writeTls(
    role: CertificateRole,
    name: string,
    options: {
      authority?: KeyedCertificate;
      trusted?: readonly KeyedCertificate[];
      clusterId?: string;
      file?: string;
    } = {},
  ): Promise<TlsFiles> {
    const authority = options.authority ?? this.authority;
    const clusterId = options.clusterId ?? CLUSTER_ID;
    const issued = await issueCertificate({
      authority,
      identity: { clusterId, role, name },
      hosts: [],
      nowMs: systemClock.wallMs(),
    });
    const files = this.files(options.file ?? `${role}-${name}`);
    const trusted = options.trusted ?? [authority];
    await replaceFile(files.caFile, trusted.map((one) => one.certificatePem).join(''));
    await replaceFile(files.keyFile, issued.keyPem);
    await replaceFile(files.certificateFile, issued.certificatePem);
    return files;
  }

  member(id: number, options: MemberOptions = {}): TestMember {
    const logger = new RecordingLogger();
    const others = options.peers ?? [...this.relays.keys()].filter((other) => other !== id);
    const transport = new MemberTransport(
      {
        self: id,
        clusterId: options.clusterId ?? CLUSTER_ID,
        genesisHash: options.genesisHash ?? GENESIS_HASH,
        listen: { host: '127.0.0.1', port: options.listenPort ?? 0 },
        peers: this.addresses(others),
        tls: options.tls ?? this.files(`member-${id}`),
        limits: { ...PATIENT, ...options.limits },
      },
      {
        clock: systemClock,
        random: Math.random,
        logger,
        ...(options.configurationIndex && { configurationIndex: options.configurationIndex }),
      },
    );
    this.#members.push(transport);
    return new TestMember(id, { transport, logger, relay: this.relay(id) });
  }

  /** Where these members are dialled. */
  addresses(ids: readonly number[]): PeerAddress[] {
    return ids.map((id) => ({ id, host: '127.0.0.1', port: this.relay(id).port }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()));
    await Promise.all([...this.relays.values()].map((relay) => relay.close()));
    await rm(this.folder, { recursive: true });
  }
}

/** Machines that run many tests at once stall for seconds; only tests of silence are less patient. */
const PATIENT: Partial<TransportLimits> = { pingsMissedMax: 200, connectTimeoutMsMax: 20_000 };

/** A transport with everything that it was told. */
export class TestMember {
  readonly id: number;
  readonly transport: MemberTransport;
  readonly logger: RecordingLogger;
  readonly messages: { readonly from: number; readonly payload: Buffer }[] = [];
  readonly connections: { readonly peer: number; readonly isConnected: boolean }[] = [];
  readonly refusals: ({ readonly peer: number } & Refusal)[] = [];
  readonly #relay: Relay;
  readonly #waiting = new Set<() => void>();

  constructor(
    id: number,
    parts: { transport: MemberTransport; logger: RecordingLogger; relay: Relay },
  ) {
    this.id = id;
    this.transport = parts.transport;
    this.logger = parts.logger;
    this.#relay = parts.relay;
    this.transport.onMessage((from, payload) => {
      this.messages.push({ from, payload: Buffer.from(payload) });
      this.#changed();
    });
    this.transport.onConnection((peer, isConnected) => {
      this.connections.push({ peer, isConnected });
      this.#changed();
    });
  }

  async start(): Promise<void> {
    this.transport.onRefused((peer, refusal) => {
      this.refusals.push({ peer, ...refusal });
      this.#changed();
    });
    await this.transport.start();
    this.#relay.targetPort = this.transport.listenPort;
  }

  /** Resolves once the condition holds; looked at after each message and connection event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  connected(peer: number): Promise<void> {
    return this.until(() => this.transport.isConnected(peer));
  }

  disconnected(peer: number): Promise<void> {
    return this.until(() => !this.transport.isConnected(peer));
  }

  #changed(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

export function newAuthority(): Promise<KeyedCertificate> {
  return makeAuthority({ clusterId: CLUSTER_ID, nowMs: systemClock.wallMs() });
}

/** Polls, for what has no event to wait for. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
