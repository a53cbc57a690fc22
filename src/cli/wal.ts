import type { Command } from 'commander';
import type { LogReport } from '../wal/examine.ts';
import { printJson } from './cluster_flags.ts';
import { CliError, EXIT } from './exit_codes.ts';
import { examples } from './help.ts';
import { grouped } from './table.ts';

export function registerWal(program: Command): void {
  const wal = program
    .command('wal')
    .summary('examine the log of a member')
    .description('Looks into the write-ahead log of a member. Nothing is ever changed.');
  registerInspect(wal);
  registerVerify(wal);
}

function registerInspect(wal: Command): void {
  wal
    .command('inspect')
    .summary('show what a log holds and where it is damaged')
    .description(
      'Shows whose log it is, its base, segments, entries, term and vote, newest records, where it ends, ' +
        'and what is damaged. Of a member that runs, the newest records may be missing.',
    )
    .argument('<folder>', "a member's data folder, or the folder of a log")
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft wal inspect cluster/data/member-1', 'the log in force'],
        ['blockraft wal inspect cluster/data/member-1 --json', 'for programs'],
      ]),
    )
    .action(async (folder: string, flags: { json?: boolean }) => {
      const { isRunning, report } = await examine(folder);
      if (isRunning)
        console.error('note: the member of this folder runs; its newest records may be missing');
      if (flags.json) printJson(report);
      else console.log((await import('./wal_report.ts')).reportText(report));
    });
}

function registerVerify(wal: Command): void {
  wal
    .command('verify')
    .summary('check every record of a log')
    .description(
      'Reads every record of the log of a stopped member and checks all checksums and that nothing is ' +
        `missing in between. Exit status ${EXIT.ok} only when all is sound. A log that was cut off at its end looks ` +
        'sound: whether it reaches as far as the state is what the member checks when it starts.',
    )
    .argument('<folder>', "a member's data folder, or the folder of a log")
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([['blockraft wal verify cluster/data/member-1', 'before starting it again']]),
    )
    .action(async (folder: string, flags: { json?: boolean }) => {
      const { isRunning, report } = await examine(folder);
      if (isRunning)
        throw new CliError(
          'failure',
          `the member of ${folder} runs and writes this log: stop it first, or use blockraft wal inspect`,
        );
      const { damage } = report;
      if (damage.length > 0) process.exitCode = EXIT.failure;
      if (flags.json) {
        const unfinishedBytes = report.tail?.remainsBytes ?? 0;
        printJson({ sound: damage.length === 0, damage, ...countsOf(report), unfinishedBytes });
        return;
      }
      const { damageText, HOW_TO_GO_ON, unfinishedText } = await import('./wal_report.ts');
      for (const one of damage) console.error(`blockraft: ${damageText(one)}`);
      if (damage.length > 0) console.error(`blockraft: ${HOW_TO_GO_ON}`);
      else console.log(`${soundText(report)}${unfinishedText(report)}`);
    });
}

/** The log in the folder; the running member is looked for first, lest it start in between. */
async function examine(folder: string): Promise<{ isRunning: boolean; report: LogReport }> {
  const { findLogFolder, isLocked } = await import('./wal_folder.ts');
  const { examineLog } = await import('../wal/examine.ts');
  const { nodeFileSystem } = await import('../wal/node_file_system.ts');
  const { directory, identity } = await findLogFolder(folder);
  const isRunning = await isLocked(directory);
  const report = await examineLog({ directory, identity }, { fileSystem: nodeFileSystem });
  return { isRunning, report };
}

function countsOf({ segments, firstIndex, lastIndex }: LogReport) {
  const records = segments.reduce((sum, segment) => sum + segment.records, 0);
  return { segments: segments.length, records, firstIndex, lastIndex };
}

function soundText(report: LogReport): string {
  const { segments, records, firstIndex, lastIndex } = countsOf(report);
  const entries = lastIndex < firstIndex ? 'no entries' : `entries ${firstIndex} to ${lastIndex}`;
  return `${report.directory}: sound, ${grouped(records)} records in ${segments} segment${segments === 1 ? '' : 's'}, ${entries}`;
}
