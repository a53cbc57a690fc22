import { Argument, type Command } from 'commander';
import type { ConfigKind } from '../config/json_schema.ts';
import { EXIT } from './exit_codes.ts';
import { examples } from './help.ts';

export function registerConfig(program: Command): void {
  const config = program.command('config').summary('check configuration and genesis files');
  registerCheck(config);
  registerSchema(config);
}

function registerCheck(config: Command): void {
  config
    .command('check')
    .summary('check a cluster or genesis file')
    .description(
      'Checks a cluster file together with its genesis, or a genesis file alone, and lists all problems. ' +
        `Exit status ${EXIT.ok} when it can be used, ${EXIT.usage} when not.`,
    )
    .argument('<file>', 'cluster file, genesis file, or the folder that holds cluster.yaml')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft config check cluster/cluster.yaml', 'with its genesis'],
        ['blockraft config check cluster/genesis.yaml', 'a genesis alone'],
      ]),
    )
    .action(async (file: string, flags: { json?: boolean }) => {
      const { checkFile } = await import('../config/check_file.ts');
      const { problemText } = await import('../config/config_error.ts');
      const { kind, problems, warnings } = await checkFile({ file, environment: process.env });
      const isValid = problems.length === 0;
      if (!isValid) process.exitCode = EXIT.usage;
      if (flags.json) {
        console.log(JSON.stringify({ file, kind, valid: isValid, problems, warnings }, null, 2));
        return;
      }
      for (const warning of warnings) console.error(`note: ${warning}`);
      for (const problem of problems) console.error(`blockraft: ${problemText(problem)}`);
      if (isValid) console.log(`${file}: a valid ${kind} file`);
    });
}

function registerSchema(config: Command): void {
  config
    .command('schema')
    .summary('print the JSON Schema of a file')
    .description(
      'Prints the JSON Schema of a file, for editors that complete and check as you type.',
    )
    .addArgument(
      new Argument('[kind]', 'which file').choices(['cluster', 'genesis']).default('cluster'),
    )
    .addHelpText(
      'after',
      examples([
        ['blockraft config schema > cluster.schema.json', 'of cluster files'],
        ['blockraft config schema genesis', 'of genesis files'],
      ]),
    )
    .action(async (kind: ConfigKind) => {
      const { configJsonSchema } = await import('../config/json_schema.ts');
      console.log(JSON.stringify(configJsonSchema(kind), null, 2));
    });
}
