import type { Command } from 'commander';
import { memberId } from './admin_access.ts';
import { CONFIG_DEFAULT, printJson } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';

interface RecoverFlags {
  readonly config: string;
  readonly id: string;
  readonly lost: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerMembersRecover(members: Command): void {
  members
    .command('recover')
    .summary('make one survivor a cluster again, after a majority is lost for good')
    .description(
      'Makes a cluster of one out of the stopped member whose data folder is here. For the day on which more than ' +
        'half of the voters are destroyed: with a majority alive, or coming back, it is the wrong tool. ' +
        'What only the lost ones had acknowledged is gone. It works on the folder alone and asks nobody.',
    )
    .requiredOption('--id <id>', 'the survivor')
    .requiredOption('--lost <ids>', 'every other voter, as in 2,3')
    .option('--force', 'say that the lost members are destroyed and will never run again')
    .option('-c, --config <file>', 'cluster file', CONFIG_DEFAULT)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft members recover --id 1 --lost 2,3', 'what would be done, and what to do first'],
        ['blockraft members recover --id 1 --lost 2,3 --force', 'do it'],
      ]),
    )
    .action(async (flags: RecoverFlags) => {
      const id = memberId(flags.id);
      const lost = lostOf(flags.lost, id);
      const { loadCluster } = await import('../config/load_cluster.ts');
      const { config } = await loadCluster({
        file: flags.config,
        environment: process.env,
        memberId: id,
      });
      const procedure = procedureText(id, lost);
      if (!flags.force) {
        console.error(procedure);
        throw new CliError('usage', 'nothing was done: add --force once all of this holds');
      }
      const { recoverFromSurvivor } = await import('../replica/recover.ts');
      const { pino } = await import('pino');
      const logger = pino({ level: 'warn' }, process.stderr);
      const recovered = await recoverFromSurvivor({ config, memberId: id, lost }, { logger });
      const { forgetMembers } = await import('./members_change.ts');
      await forgetMembers(config, lost);
      if (flags.json) return printJson({ id, lost, ...recovered });
      const { index, decidedHeight, recoveries } = recovered;
      console.log(`member ${id} is a cluster of one (recovery ${recoveries}, log index ${index}).`);
      console.log(
        `Its chain goes on above height ${decidedHeight}, with certificates of round ${recoveries}.`,
      );
      console.log(
        `${config.file} is without ${lost.join(' and ')}. Start the member, then add others under new ids:`,
      );
      console.log(`\n  npx blockraft member --config ${config.file} --id ${id}\n`);
    });
}

/** The ids of `--lost`. Throws a CliError. */
function lostOf(text: string, survivor: number): number[] {
  const lost = text.split(',').map((part) => memberId(part.trim()));
  if (new Set(lost).size < lost.length)
    throw new CliError('usage', `--lost ${text} names a member twice`);
  if (lost.includes(survivor))
    throw new CliError('usage', `--lost ${text} names member ${survivor}, the survivor, too`);
  return lost.sort((left, right) => left - right);
}

function procedureText(id: number, lost: readonly number[]): string {
  const names = lost.map((one) => `member ${one}`).join(' and ');
  return [
    `This makes member ${id} the only voter of its cluster, and gives up ${names}.`,
    '',
    'Before:',
    `  1. Make sure that ${names} can never run again: destroy or wipe the disks. Nothing technical`,
    '     stops a majority of the lost from going on as the old cluster; two chains would be signed with one key.',
    '  2. If several members survive, keep the one whose log reaches furthest ("blockraft wal inspect": the higher',
    '     last term counts, then the higher index). The others are lost too: wipe them, and add new members.',
    `  3. Stop member ${id} and keep a copy of its data folder.`,
    '',
    'What happens: everything in its log counts as committed; a new term begins; the configuration has one voter',
    'and one more recovery. From then on blocks are signed in the BFT round that equals the number of recoveries,',
    'so that no height is signed twice in one round, even where the lost members had decided another block.',
    'Transactions that only the lost ones had acknowledged are gone.',
    '',
  ].join('\n');
}
