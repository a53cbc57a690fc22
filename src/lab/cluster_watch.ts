import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import { pause } from './client.ts';
import { MemberConnection, type StatusMessage } from './node_service.ts';
import { type MemberEndpoint, ProcessError } from './processes.ts';

const STATUS_MS_MAX = 500;
const POLL_INTERVAL_MS = 20;
const WAIT_MS_MAX = 120_000;

/** What each member says of itself; undefined for one that did not answer. Ascending by id, as given. */
export interface MemberView extends MemberEndpoint {
  readonly status: StatusMessage | undefined;
}

/** Asks every member of a cluster how it is, over connections that it keeps. */
export class ClusterWatch {
  readonly #clock: Clock;
  readonly #members: readonly { endpoint: MemberEndpoint; connection: MemberConnection }[];

  constructor(
    members: readonly MemberEndpoint[],
    dependencies: { readonly credentials: ChannelCredentials; readonly clock: Clock },
  ) {
    this.#clock = dependencies.clock;
    this.#members = members.map((endpoint) => ({
      endpoint,
      connection: new MemberConnection(endpoint.address, dependencies.credentials),
    }));
  }

  /** All at once; members that do not answer within half a second have no status. */
  look(): Promise<MemberView[]> {
    return Promise.all(
      this.#members.map(async ({ endpoint, connection }) => ({
        ...endpoint,
        status: await connection.call('GetStatus', {}, STATUS_MS_MAX).catch(() => undefined),
      })),
    );
  }

  /**
   * Looks until what is seen will do. Rejects with NOT_READY after two minutes, and when the signal aborts.
   * @param what is waited for, for the error
   */
  async until(
    what: string,
    isEnough: (members: readonly MemberView[]) => boolean,
    signal?: AbortSignal,
  ): Promise<MemberView[]> {
    const giveUpAtMs = this.#clock.monotonicMs() + WAIT_MS_MAX;
    for (;;) {
      signal?.throwIfAborted();
      const members = await this.look();
      if (isEnough(members)) return members;
      if (this.#clock.monotonicMs() > giveUpAtMs)
        throw new ProcessError('NOT_READY', `${what}: not within ${WAIT_MS_MAX} ms`);
      await pause(this.#clock, POLL_INTERVAL_MS);
    }
  }

  close(): void {
    for (const { connection } of this.#members) connection.close();
  }
}

/** The member that leads in the highest term; undefined while nobody says so. */
export function leaderOf(members: readonly MemberView[]): MemberView | undefined {
  let leader: MemberView | undefined;
  for (const member of members) {
    if (member.status?.role !== 'MEMBER_ROLE_LEADER') continue;
    if (leader === undefined || Number(member.status.term) > Number(leader.status?.term))
      leader = member;
  }
  return leader;
}
