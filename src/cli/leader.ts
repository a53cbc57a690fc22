import type { Command } from 'commander';
import { hostAndPort } from '../types/membership.ts';
import { type AdminFlags, lookAt, memberId, withAdmin, withAdminFlags } from './admin_access.ts';
import { printJson } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';

export function registerLeader(program: Command): void {
  const leader = program.command('leader').summary('show or move the leadership');
  registerShow(leader);
  registerTransfer(leader);
}

function registerShow(leader: Command): void {
  withAdminFlags(
    leader
      .command('show')
      .summary('say which member leads')
      .description(
        'Says which member leads. Exit status 1 when none does, 3 when no member answers.',
      ),
  )
    .addHelpText('after', examples([['blockraft leader show', 'of the cluster in ./cluster']]))
    .action(async (flags: AdminFlags) => {
      const view = await withAdmin(flags, lookAt);
      const { term, leaderId } = view;
      const found = view.members.find(({ id }) => id === leaderId);
      if (leaderId === 0 || found === undefined)
        throw new CliError('failure', `no leader is known to member ${view.memberId}`);
      const apiAddress = hostAndPort(found.host, found.apiPort);
      const adminAddress = hostAndPort(found.host, found.adminPort);
      if (flags.json) printJson({ leaderId, term, apiAddress, adminAddress });
      else console.log(`member ${leaderId} leads in term ${term}, API at ${apiAddress}`);
    });
}

function registerTransfer(leader: Command): void {
  withAdminFlags(
    leader
      .command('transfer')
      .summary('hand the leadership to another member')
      .description(
        'Hands the leadership to another member without a gap. When members have different priorities, the one ' +
          'with the highest takes it back as soon as it has caught up.',
      )
      .argument('<id>', 'the member that shall lead'),
  )
    .addHelpText('after', examples([['blockraft leader transfer 2', 'before member 1 is stopped']]))
    .action(async (text: string, flags: AdminFlags) => {
      const target = memberId(text);
      const view = await withAdmin(flags, async (access) => {
        await lookAt(access);
        return access.client.reach(
          {
            method: 'TransferLeadership',
            request: { target },
            isReached: ({ leaderId }) => leaderId === target,
          },
          access.patience,
        );
      });
      if (flags.json) printJson({ leaderId: target, term: view.term });
      else console.log(`member ${target} leads in term ${view.term}`);
    });
}
