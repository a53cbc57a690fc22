import type { ChannelCredentials } from '@grpc/grpc-js';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/environment.ts';
import { hostAndPort } from '../types/membership.ts';
import {
  AdminConnection,
  type AdminMethod,
  type AdminMethods,
  type MembersMessage,
} from './admin_service.ts';
import { pause } from './client.ts';
import { ClientError, isPassing } from './client_error.ts';

export interface AdminClientOptions {
  /** `host:port` of members' service Admin, any of them. */
  readonly addresses: readonly string[];
  /** An operator's. */
  readonly credentials: ChannelCredentials;
}

/** What shall become of the cluster, and the request that makes it so. */
export interface Goal<Method extends AdminMethod> {
  readonly method: Method;
  readonly request: AdminMethods[Method]['request'];
  /** Whether the cluster is as it shall be; asked of the leader's view while no change is under way. */
  readonly isReached: (view: MembersMessage) => boolean;
}

export interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** How long one member may take to say how things stand. */
const LOOK_MS_MAX = 1_500;
/** How long the leader may take for one change, before things are looked at again. */
const CHANGE_MS_MAX = 15_000;
/** Less would end in a timeout that says nothing. */
const CHANGE_MS_MIN = 3_000;
const POLL_INTERVAL_MS = 200;
/** Reasons that belong to the moment, beside those that all clients know. */
const PASSING_REASONS = new Set(['NOT_LEADER', 'CHANGE_PENDING', 'TRANSFER_FAILED']);

/**
 * Client of the service Admin: finds the leader by asking any member that answers. Changes are repeated until the
 * cluster is as it shall be, which is harmless: each looks first. Every method rejects with a ClientError.
 */
export class AdminClient {
  readonly #credentials: ChannelCredentials;
  readonly #clock: Clock;
  readonly #connections = new Map<string, AdminConnection>();
  /** Of those that were given. */
  readonly #addresses: readonly string[];
  #leaderAddress: string | undefined;

  constructor(options: AdminClientOptions, clock: Clock) {
    assert(options.addresses.length > 0, 'a client needs an address');
    this.#addresses = options.addresses;
    this.#credentials = options.credentials;
    this.#clock = clock;
  }

  /** The cluster as its leader sees it, or as any member does when no leader answers. Rejects with UNREACHABLE. */
  async members(): Promise<MembersMessage> {
    const waiting = [...this.#addresses];
    if (this.#leaderAddress !== undefined) waiting.unshift(this.#leaderAddress);
    const asked = new Set<string>();
    let newest: MembersMessage | undefined;
    let problem: ClientError | undefined;
    for (let address = waiting.shift(); address !== undefined; address = waiting.shift()) {
      if (asked.has(address)) continue;
      asked.add(address);
      try {
        const view = await this.#connection(address).call('ListMembers', {}, LOOK_MS_MAX);
        if (view.leaderId === view.memberId) {
          this.#leaderAddress = address;
          return view;
        }
        if (newest === undefined || view.term > newest.term) newest = view;
        const leader = view.members.find(({ id }) => id === view.leaderId);
        if (leader !== undefined) waiting.unshift(hostAndPort(leader.host, leader.adminPort));
      } catch (thrown) {
        if (!(thrown instanceof ClientError)) throw thrown;
        if (problem?.code !== 'REFUSED') problem = thrown;
      }
    }
    if (newest !== undefined) return newest;
    if (problem?.code === 'REFUSED') throw problem;
    throw new ClientError('UNREACHABLE', `no member answered at ${[...asked].join(', ')}`, {
      cause: problem,
    });
  }

  /**
   * Asks the leader, whoever that is, until the goal is reached; resolves with the view that shows it. Rejects at once
   * when nobody answers the first time or the cluster refuses, and with OUTCOME_UNKNOWN when time was up while a
   * request may still have its effect.
   */
  async reach<Method extends AdminMethod>(
    goal: Goal<Method>,
    { timeoutMs, signal }: Patience,
  ): Promise<MembersMessage> {
    const giveUpAtMs = this.#clock.monotonicMs() + timeoutMs;
    let view = await this.members();
    let asked = false;
    let problem = new ClientError(
      'REFUSED',
      'the cluster has no leader: a majority of its voters must run and reach each other',
      { reason: 'NO_LEADER' },
    );
    for (;;) {
      signal.throwIfAborted();
      try {
        const leads = view.leaderId === view.memberId;
        const isSettled = leads && view.configurationCommitted && !view.joint;
        if (isSettled && goal.isReached(view)) return view;
        if (isSettled) {
          asked = true;
          await this.#ask(goal, giveUpAtMs - this.#clock.monotonicMs());
        }
        view = await this.members();
        if (view.configurationCommitted && !view.joint && goal.isReached(view)) return view;
      } catch (thrown) {
        if (!(thrown instanceof ClientError)) throw thrown;
        if (!isPassing(thrown) && !PASSING_REASONS.has(thrown.reason)) throw thrown;
        problem = thrown;
        view = await this.members().catch(() => view);
      }
      if (this.#clock.monotonicMs() >= giveUpAtMs) throw timeIsUp(problem, asked);
      await pause(this.#clock, POLL_INTERVAL_MS);
    }
  }

  /** Looks until what is seen will do; undefined when time was up before. */
  async until(
    isEnough: (view: MembersMessage) => boolean,
    { timeoutMs, signal, onView }: Patience & { onView: (view: MembersMessage) => void },
  ): Promise<MembersMessage | undefined> {
    const giveUpAtMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const view = await this.members().catch(() => undefined);
      if (view !== undefined) {
        if (view.leaderId === view.memberId && isEnough(view)) return view;
        onView(view);
      }
      if (this.#clock.monotonicMs() >= giveUpAtMs) return undefined;
      await pause(this.#clock, POLL_INTERVAL_MS);
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  async #ask<Method extends AdminMethod>(goal: Goal<Method>, remainingMs: number): Promise<void> {
    const address = this.#leaderAddress;
    assert(address !== undefined, 'a leader was found before it is asked');
    const deadlineMs = Math.max(CHANGE_MS_MIN, Math.min(CHANGE_MS_MAX, remainingMs));
    await this.#connection(address).call(goal.method, goal.request, deadlineMs);
  }

  #connection(address: string): AdminConnection {
    const known = this.#connections.get(address);
    if (known !== undefined) return known;
    const connection = new AdminConnection(address, this.#credentials);
    this.#connections.set(address, connection);
    return connection;
  }
}

function timeIsUp(problem: ClientError, asked: boolean): ClientError {
  const isUnknown = problem.code !== 'REFUSED' && asked;
  return isUnknown
    ? new ClientError(
        'OUTCOME_UNKNOWN',
        `time is up, and the last answer was: ${problem.message}`,
        {
          cause: problem,
        },
      )
    : problem;
}
