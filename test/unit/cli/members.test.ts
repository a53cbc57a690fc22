import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { memberOf, tlsFiles } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load_config.ts';
import { NodeError } from '../../../src/types/node_error.ts';
import { type OperatedCluster, operatedCluster } from './admin_fixture.ts';
import { blockraft, blockraftHere, newCluster } from './cli_fixture.ts';

function members({ config }: OperatedCluster, command: string, ...args: string[]) {
  return blockraftHere(['members', command, ...args, '--config', config.file]);
}

function reload({ config }: OperatedCluster) {
  return loadConfig({ file: config.file, environment: {} });
}

describe('members list', () => {
  test('shows the members as the leader sees them, whoever is asked first', async () => {
    const operated = await operatedCluster();
    await operated.stop(1);
    const { code, stdout } = await members(operated, 'list');
    expect(code).toBe(0);
    const [head, ...rows] = stdout.trim().split('\n');
    expect(head).toMatch(/^member +role +state +match +behind +priority +host +peer +api +admin$/);
    expect(rows[0]).toMatch(/^ +1 +voter +follows +1,000 +0 +100 +127\.0\.0\.1 /);
    expect(rows[1]).toMatch(/^ +2 +voter +leads +1,000 +0 +100 /);
    const json = JSON.parse((await members(operated, 'list', '--json')).stdout);
    expect(json).toMatchObject({ clusterId: 'local-3', leaderId: 2, answeredBy: 2, term: 7 });
    const { ports } = memberOf(operated.config, 3);
    expect(json.members[2]).toMatchObject({ id: 3, role: 'voter', leads: false, ports });
  });

  test('shows what a follower knows when the leader does not answer', async () => {
    const operated = await operatedCluster();
    await operated.stop(2);
    const { code, stdout } = await members(operated, 'list');
    expect(code).toBe(0);
    expect(stdout).toContain('the leader, member 2, does not answer');
  });

  test('has exit status 3 when nobody answers, and 1 when another cluster does', async () => {
    const operated = await operatedCluster({ clusterId: 'other' });
    const other = await members(operated, 'list');
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining('cluster other answers'),
    ]);
    for (const id of [1, 2, 3]) await operated.stop(id);
    const nobody = await blockraft(['members', 'list', '--config', operated.config.file]);
    expect([nobody.code, nobody.stderr]).toEqual([
      3,
      expect.stringContaining('no member answered'),
    ]);
  });

  test('needs the certificate of an operator', async () => {
    const operated = await operatedCluster();
    await rm(tlsFiles(operated.config, 'operator').keyFile);
    const { code, stderr } = await members(operated, 'list');
    expect([code, stderr]).toEqual([2, expect.stringContaining('operator.pem')]);
  });
});

const PORTS = ['--peer-port', '7001', '--api-port', '7002', '--admin-port', '7003'];

describe('members add', () => {
  test('makes the certificate, asks the leader, writes the file and waits until it votes', async () => {
    const operated = await operatedCluster();
    const before = await readFile(operated.config.file, 'utf8');
    const { code, stdout, stderr } = await members(operated, 'add', '4', '--priority', '7');
    expect([code, stderr]).toEqual([0, expect.stringContaining('member 4: follows, behind by ')]);
    expect(stdout).toContain(`npx blockraft member --config ${operated.config.file} --id 4`);
    expect(stdout).toContain('member 4 votes; the voters are 1, 2, 3, 4');
    expect(operated.cluster.changes).toEqual(['add']);
    const config = await reload(operated);
    const added = memberOf(config, 4);
    expect(added).toMatchObject({ host: '127.0.0.1', joins: true, priority: 7 });
    const { peer, api, admin } = added.ports;
    expect(operated.cluster.configuration.members[3]).toEqual({
      id: 4,
      address: { host: '127.0.0.1', peerPort: peer, apiPort: api, adminPort: admin },
      priority: 7,
    });
    const after = await readFile(operated.config.file, 'utf8');
    expect(after.split('\n').filter((line) => line.startsWith('#'))).toEqual(
      before.split('\n').filter((line) => line.startsWith('#')),
    );
    const shown = await blockraftHere(['certs', 'show', operated.config.file, '--json']);
    const names = JSON.parse(shown.stdout).map(({ name, problem }: Record<string, string>) => [
      name,
      problem,
    ]);
    expect(names).toContainEqual(['member-4', '']);
  });

  test('does no harm when it is repeated', async () => {
    const operated = await operatedCluster();
    expect((await members(operated, 'add', '4', '--no-wait')).code).toBe(0);
    const [text, pem] = [
      await readFile(operated.config.file, 'utf8'),
      await readFile(tlsFiles(operated.config, 'member-4').certificateFile, 'utf8'),
    ];
    const again = await members(operated, 'add', '4', '--json');
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({
      id: 4,
      certificate: 'present',
      votes: true,
      voters: [1, 2, 3, 4],
    });
    expect(operated.cluster.changes).toEqual(['add']);
    expect(await readFile(operated.config.file, 'utf8')).toBe(text);
    expect(await readFile(tlsFiles(operated.config, 'member-4').certificateFile, 'utf8')).toBe(pem);
  });

  test('writes what is missing after the cluster knows the member already', async () => {
    const operated = await operatedCluster();
    const text = await readFile(operated.config.file, 'utf8');
    expect((await members(operated, 'add', '4', '--no-wait')).code).toBe(0);
    const { ports } = memberOf(await reload(operated), 4);
    await writeFile(operated.config.file, text);
    expect((await members(operated, 'add', '4')).code).toBe(0);
    expect(memberOf(await reload(operated), 4).ports).toEqual(ports);
    expect(operated.cluster.changes).toEqual(['add']);
  });

  test('with --manual waits until it has caught up, and promote lets it vote', async () => {
    const operated = await operatedCluster();
    const { code, stdout } = await members(operated, 'add', '9', '--manual');
    expect([code, stdout]).toEqual([0, expect.stringContaining('members promote 9')]);
    expect(operated.cluster.configuration.voters).toEqual([1, 2, 3]);
    for (const _ of [1, 2]) {
      const promoted = await members(operated, 'promote', '9');
      expect([promoted.code, promoted.stdout]).toEqual([0, 'member 9 votes\n']);
    }
    expect(operated.cluster.changes).toEqual(['add', 'promote']);
  });

  test('says where to make a certificate that cannot be made here', async () => {
    const operated = await operatedCluster();
    await rm(join(operated.config.secretsFolder, 'tls', 'ca.key.pem'));
    const { code, stdout } = await members(operated, 'add', '4');
    expect(code).toBe(0);
    expect(stdout).toContain(`certs rotate ${operated.config.file} --only member-4`);
    expect(existsSync(tlsFiles(operated.config, 'member-4').certificateFile)).toBe(false);
  });

  test('asks again while something passes', async () => {
    const operated = await operatedCluster();
    for (const code of ['CHANGE_PENDING', 'NOT_READY', 'OUTCOME_UNKNOWN'] as const)
      operated.cluster.refusals.push(new NodeError(code, 'later'));
    expect((await members(operated, 'add', '4')).code).toBe(0);
    expect(operated.cluster.changes).toEqual(['add']);
  });

  test.each([
    ['CHANGE_PENDING', 4],
    ['OUTCOME_UNKNOWN', 5],
  ] as const)('that always hears %s ends with status %i', async (reason, status) => {
    const operated = await operatedCluster();
    for (let count = 0; count < 50; count += 1)
      operated.cluster.refusals.push(new NodeError(reason, 'no'));
    const { code, stderr } = await members(operated, 'add', '4', '--timeout', '1');
    expect(code).toBe(status);
    expect(stderr).toContain(reason === 'CHANGE_PENDING' ? '[CHANGE_PENDING]' : 'time is up');
    expect((await reload(operated)).members.length).toBe(3);
  });

  test.each([
    [['3'], 4, 'was used before'],
    [['0'], 2, 'is no id of a member'],
    [['70000'], 2, 'is no id of a member'],
    [['4', '--host', '10.0.0.4'], 2, 'give --peer-port, --api-port and --admin-port'],
    [['4', '--host', '10.0.0.4', ...PORTS], 2, 'is a loopback address'],
    [['4', '--host', '0.0.0.0', ...PORTS], 2, 'that the other members can dial'],
    [['4', '--peer-port', '0'], 2, 'give a port from 1 to 65535'],
    [['4', '--priority', '1001'], 2, 'from 0 to 1000'],
  ])('of %j is refused, and nothing is written', async (args, status, message) => {
    const operated = await operatedCluster();
    operated.cluster.configuration = { ...operated.cluster.configuration, highestId: 3 };
    const text = await readFile(operated.config.file, 'utf8');
    if (args[0] === '3') await members(operated, 'remove', '3');
    const { code, stderr } = await members(operated, 'add', ...args);
    expect([code, stderr]).toEqual([status, expect.stringContaining(message)]);
    if (args[0] !== '3') {
      expect(await readFile(operated.config.file, 'utf8')).toBe(text);
      expect(operated.cluster.changes).toEqual([]);
    }
    expect(existsSync(tlsFiles(operated.config, 'member-4').certificateFile)).toBe(false);
  });
});

describe('members remove', () => {
  test('takes a member out of the cluster and of the file, also twice', async () => {
    const operated = await operatedCluster();
    const { code, stdout } = await members(operated, 'remove', '2');
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining('member 2 is removed; the voters are 1, 3'),
    ]);
    const config = await reload(operated);
    expect(config.members.map(({ id, joins }) => [id, joins])).toEqual([
      [1, true],
      [3, true],
    ]);
    expect((await members(operated, 'remove', '2')).code).toBe(0);
    expect(operated.cluster.changes).toEqual(['remove']);
  });

  test('refuses a member that never was, and the last voter', async () => {
    const operated = await operatedCluster();
    const never = await members(operated, 'remove', '8');
    expect([never.code, never.stderr]).toEqual([4, expect.stringContaining('[UNKNOWN_MEMBER]')]);
    await members(operated, 'remove', '1');
    await members(operated, 'remove', '3');
    const last = await members(operated, 'remove', '2');
    expect([last.code, last.stderr]).toEqual([4, expect.stringContaining('[LAST_VOTER]')]);
  });
});

describe('members replace', () => {
  test('puts a new member in the place of another one, in cluster and file', async () => {
    const operated = await operatedCluster();
    await members(operated, 'update', '3', '--priority', '150');
    const { code, stdout } = await members(operated, 'replace', '3', '4');
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining('member 4 votes; the voters are 1, 2, 4'),
    ]);
    expect(operated.cluster.changes).toEqual(['update', 'replace 3']);
    const config = await reload(operated);
    expect(config.members.map(({ id, joins, priority }) => [id, joins, priority])).toEqual([
      [1, true, 100],
      [2, true, 100],
      [4, true, 150],
    ]);
    expect((await members(operated, 'replace', '3', '4')).code).toBe(0);
    expect(operated.cluster.changes).toEqual(['update', 'replace 3']);
  });

  test('refuses a member that is not there, or the same id', async () => {
    const operated = await operatedCluster();
    const unknown = await members(operated, 'replace', '8', '9');
    expect([unknown.code, unknown.stderr]).toEqual([4, expect.stringContaining('no member 8')]);
    expect((await reload(operated)).members.length).toBe(3);
    expect((await members(operated, 'replace', '3', '3')).code).toBe(2);
  });

  test("refuses a member that is there already and takes nobody's place", async () => {
    const operated = await operatedCluster();
    await members(operated, 'add', '4', '--manual', '--no-wait');
    const text = await readFile(operated.config.file, 'utf8');
    for (const id of ['2', '4']) {
      const { code, stdout, stderr } = await members(operated, 'replace', '3', id, '--no-wait');
      expect([code, stdout]).toEqual([4, '']);
      expect(stderr).toContain(`member ${id} is in the cluster already and does not replace 3`);
    }
    expect(operated.cluster.changes).toEqual(['add']);
    expect(await readFile(operated.config.file, 'utf8')).toBe(text);
  });

  test('with --manual goes on when it is repeated, and promote takes the old one out of the file', async () => {
    const operated = await operatedCluster();
    for (const _ of [1, 2]) {
      const { code, stdout } = await members(operated, 'replace', '3', '4', '--manual');
      expect([code, stdout]).toEqual([0, expect.stringContaining('members promote 4')]);
    }
    expect(operated.cluster.changes).toEqual(['replace 3']);
    expect((await members(operated, 'promote', '4')).code).toBe(0);
    expect((await reload(operated)).members.map(({ id }) => id)).toEqual([1, 2, 4]);
    const { stdout } = await members(operated, 'add', '4', '--manual');
    expect(stdout).toContain('member 4 votes; the voters are 1, 2, 4');
  });
});

describe('members update', () => {
  test('changes the cluster and the file', async () => {
    const operated = await operatedCluster();
    const { code, stdout } = await members(
      operated,
      'update',
      '1',
      '--priority',
      '0',
      '--host',
      '127.0.0.9',
    );
    expect([code, stdout]).toEqual([0, expect.stringContaining('--only member-1')]);
    expect(stdout).toContain(`start it anew with the changed ${operated.config.file}`);
    const expected = { host: '127.0.0.9', priority: 0 };
    expect(memberOf(await reload(operated), 1)).toMatchObject(expected);
    expect(operated.cluster.configuration.members[0]).toMatchObject({
      address: { host: '127.0.0.9' },
      priority: 0,
    });
  });

  test('needs something that changes', async () => {
    const operated = await operatedCluster();
    expect((await members(operated, 'update', '1')).code).toBe(2);
    expect((await members(operated, 'update', '8', '--priority', '1')).code).toBe(4);
  });
});

describe('leader', () => {
  test('is shown and moved', async () => {
    const operated = await operatedCluster();
    const leader = (...args: string[]) =>
      blockraftHere(['leader', ...args, '--config', operated.config.file]);
    expect((await leader('show')).stdout).toMatch(/^member 2 leads in term 7, API at 127/);
    expect((await leader('transfer', '3')).stdout).toBe('member 3 leads in term 7\n');
    expect(operated.cluster.leaderId).toBe(3);
    expect(JSON.parse((await leader('show', '--json')).stdout).leaderId).toBe(3);
    expect((await leader('transfer', '3')).code).toBe(0);
    const unknown = await leader('transfer', '8');
    expect([unknown.code, unknown.stderr]).toEqual([
      4,
      expect.stringContaining('[UNKNOWN_MEMBER]'),
    ]);
    operated.cluster.leaderId = undefined;
    expect((await leader('show')).code).toBe(1);
  });
});

describe('members recover', () => {
  test('without --force tells what to do first, and does nothing', async () => {
    const { clusterFile } = await newCluster({ template: 'local-3' });
    const args = ['members', 'recover', '--config', clusterFile, '--id', '1', '--lost', '2,3'];
    const { code, stdout, stderr } = await blockraft(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('member 2 and member 3 can never run again');
    expect(stderr).toContain('nothing was done: add --force');
  });

  test.each([
    ['1', '1,2', 'the survivor, too'],
    ['1', '2,2', 'twice'],
    ['1', '2;3', 'is no id of a member'],
    ['9', '2,3', 'there is no member 9'],
  ])('of %s with --lost %s is refused', async (id, lost, message) => {
    const { clusterFile } = await newCluster({ template: 'local-3' });
    const args = ['--config', clusterFile, '--id', id, '--lost', lost, '--force'];
    const { code, stderr } = await blockraftHere(['members', 'recover', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
