import { MemberTransport } from '../cluster/member_transport.ts';
import { memberOf, recordOf, tlsFiles } from '../config/config.ts';
import type { RaftDriver } from '../driver/raft_driver.ts';
import { LedgerError } from '../ledger/ledger_error.ts';
import type { AppliedConfiguration } from '../ledger/records.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import type { MemberId } from '../types/entry.ts';
import { nodeFileSystem } from '../wal/node_file_system.ts';
import type { MemberReport } from './member_message.ts';
import type { MemberOptions, MemberParts } from './member_parts.ts';
import { Membership } from './membership.ts';
import { Peers } from './peers.ts';
import { answerByKind, requestOf } from './requests.ts';
import { SnapshotExchange } from './snapshot_exchange.ts';

/** A member that has left is talked to for so many election timeouts, so that it hears of it. */
const DEPARTURE_TIMEOUTS = 2;

/** What a member has to do with the other members. */
export interface PeerParts {
  readonly transport: MemberTransport;
  readonly peers: Peers;
  readonly membership: Membership;
  readonly snapshots: SnapshotExchange;
}

export interface PeerPartsDependencies {
  readonly parts: MemberParts;
  readonly driver: RaftDriver;
  /** Takes transactions that a client gave to another member, and gives their results. */
  readonly submit: (payload: Uint8Array) => Promise<Uint8Array>;
  readonly isFenced: () => boolean;
  readonly ownReport: () => MemberReport;
  readonly onReport: (from: MemberId, report: MemberReport) => void;
  readonly onConfiguration: (inForce: AppliedConfiguration) => void;
  /** This member does not belong to the cluster any more. */
  readonly onRemoved: (reason: string) => void;
  /** A snapshot is at hand that must replace state and log. */
  readonly onInstall: () => void;
  readonly onFatal: (error: unknown) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Makes the parts and ties them together; nothing is sent before the transport is started. */
export function makePeerParts(
  options: MemberOptions,
  dependencies: PeerPartsDependencies,
): PeerParts {
  const transport = makeTransport(options, dependencies, {
    departureIndex: (refused) => membership.departureIndex(refused),
  });
  const peers = makePeers(transport, dependencies);
  const membership = makeMembership(options, { ...dependencies, transport, peers });
  const snapshots = makeSnapshots(options, { ...dependencies, transport, peers, membership });
  transport.onRefused((peer, refusal) => membership.refused(peer, refusal));
  transport.onRequest(
    answerByKind({
      submission: dependencies.submit,
      snapshot: (payload) => snapshots.handle(payload),
    }),
  );
  return { transport, peers, membership, snapshots };
}

/** It has no peers before `setPeers`. */
function makeTransport(
  { config, memberId }: MemberOptions,
  { parts, clock, random, logger }: PeerPartsDependencies,
  { departureIndex }: { departureIndex: (refused: MemberId) => number },
): MemberTransport {
  const { host, ports } = memberOf(config, memberId);
  return new MemberTransport(
    {
      self: memberId,
      clusterId: config.clusterId,
      genesisHash: parts.genesisHash,
      listen: { host, port: ports.peer },
      peers: [],
      tls: tlsFiles(config, `member-${memberId}`),
    },
    { clock, random, logger, configurationIndex: departureIndex },
  );
}

function makePeers(transport: MemberTransport, dependencies: PeerPartsDependencies): Peers {
  const { parts, driver, clock, logger, ownReport, onReport, onFatal } = dependencies;
  return new Peers({
    transport,
    registry: parts.registry,
    clock,
    logger,
    ownReport,
    onRaft: (message) => driver.receive(message),
    onReport,
    onConnection: (peer, connected) => {
      logger.info({ peer, connected }, 'peer connection changed');
      if (connected) driver.peerConnected(peer);
      else driver.peerDisconnected(peer);
    },
    onRejected: (by, reason) =>
      onFatal(new LedgerError('STORE_DAMAGED', reason, { fields: { by } })),
  });
}

function makeMembership(
  { config, memberId: self }: MemberOptions,
  dependencies: PeerPartsDependencies & Pick<PeerParts, 'transport' | 'peers'>,
): Membership {
  const { parts, transport, peers, clock, logger, onConfiguration, onRemoved } = dependencies;
  return new Membership(
    {
      self,
      file: config.members.map(recordOf),
      applied: parts.ledger.head.configuration,
      departureMs: DEPARTURE_TIMEOUTS * config.raft.electionTimeoutMs,
    },
    {
      clock,
      logger,
      setPeers: (addresses) => {
        transport.setPeers(addresses);
        peers.configure(addresses.map(({ id }) => id));
      },
      onChange: onConfiguration,
      onRemoved,
    },
  );
}

function makeSnapshots(
  { config, memberId }: MemberOptions,
  dependencies: PeerPartsDependencies & Omit<PeerParts, 'snapshots'>,
): SnapshotExchange {
  const { parts, driver, transport, peers, membership } = dependencies;
  const { genesisHash, database } = parts;
  return new SnapshotExchange(
    {
      memberFolder: memberOf(config, memberId).dataFolder,
      chain: { clusterId: config.clusterId, genesisHash },
    },
    {
      ...dependencies,
      database,
      fileSystem: nodeFileSystem,
      request: (to, payload, signal) =>
        transport.request(to, requestOf('snapshot', payload), signal),
      voters: () => peers.connectedOf(membership.inForce.configuration.voters),
      offer: (position) => driver.offerSnapshot(position),
    },
  );
}
