import type { MemberMessage, MembersMessage } from '../lab/admin_service.ts';
import { grouped } from './table.ts';

/** How one member is doing, in a few words. */
export function stateText(member: MemberMessage, view: MembersMessage): string {
  if (member.id === view.leaderId) return 'leads';
  if (!member.connected) return 'not connected';
  switch (member.replicationState) {
    case 'REPLICATION_STATE_SNAPSHOT':
      return member.snapshotPercent === undefined
        ? 'takes a snapshot'
        : `takes a snapshot, ${member.snapshotPercent} %`;
    case 'REPLICATION_STATE_PROBE':
      return 'being probed';
    case 'REPLICATION_STATE_REPLICATE':
      return 'follows';
    case 'REPLICATION_STATE_UNSPECIFIED':
      return '';
  }
}

/** Entries of the leader's log that a member does not hold yet; undefined where nobody knows. */
export function entriesBehind(member: MemberMessage, view: MembersMessage): number | undefined {
  if (member.matchIndex === undefined) return undefined;
  return Math.max(0, view.lastIndex - member.matchIndex);
}

/** What somebody who waits for a new member wants to know. */
export function progressText(id: number, view: MembersMessage): string {
  const member = view.members.find((candidate) => candidate.id === id);
  if (member === undefined) return `member ${id} is not in the cluster`;
  if (member.membership === 'MEMBERSHIP_VOTER')
    return `member ${id} votes${view.joint ? ', once the change is finished' : ''}`;
  if (!member.connected) return `member ${id} is not connected: waiting for it to be started`;
  const behind = entriesBehind(member, view);
  const far = behind === undefined ? '' : `, behind by ${grouped(behind)} entries`;
  return `member ${id}: ${stateText(member, view)}${far}`;
}

/** Shows the newest of many lines: over each other on a terminal, else one now and then. */
export class ProgressLine {
  readonly #target: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly #nowMs: () => number;
  #shown = '';
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    target: { readonly isTTY?: boolean; write(text: string): unknown },
    nowMs: () => number,
  ) {
    this.#target = target;
    this.#nowMs = nowMs;
  }

  show(text: string): void {
    if (text === this.#shown) return;
    if (this.#target.isTTY) this.#target.write(`\r\u001b[K${text}`);
    else if (this.#nowMs() - this.#shownAtMs < LINE_INTERVAL_MS) return;
    else this.#target.write(`${text}\n`);
    this.#shown = text;
    this.#shownAtMs = this.#nowMs();
  }

  /** Leaves the last line where it is. */
  end(): void {
    if (this.#target.isTTY && this.#shown !== '') this.#target.write('\n');
  }
}

const LINE_INTERVAL_MS = 1_000;
