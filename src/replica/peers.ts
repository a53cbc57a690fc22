import { bytesEqual } from '../lib/bytes.ts';
import type { Clock, Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { decodeMessage, encodeMessage } from '../raft/message_codec.ts';
import type { Message } from '../raft/messages.ts';
import type { MemberId } from '../types/entry.ts';
import {
  decodeReport,
  encodeRejection,
  encodeReport,
  framed,
  MESSAGE_KINDS,
  type MemberReport,
} from './member_message.ts';
import type { PeerRegistry } from './peer_registry.ts';

/** What the replica needs of the transport between members (cluster/). */
export interface PeerTransport {
  /** False when the message was not taken; it is lost then. */
  send(to: MemberId, channel: 'control' | 'bulk', payload: Uint8Array): boolean;
  onMessage(handler: (from: MemberId, payload: Uint8Array) => void): void;
  onConnection(handler: (peer: MemberId, connected: boolean) => void): void;
}

export interface PeersDependencies {
  readonly transport: PeerTransport;
  readonly registry: PeerRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What this member says of itself at this moment. */
  readonly ownReport: () => MemberReport;
  readonly onRaft: (message: Message) => void;
  readonly onReport: (from: MemberId, report: MemberReport) => void;
  readonly onConnection: (peer: MemberId, connected: boolean) => void;
  /** A peer says that the cluster knows this member's id by another data folder. */
  readonly onRejected: (by: MemberId, reason: string) => void;
}

/** A report is repeated this often, so that one that was lost does not matter. */
const REPORT_INTERVAL_MS = 200;

/**
 * The other members: what they say goes to Raft only once they have shown, on this connection, the data
 * folder that their id is known by.
 */
export class Peers {
  #ids: readonly MemberId[] = [];
  readonly #dependencies: PeersDependencies;
  readonly #connected = new Set<MemberId>();
  readonly #introduced = new Set<MemberId>();
  readonly #reports = new Map<MemberId, MemberReport>();
  #cancelReport: () => void = () => undefined;

  constructor(dependencies: PeersDependencies) {
    this.#dependencies = dependencies;
    dependencies.transport.onMessage((from, payload) => this.#receive(from, payload));
    dependencies.transport.onConnection((peer, connected) => this.#connection(peer, connected));
  }

  start(): void {
    this.report();
  }

  /** @param ids of the other members, as they are from now on */
  configure(ids: readonly MemberId[]): void {
    this.#ids = ids;
    for (const known of this.#reports.keys()) if (!ids.includes(known)) this.#reports.delete(known);
  }

  stop(): void {
    this.#cancelReport();
  }

  isConnected(peer: MemberId): boolean {
    return this.#connected.has(peer);
  }

  connectedOf(members: readonly MemberId[]): MemberId[] {
    return members.filter((id) => this.#connected.has(id));
  }

  /** The newest report of a peer. */
  reportOf(peer: MemberId): MemberReport | undefined {
    return this.#reports.get(peer);
  }

  /** Entries travel beside the rest, so that no heartbeat or vote queues behind a block. */
  sendRaft(message: Message): void {
    const channel = message.type === 'append' ? 'bulk' : 'control';
    const payload = framed(MESSAGE_KINDS.raft, encodeMessage(message));
    this.#dependencies.transport.send(message.to, channel, payload);
  }

  /** Tells everybody where this member is, now and then again and again. */
  report(): void {
    this.#cancelReport();
    this.#cancelReport = this.#dependencies.clock.schedule(REPORT_INTERVAL_MS, () => this.report());
    if (this.#ids.length === 0) return;
    const payload = encodeReport(this.#dependencies.ownReport());
    for (const id of this.#ids) this.#dependencies.transport.send(id, 'control', payload);
  }

  #connection(peer: MemberId, connected: boolean): void {
    if (connected) this.#connected.add(peer);
    else {
      this.#connected.delete(peer);
      this.#introduced.delete(peer);
    }
    if (connected) {
      const payload = encodeReport(this.#dependencies.ownReport());
      this.#dependencies.transport.send(peer, 'control', payload);
    }
    this.#dependencies.onConnection(peer, connected);
  }

  #receive(from: MemberId, payload: Uint8Array): void {
    const body = payload.subarray(1);
    try {
      switch (payload[0]) {
        case MESSAGE_KINDS.raft:
          this.#receiveRaft(from, body);
          return;
        case MESSAGE_KINDS.report:
          this.#receiveReport(from, decodeReport(body));
          return;
        case MESSAGE_KINDS.rejection:
          this.#dependencies.onRejected(from, new TextDecoder().decode(body));
          return;
        default:
          throw new Error(`unknown kind of message ${payload[0]}`);
      }
    } catch (thrown) {
      // A peer's malformed message concerns nobody else and changes nothing.
      this.#dependencies.logger.warn({ from, reason: errorText(thrown) }, 'message refused');
    }
  }

  #receiveRaft(from: MemberId, body: Uint8Array): void {
    if (!this.#introduced.has(from)) return;
    const message = decodeMessage(body);
    if (message.from !== from) throw new Error(`it says that it comes from ${message.from}`);
    this.#dependencies.onRaft(message);
  }

  #receiveReport(from: MemberId, report: MemberReport): void {
    if (this.#introduced.has(from)) {
      const { folderId } = this.#reports.get(from) ?? report;
      if (bytesEqual(folderId, report.folderId)) {
        this.#introduce(from, report);
        return;
      }
      // It began anew and its connection was never seen to break, as when it could only be heard.
      this.#introduced.delete(from);
    }
    this.#dependencies.registry.isKnown(from, report.folderId).then(
      (known) => (known ? this.#introduce(from, report) : this.#reject(from)),
      (thrown) =>
        this.#dependencies.logger.error({ from, reason: errorText(thrown) }, 'peer not recorded'),
    );
  }

  #introduce(from: MemberId, report: MemberReport): void {
    this.#introduced.add(from);
    this.#reports.set(from, report);
    this.#dependencies.onReport(from, report);
  }

  #reject(peer: MemberId): void {
    const reason =
      `the cluster knows member ${peer} by another data folder, whose votes and acknowledged entries are lost with it; ` +
      'restore that folder, or put a new member in its place with "blockraft members replace"';
    this.#dependencies.logger.error({ peer }, 'member with a new data folder refused');
    this.#dependencies.transport.send(peer, 'control', encodeRejection(reason));
  }
}
