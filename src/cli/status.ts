import type { Command } from 'commander';
import type { MemberView } from '../lab/cluster_watch.ts';
import { toPrefixedHex } from '../lib/bytes.ts';
import { systemClock } from '../lib/environment.ts';
import { type ClusterFlags, clusterAccess, printJson, withClusterFlags } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';
import { tableText } from './table.ts';

export function registerStatus(program: Command): void {
  withClusterFlags(
    program
      .command('status')
      .summary('show every member: role, term, height, state root, lag')
      .description('Asks every member how it is. Exit status 3 when none answers.')
      .argument('[config]', 'cluster file, as --config'),
  )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft status', 'the cluster in ./cluster'],
        ['blockraft status cluster/cluster.yaml --json', 'for programs'],
        ['blockraft status --address 127.0.0.1:7111', 'one member, without a cluster file'],
      ]),
    )
    .action(async (config: string | undefined, flags: ClusterFlags & { json?: boolean }) => {
      const { ClusterWatch } = await import('../lab/cluster_watch.ts');
      const access = await clusterAccess(config === undefined ? flags : { ...flags, config });
      const watch = new ClusterWatch(access.members, {
        credentials: access.credentials,
        clock: systemClock,
      });
      const members = await watch.look();
      watch.close();
      if (flags.json) printJson({ members: members.map(memberJson) });
      else console.log(statusTable(members));
      if (members.every(({ status }) => status === undefined))
        throw new CliError('unreachable', 'no member answered; is the cluster up?');
    });
}

/** One line for each member; those that do not answer are shown as such. */
export function statusTable(members: readonly MemberView[]): string {
  const head = [
    'member',
    'address',
    'role',
    'term',
    'commit',
    'applied',
    'height',
    'state root',
    'lag',
    'pending',
    'pid',
    '',
  ];
  return tableText([head, ...members.map((member) => statusRow(member, members))]);
}

function statusRow(member: MemberView, members: readonly MemberView[]): string[] {
  const { id, address, status } = member;
  if (status === undefined) return [String(id), address, 'unreachable'];
  const root = `${toPrefixedHex(status.stateRoot).slice(0, 14)}… @${status.stateRootHeight}`;
  return [
    String(status.memberId),
    address,
    roleName(status.role),
    status.term,
    status.commitIndex,
    status.appliedIndex,
    status.height,
    root,
    String(lagOf(member, members) ?? ''),
    status.mempoolSize,
    String(status.pid),
    remarkOf(status),
  ];
}

/** Log entries behind the highest commit index that any member knows. */
export function lagOf(member: MemberView, members: readonly MemberView[]): number | undefined {
  if (member.status === undefined) return undefined;
  const commit = Math.max(...members.map(({ status }) => Number(status?.commitIndex ?? 0)));
  return commit - Number(member.status.appliedIndex);
}

export function roleName(role: string): string {
  return role.replace('MEMBER_ROLE_', '').toLowerCase();
}

function remarkOf(status: NonNullable<MemberView['status']>): string {
  if (status.fencedReason !== '') return `fenced: ${status.fencedReason}`;
  return status.ready ? '' : 'not ready';
}

function memberJson(member: MemberView, _index: number, members: readonly MemberView[]): object {
  const { id, address, status } = member;
  if (status === undefined) return { id, address, reachable: false };
  return {
    id: status.memberId,
    address,
    reachable: true,
    role: roleName(status.role),
    term: Number(status.term),
    leaderId: status.leaderId === 0 ? null : status.leaderId,
    commitIndex: Number(status.commitIndex),
    appliedIndex: Number(status.appliedIndex),
    height: Number(status.height),
    stateRoot: toPrefixedHex(status.stateRoot),
    stateRootHeight: Number(status.stateRootHeight),
    lagEntries: lagOf(member, members) ?? null,
    mempoolSize: Number(status.mempoolSize),
    ready: status.ready,
    fencedReason: status.fencedReason === '' ? null : status.fencedReason,
    pid: status.pid,
    version: status.version,
    clusterId: status.clusterId,
    chainId: status.chainId,
  };
}
