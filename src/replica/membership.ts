import type { PeerAddress } from '../cluster/member_transport.ts';
import type { Refusal } from '../cluster/refusal.ts';
import type { AppliedConfiguration } from '../ledger/records.ts';
import type { Clock, Logger } from '../lib/environment.ts';
import { isMember, type MemberRecord } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';

export interface MembershipOptions {
  readonly self: MemberId;
  /** The members of the cluster file: how a member finds those whom its log does not name yet. */
  readonly file: readonly MemberRecord[];
  /** The last one in the applied log. */
  readonly applied: AppliedConfiguration;
  /** How long one that has left is still talked to, so that it hears of it. */
  readonly departureMs: number;
}

export interface MembershipDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whom to be connected with from now on. */
  readonly setPeers: (peers: readonly PeerAddress[]) => void;
  /** The configuration in force is another one. */
  readonly onChange: (inForce: AppliedConfiguration) => void;
  /** This member belongs to the cluster no more. It may be told more than once. */
  readonly onRemoved: (reason: string) => void;
}

/**
 * Who the cluster consists of, as far as this member knows: the last configuration in its log is in force, the last
 * one that it applied is certain.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #dependencies: MembershipDependencies;
  readonly #departed = new Map<MemberId, MemberRecord>();
  readonly #cancels = new Set<() => void>();
  #applied: AppliedConfiguration;
  #inForce: AppliedConfiguration;

  constructor(options: MembershipOptions, dependencies: MembershipDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#applied = options.applied;
    this.#inForce = options.applied;
  }

  get inForce(): AppliedConfiguration {
    return this.#inForce;
  }

  get applied(): AppliedConfiguration {
    return this.#applied;
  }

  /** False for one that joins, until it hears of its admission. */
  get isMember(): boolean {
    return isMember(this.#inForce.configuration, this.#options.self);
  }

  start(): void {
    this.#connect();
    // It may have stopped before it took note, or learns it from a snapshot.
    this.#leaveWhenRemoved();
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  /** Another configuration is in force here, committed or not. */
  changed(inForce: AppliedConfiguration): void {
    const before = this.#inForce;
    this.#inForce = inForce;
    const { index, configuration } = inForce;
    const { voters, outgoing, learners } = configuration;
    this.#dependencies.logger.info(
      { index, voters, outgoing, learners: learners.map(({ id }) => id) },
      'configuration in force',
    );
    this.#refresh(before);
    this.#dependencies.onChange(inForce);
  }

  /** A configuration was committed and applied: what it says is for good. */
  confirmed(applied: AppliedConfiguration): void {
    const before = this.#applied;
    this.#applied = applied;
    this.#refresh(before);
    this.#leaveWhenRemoved();
  }

  /**
   * A peer refuses this member and names a certain configuration that came after this member's time (`departureIndex`).
   * What the log here says does not count: it may end with a change that nobody took, or lack this very admission.
   */
  refused(peer: MemberId, { code, configurationIndex = 0 }: Refusal): void {
    if (code !== 'UNKNOWN_MEMBER' || configurationIndex === 0) return;
    const { self } = this.#options;
    this.#dependencies.onRemoved(
      `member ${peer} knows a configuration (index ${configurationIndex}) without member ${self}`,
    );
  }

  /**
   * What a member that is refused here hears: the index of the newest certain configuration when it belonged to one, or 0.
   * One with a higher id has only been in a log that nobody committed, and may be added again.
   */
  departureIndex(refused: MemberId): number {
    const { index, configuration } = this.#applied;
    return refused <= configuration.highestId ? index : 0;
  }

  /** The other members in force or certain, those who left a moment ago, and those whom only the file knows. */
  peers(): MemberRecord[] {
    const { self, file } = this.#options;
    const [applied, inForce] = [this.#applied.configuration, this.#inForce.configuration];
    const highestId = Math.max(applied.highestId, inForce.highestId);
    const records = new Map<MemberId, MemberRecord>();
    // An id of the file that ever belonged to the cluster and does not now was removed.
    for (const record of file) if (record.id > highestId) records.set(record.id, record);
    for (const [id, record] of this.#departed) records.set(id, record);
    for (const record of applied.members) records.set(record.id, record);
    for (const record of inForce.members) records.set(record.id, record);
    records.delete(self);
    return [...records.values()];
  }

  #leaveWhenRemoved(): void {
    const { configuration, index } = this.#applied;
    const { self } = this.#options;
    // One that joins replays configurations from before its time: its id is above all of theirs.
    if (!isMember(configuration, self) && self <= configuration.highestId)
      this.#dependencies.onRemoved(
        `the cluster removed member ${self} at index ${index} of its log`,
      );
  }

  #refresh(before: AppliedConfiguration): void {
    for (const record of before.configuration.members) this.#departs(record);
    this.#connect();
  }

  #departs(record: MemberRecord): void {
    const { id } = record;
    if (id === this.#options.self || this.#departed.has(id)) return;
    if (isMember(this.#inForce.configuration, id)) return;
    this.#departed.set(id, record);
    const { clock } = this.#dependencies;
    const cancel = clock.schedule(this.#options.departureMs, () => {
      this.#cancels.delete(cancel);
      this.#departed.delete(id);
      this.#connect();
    });
    this.#cancels.add(cancel);
  }

  #connect(): void {
    this.#dependencies.setPeers(
      this.peers().map(({ id, address }) => ({ id, host: address.host, port: address.peerPort })),
    );
  }
}
