import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { CliError, EXIT, exitCodeOf, failureText } from '../../../src/cli/exit_codes.ts';
import { makeProgram } from '../../../src/cli/main.ts';
import { ConfigError } from '../../../src/config/config_error.ts';
import { blockraft, newCluster, temporaryFolder } from './cli_fixture.ts';

describe('exit statuses', () => {
  test('are what scripts rely on', () => {
    expect(EXIT).toEqual({
      ok: 0,
      failure: 1,
      usage: 2,
      unreachable: 3,
      refused: 4,
      outcomeUnknown: 5,
    });
    for (const reason of ['failure', 'usage', 'unreachable', 'refused', 'outcomeUnknown'] as const)
      expect(exitCodeOf(new CliError(reason, ''))).toBe(EXIT[reason]);
    expect(exitCodeOf(new ConfigError([]))).toBe(2);
    expect(exitCodeOf(new Error('bug'))).toBe(1);
    expect(exitCodeOf('thrown text')).toBe(1);
  });

  test('come with one line, and with stacks and causes only on request', () => {
    const error = new CliError('failure', 'it broke', { cause: new Error('because') });
    expect(failureText(error, false)).toBe('blockraft: it broke');
    const verbose = failureText(error, true);
    expect(verbose).toMatch(/^blockraft: it broke\n.*it broke\n {4}at /);
    expect(verbose).toContain('Error: because');
  });
});

describe('the command line', () => {
  test('has a description and examples for every command', () => {
    const texts: string[] = [];
    const visit = (command: ReturnType<typeof makeProgram>, path: string) => {
      let help = '';
      command.configureOutput({
        writeOut: (text) => {
          help += text;
        },
      });
      command.outputHelp();
      texts.push(help);
      if (path !== '') expect([path, command.summary() || command.description()]).not.toContain('');
      if (command.commands.length === 0)
        expect([path, help]).toEqual([path, expect.stringContaining('Examples:')]);
      for (const child of command.commands)
        visit(child as typeof command, `${path} ${child.name()}`);
    };
    visit(makeProgram(), '');
    expect(texts.join('')).toContain('blockraft init');
  });

  test('says its version', async () => {
    const { code, stdout } = await blockraft(['--version']);
    expect([code, stdout.trim()]).toEqual([0, packageJson.version]);
  });

  test.each([
    [['--bogus'], "blockraft: unknown option '--bogus' (--help shows what is possible)\n"],
    [
      ['ini'],
      "blockraft: unknown command 'ini' (Did you mean init?) (--help shows what is possible)\n",
    ],
    [
      ['config', 'check'],
      "blockraft: missing required argument 'file' (--help shows what is possible)\n",
    ],
    [
      ['init', '--members', 'many'],
      "blockraft: option '-m, --members <n>' argument 'many' is invalid. give a whole number. (--help shows what is possible)\n",
    ],
    [
      ['member', '--id', 'first'],
      "blockraft: option '--id <number>' argument 'first' is invalid. give a whole number. (--help shows what is possible)\n",
    ],
    [
      ['status', '--address', 'localhost'],
      'blockraft: --address localhost must be HOST:PORT, or [IPV6]:PORT\n',
    ],
    [
      ['submit', '--from-key-file', 'key'],
      'blockraft: give --to, or the code of a new contract as --data\n',
    ],
    [
      ['demo', '--report', '/nowhere/report.json'],
      'blockraft: there is no folder /nowhere for the report\n',
    ],
  ])('answers %j with one line and status 2', async (args, stderr) => {
    expect(await blockraft(args)).toEqual({ code: 2, stdout: '', stderr });
  });
});

describe('a demonstration that cannot start', () => {
  test.each([
    [['--config', 'nowhere.yaml'], /by name there are local-3, local-5, local-7, solo, three-/],
    [['--config', 'solo', '--kill', 'follower'], /there is no follower to kill/],
  ])('for %j says why with status 2 and leaves no folder', async (args, message) => {
    const TMPDIR = await temporaryFolder();
    const { code, stdout, stderr } = await blockraft(['demo', '--exit', ...args], { TMPDIR });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n').length).toBe(1);
    expect(await readdir(TMPDIR)).toEqual([]);
  });
});

test('a client without certificates is told which file is missing and what to do', async () => {
  const { clusterFile, secretsFolder } = await newCluster({ template: 'three-machines' });
  await rm(join(secretsFolder, 'tls/client.key.pem'));
  const { code, stderr } = await blockraft(['status', clusterFile]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/client\.key\.pem: cannot be read .* clients of this cluster need a cert/);
});

describe('init, config and certs as processes', () => {
  test('make a cluster that checks out, and refuse to do it twice', async () => {
    const directory = join(await temporaryFolder(), 'cluster');
    const made = await blockraft([
      'init',
      'solo',
      '-d',
      directory,
      '--dev-accounts',
      '1',
      '--json',
    ]);
    expect([made.code, made.stderr]).toEqual([0, '']);
    const report = JSON.parse(made.stdout);
    expect(report).toMatchObject({
      clusterId: 'solo',
      chainId: '1337',
      clusterFile: join(directory, 'cluster.yaml'),
      members: [{ id: 1, host: '127.0.0.1' }],
    });
    const secrets = join(directory, 'secrets');
    for (const file of ['validator.key', 'dev-accounts.json', 'tls/client.key.pem']) {
      const secret = (await readFile(join(secrets, file), 'utf8')).trim();
      expect(made.stdout).not.toContain(secret);
    }
    const checked = await blockraft(['config', 'check', directory]);
    expect(checked).toEqual({
      code: 0,
      stdout: `${directory}: a valid cluster file\n`,
      stderr: '',
    });
    const again = await blockraft(['init', 'solo', '-d', directory]);
    expect([again.code, again.stdout]).toEqual([2, '']);
    expect(again.stderr).toMatch(/^blockraft: .* is not empty: [^\n]*\n$/);
  });

  test('say what was made and what comes next', async () => {
    const directory = join(await temporaryFolder(), 'cluster');
    const { code, stdout } = await blockraft(['init', '-d', directory]);
    expect(code).toBe(0);
    expect(stdout).toContain('member 3   127.0.0.1   peer 7130, api 7131, admin 7132');
    expect(stdout).toContain(`next: npx blockraft up ${join(directory, 'cluster.yaml')}\n`);
  });

  test('list every problem of a file with status 2', async () => {
    const { clusterFile, genesisFile } = await newCluster();
    const text = await readFile(clusterFile, 'utf8');
    await writeFile(
      clusterFile,
      text.replace('api: 7111', 'api: 7110').replace('peer: 7120', 'peer: 0'),
    );
    const { code, stdout, stderr } = await blockraft(['config', 'check', clusterFile]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringContaining(
        'members[0].ports.api is 7110: members[0].ports.peer on the same host',
      ),
      expect.stringContaining('members[1].ports.peer is 0: must be at least 1'),
    ]);
    const json = await blockraft(['config', 'check', clusterFile, '--json']);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: 'cluster',
      valid: false,
      problems: [
        { file: clusterFile, path: 'members[0].ports.api', value: '7110' },
        { file: clusterFile, path: 'members[1].ports.peer', value: '0' },
      ],
    });
    const genesis = await blockraft(['config', 'check', genesisFile]);
    expect([genesis.code, genesis.stdout]).toEqual([0, `${genesisFile}: a valid genesis file\n`]);
  });

  test('check a cluster together with its genesis', async () => {
    const { clusterFile, genesisFile } = await newCluster();
    const genesis = await readFile(genesisFile, 'utf8');
    const parameters = 'parameters: { transactionBytesMax: 100000 }\n';
    await writeFile(genesisFile, genesis + parameters);
    await writeFile(
      clusterFile,
      (await readFile(clusterFile, 'utf8')).replace('api:\n', 'api:\n  messageBytesMax: 65536\n'),
    );
    const { code, stderr } = await blockraft(['config', 'check', clusterFile]);
    expect(code).toBe(2);
    expect(stderr).toContain('api.messageBytesMax is 65536: must be at least 116384');
    await writeFile(genesisFile, `${genesis}colour: red\n`);
    const broken = await blockraft(['config', 'check', clusterFile]);
    expect(broken.code).toBe(2);
    expect(broken.stderr).toContain('genesis.yaml:');
    expect(broken.stderr).toContain('colour is "red": is not a key here');
  });

  test('name a file that is not there in one line', async () => {
    const missing = await blockraft(['certs', 'show', '/nowhere.yaml']);
    expect(missing).toEqual({
      code: 2,
      stdout: '',
      stderr: 'blockraft: /nowhere.yaml: there is no such file; "blockraft init" writes one\n',
    });
    const debug = await blockraft(['certs', 'show', '/nowhere.yaml'], { BLOCKRAFT_DEBUG: '1' });
    expect(debug.stderr).toContain('    at ');
    const verbose = await blockraft(['certs', 'show', '/nowhere.yaml', '--verbose']);
    expect(verbose.stderr).toContain('    at ');
  });

  test('print a schema for editors', async () => {
    const cluster = await blockraft(['config', 'schema']);
    expect(JSON.parse(cluster.stdout)).toMatchObject({
      required: ['version', 'cluster', 'members'],
    });
    const genesis = await blockraft(['config', 'schema', 'genesis']);
    expect(JSON.parse(genesis.stdout).required).toContain('validators');
  });

  test('rotate the CA in two runs and show the certificates', async () => {
    const { clusterFile } = await newCluster();
    const authorities = async () => {
      const { stdout } = await blockraft(['certs', 'show', clusterFile, '--json']);
      const shown: { name: string; problem: string }[] = JSON.parse(stdout);
      expect(shown.filter(({ problem }) => problem !== '')).toEqual([]);
      return shown.filter(({ name }) => name === 'ca').length;
    };
    const begun = await blockraft(['certs', 'rotate', clusterFile, '--ca']);
    expect(begun.code).toBe(0);
    expect(begun.stdout).toContain(`npx blockraft certs rotate ${clusterFile} --finish`);
    expect(await authorities()).toBe(2);
    const ended = await blockraft(['certs', 'rotate', clusterFile, '--finish', '--json']);
    expect(JSON.parse(ended.stdout)).toMatchObject({ rotation: 'finish' });
    expect(await authorities()).toBe(1);
    expect((await blockraft(['certs', 'rotate', clusterFile, '--finish'])).code).toBe(1);
    const wrong = await blockraft(['certs', 'rotate', clusterFile, '--ca', '--only', 'client']);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      'blockraft: --ca and --only do not go together: give one of them\n',
    ]);
  });
});
