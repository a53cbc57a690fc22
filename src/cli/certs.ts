import type { Command } from 'commander';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';
import type { Rotation } from './tls_folder.ts';

interface RotateFlags {
  readonly ca?: boolean;
  readonly finish?: boolean;
  readonly only?: string;
  readonly json?: boolean;
}

export function registerCerts(program: Command): void {
  const certs = program.command('certs').summary('show and rotate the certificates of a cluster');
  registerShow(certs);
  registerRotate(certs);
}

function registerShow(certs: Command): void {
  certs
    .command('show')
    .summary('list certificates')
    .description('Lists the certificates of a cluster with role, names and expiry.')
    .argument('<config>', 'cluster file, or the folder that holds cluster.yaml')
    .option('--json', 'print one JSON array')
    .addHelpText('after', examples([['blockraft certs show cluster', 'who holds what until when']]))
    .action(async (file: string, flags: { json?: boolean }) => {
      const { loadConfig } = await import('../config/load_config.ts');
      const { showTlsFolder } = await import('./tls_folder.ts');
      const config = await loadConfig({ file, environment: process.env });
      const shown = await showTlsFolder(config, Date.now());
      if (flags.json) {
        console.log(JSON.stringify(shown, null, 2));
        return;
      }
      for (const { name, role, expires, daysLeft, issuer, subjectAltName, problem } of shown) {
        const state = problem === '' ? `${daysLeft} days left` : `PROBLEM: ${problem}`;
        console.log(`${name}: ${role ?? 'unknown role'}, until ${expires} (${state})`);
        console.log(`  issuer ${issuer}${subjectAltName === '' ? '' : `; ${subjectAltName}`}`);
      }
    });
}

function registerRotate(certs: Command): void {
  certs
    .command('rotate')
    .summary('make new keys and certificates')
    .description(
      'Makes new keys and certificates. Running members and clients pick the files up by themselves; ' +
        'nothing restarts and no connection breaks. A new CA takes two runs: --ca makes it and lets both ' +
        'CAs be trusted; --finish, when all members and clients have the new files, ends the trust in the old one.',
    )
    .argument('<config>', 'cluster file, or the folder that holds cluster.yaml')
    .option('--ca', 'make a new CA, and new certificates from it that old and new CA vouch for')
    .option('--finish', 'stop trusting the old CA')
    .option('--only <name>', 'only this certificate: member-<id>, operator or client')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft certs rotate cluster', 'new certificates from the same CA'],
        ['blockraft certs rotate cluster --only member-2', 'only those of one member'],
        ['blockraft certs rotate cluster --ca', 'begin to replace the CA'],
        ['blockraft certs rotate cluster --finish', 'end it'],
      ]),
    )
    .action(async (file: string, flags: RotateFlags) => {
      const rotation = rotationOf(flags);
      const { loadConfig } = await import('../config/load_config.ts');
      const { rotateTlsFolder } = await import('./tls_folder.ts');
      const config = await loadConfig({ file, environment: process.env });
      const renewed = await rotateTlsFolder(config, rotation, Date.now());
      if (flags.json) {
        console.log(JSON.stringify({ rotation: rotation.kind, renewed }, null, 2));
        return;
      }
      console.log(`new certificates: ${renewed.join(', ')}`);
      if (rotation.kind === 'new-authority')
        console.log(
          'old and new CA are both trusted; when every member and client has the new files: ' +
            `npx blockraft certs rotate ${file} --finish`,
        );
    });
}

function rotationOf({ ca, finish, only }: RotateFlags): Rotation {
  const given = [ca && '--ca', finish && '--finish', only !== undefined && '--only'];
  const flags = given.filter((flag) => typeof flag === 'string');
  if (flags.length > 1)
    throw new CliError('usage', `${flags.join(' and ')} do not go together: give one of them`);
  if (ca) return { kind: 'new-authority' };
  return finish ? { kind: 'finish' } : { kind: 'renew', only };
}
