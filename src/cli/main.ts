#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { registerAccount } from './account.ts';
import { registerBench } from './bench.ts';
import { registerBlock } from './block.ts';
import { registerCerts } from './certs.ts';
import { registerConfig } from './config.ts';
import { registerDemo } from './demo.ts';
import { EXIT, exitCodeOf, failureText } from './exit_codes.ts';
import { examples } from './help.ts';
import { registerInit } from './init.ts';
import { registerLeader } from './leader.ts';
import { registerMember } from './member.ts';
import { registerMembers } from './members.ts';
import { registerStatus } from './status.ts';
import { registerSubmit } from './submit.ts';
import { registerUp } from './up.ts';
import { registerWal } from './wal.ts';
import { registerWorkload } from './workload.ts';

/** Each command is one file that registers itself and imports what is heavy only when it runs. */
const REGISTER: readonly ((program: Command) => void)[] = [
  registerInit,
  registerUp,
  registerMember,
  registerMembers,
  registerLeader,
  registerStatus,
  registerSubmit,
  registerAccount,
  registerBlock,
  registerWorkload,
  registerDemo,
  registerBench,
  registerConfig,
  registerCerts,
  registerWal,
];

/** The whole command line; parsing throws instead of ending the process. */
export function makeProgram(): Command {
  const program = new Command('blockraft')
    .description(packageJson.description)
    .version(packageJson.version)
    .option('--verbose', 'show where an error came from (or set BLOCKRAFT_DEBUG)')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageErrorText(text)) })
    .addHelpText(
      'after',
      examples([
        ['blockraft init local-3 --directory cluster', 'write a cluster of three members'],
        ['blockraft up cluster/cluster.yaml', 'start its members'],
        ['blockraft status cluster/cluster.yaml', 'see who leads'],
      ]),
    );
  for (const register of REGISTER) register(program);
  return program;
}

/** Commander's own message as the one line that every error of ours is. */
function usageErrorText(text: string): string {
  return text.startsWith('error: ')
    ? `blockraft: ${text.slice('error: '.length).trim().replaceAll('\n', ' ')} (--help shows what is possible)\n`
    : text;
}

/** Runs one command line and gives its exit status; errors are told on stderr. */
export async function runCli(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const program = makeProgram();
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (thrown) {
    // Commander has written its own line already.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { verbose } = program.opts<{ verbose?: boolean }>();
    console.error(failureText(thrown, verbose === true || Boolean(environment.BLOCKRAFT_DEBUG)));
    return exitCodeOf(thrown);
  }
}

function isMain(): boolean {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url);
}

if (isMain()) {
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  // The gRPC library names an IP address where TLS wants a host name (DEP0123); users can do nothing about that.
  process.noDeprecation = true;
  const code = await runCli(process.argv.slice(2), process.env);
  // A success ends when nothing runs any more; a failure does not wait for what it left open.
  if (code === EXIT.ok) process.exitCode = code;
  else process.exit(code);
}
