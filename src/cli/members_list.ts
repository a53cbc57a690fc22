import type { Command } from 'commander';
import type { MemberMessage, MembersMessage } from '../lab/admin_service.ts';
import { type AdminFlags, lookAt, withAdmin, withAdminFlags } from './admin_access.ts';
import { printJson } from './cluster_flags.ts';
import { examples } from './help.ts';
import { entriesBehind, stateText } from './member_progress.ts';
import { grouped, tableText } from './table.ts';

export function registerMembersList(members: Command): void {
  withAdminFlags(
    members
      .command('list')
      .summary('show who the cluster consists of')
      .description(
        'Shows every member as the leader sees it: whether it votes, how far it is, where it is reached. ' +
          'Exit status 3 when no member answers.',
      ),
  )
    .addHelpText('after', examples([['blockraft members list', 'of the cluster in ./cluster']]))
    .action(async (flags: AdminFlags) => {
      const view = await withAdmin(flags, lookAt);
      if (flags.json) printJson(membersJson(view));
      else console.log(membersText(view));
    });
}

/** A table, and what is unusual about the cluster below it. */
export function membersText(view: MembersMessage): string {
  const head = [
    'member',
    'role',
    'state',
    'match',
    'behind',
    'priority',
    'host',
    'peer',
    'api',
    'admin',
    '',
  ];
  const rows = view.members.map((member) => [
    String(member.id),
    roleOf(member),
    stateText(member, view),
    numberText(member.matchIndex),
    numberText(entriesBehind(member, view)),
    String(member.priority),
    member.host,
    String(member.peerPort),
    String(member.apiPort),
    String(member.adminPort),
    remarkOf(member),
  ]);
  return [tableText([head, ...rows]), ...notesOn(view)].join('\n');
}

export function membersJson(view: MembersMessage): object {
  return {
    clusterId: view.clusterId,
    answeredBy: view.memberId,
    term: view.term,
    leaderId: view.leaderId === 0 ? null : view.leaderId,
    configuration: {
      index: view.configurationIndex,
      committed: view.configurationCommitted,
      joint: view.joint,
      recoveries: view.recoveries,
    },
    highestId: view.highestId,
    commitIndex: view.commitIndex,
    lastIndex: view.lastIndex,
    members: view.members.map((member) => ({
      id: member.id,
      role: roleOf(member),
      leads: member.id === view.leaderId,
      state: stateText(member, view),
      connected: member.connected,
      matchIndex: member.matchIndex ?? null,
      behindEntries: entriesBehind(member, view) ?? null,
      snapshotPercent: member.snapshotPercent ?? null,
      priority: member.priority,
      host: member.host,
      ports: { peer: member.peerPort, api: member.apiPort, admin: member.adminPort },
      promotion:
        member.promotion === 'PROMOTION_UNSPECIFIED'
          ? null
          : member.promotion.replace('PROMOTION_', '').toLowerCase(),
      replaces: member.replaces === 0 ? null : member.replaces,
    })),
  };
}

function roleOf({ membership }: MemberMessage): string {
  return membership.replace('MEMBERSHIP_', '').toLowerCase();
}

function numberText(value: number | undefined): string {
  return value === undefined ? '' : grouped(value);
}

function remarkOf({ promotion, replaces }: MemberMessage): string {
  const remarks = [];
  if (replaces !== 0) remarks.push(`replaces ${replaces}`);
  if (promotion === 'PROMOTION_MANUAL') remarks.push('waits for "members promote"');
  return remarks.join(', ');
}

function notesOn(view: MembersMessage): string[] {
  const notes: string[] = [];
  if (view.leaderId === 0)
    notes.push(`no leader is known to member ${view.memberId}, which answered`);
  else if (view.leaderId !== view.memberId)
    notes.push(
      `the leader, member ${view.leaderId}, does not answer: this is what member ${view.memberId} knows`,
    );
  if (view.joint) notes.push('a change of voters is under way: old and new ones decide together');
  if (!view.configurationCommitted)
    notes.push(`the configuration (log index ${view.configurationIndex}) is not committed yet`);
  if (view.recoveries > 0)
    notes.push(`recoveries from one survivor: ${view.recoveries}; see docs/OPERATIONS.md`);
  return notes;
}
