import type { Readiness } from '../types/views.ts';
import { Member } from './member.ts';
import type { MemberDependencies, MemberOptions } from './member_parts.ts';
import { MemberService } from './member_service.ts';
import { type CallKind, notReady, OpenCalls } from './open_calls.ts';

export interface MemberHostOptions extends MemberOptions {
  readonly version: string;
}

const INSTALLING: Readiness = { ready: false, reason: 'INSTALLING_SNAPSHOT' };

/**
 * Owns the member of this process. To install a snapshot it is stopped and started again, in the same process: what
 * clients ask meanwhile is refused as NOT_READY, and what they asked before it is answered as interrupted.
 */
export class MemberHost {
  readonly #options: MemberHostOptions;
  readonly #dependencies: Omit<MemberDependencies, 'onInstall'>;
  readonly #listeners = new Set<(readiness: Readiness) => void>();
  readonly #open = new OpenCalls();
  #member: Member | undefined;
  #service: MemberService | undefined;
  #readiness: Readiness = INSTALLING;
  #changing: Promise<void> = Promise.resolve();
  #stopped = false;

  /** Starts the member. Nothing is left open when it throws. */
  static async start(
    options: MemberHostOptions,
    dependencies: Omit<MemberDependencies, 'onInstall'>,
  ): Promise<MemberHost> {
    const host = new MemberHost(options, dependencies);
    await host.#startMember();
    return host;
  }

  private constructor(
    options: MemberHostOptions,
    dependencies: Omit<MemberDependencies, 'onInstall'>,
  ) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** The present member's answer; throws NOT_READY while a snapshot is installed. */
  now<Answer>(ask: (service: MemberService) => Answer): Answer {
    if (this.#service === undefined) throw notReady();
    return ask(this.#service);
  }

  /** As `now`, for what takes time; it is interrupted when the member is stopped on the way (see OpenCalls). */
  async call<Answer>(
    kind: CallKind,
    ask: (service: MemberService) => Promise<Answer>,
  ): Promise<Answer> {
    return this.#open.wait(this.now(ask), kind);
  }

  watchReadiness(listener: (readiness: Readiness) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#readiness);
    return () => this.#listeners.delete(listener);
  }

  /** Hands leadership over if the member has it, and stops it; waits for an installation under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#changing;
    await this.#member?.stop();
  }

  async #startMember(): Promise<void> {
    const member = await Member.start(this.#options, {
      ...this.#dependencies,
      onInstall: () => this.#restart(),
    });
    const { clock } = this.#dependencies;
    this.#member = member;
    this.#service = new MemberService(this.#options, { member, clock });
    member.readiness.watch((readiness) => {
      if (this.#member === member) this.#tell(readiness);
    });
  }

  #restart(): void {
    if (this.#stopped) return;
    this.#changing = this.#reinstall().catch((thrown) => this.#dependencies.onFatal(thrown));
  }

  async #reinstall(): Promise<void> {
    const member = this.#member;
    this.#member = undefined;
    this.#service = undefined;
    this.#tell(INSTALLING);
    this.#open.interrupt();
    await member?.stop();
    if (this.#stopped) return;
    await this.#startMember();
  }

  #tell(readiness: Readiness): void {
    this.#readiness = readiness;
    for (const listener of this.#listeners) listener(readiness);
  }
}
