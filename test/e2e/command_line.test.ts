import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeDevAccounts } from '../../src/cli/init_cluster.ts';
import { addressText } from '../../src/config/address_text.ts';
import { spawnMember } from '../../src/lab/processes.ts';
import { requireTracesAllowed } from '../spec/check_trace.ts';
import { type TestCluster, testCluster } from './harness.ts';
import { runCli, startCli } from './run_cli.ts';

const RECIPIENT = addressText(new Uint8Array(20).fill(0x5e));

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'blockraft-e2e-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('commands against a running cluster', () => {
  let cluster: TestCluster;
  const cli = (...args: string[]) => runCli([...args, '--config', cluster.configFile]);

  beforeAll(async () => {
    cluster = await testCluster('local-3');
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test('status shows all members, as a table and as JSON', async () => {
    const table = await cli('status');
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/leader/);
    const json = await cli('status', '--json');
    const { members } = JSON.parse(json.stdout);
    expect(members.map(({ id }: { id: number }) => id)).toEqual([1, 2, 3]);
    expect(members.filter(({ role }: { role: string }) => role === 'leader').length).toBe(1);
    expect(members.map(({ pid }: { pid: number }) => pid)).toEqual(
      [1, 2, 3].map((id) => cluster.processes.pidOf(id)),
    );
  });

  test('a payment is built, submitted, and seen in its block and account', async () => {
    const [dev] = makeDevAccounts(1);
    const keyFile = join(cluster.folder, 'key');
    await writeFile(keyFile, dev!.privateKey);
    const submitted = await cli(
      ...['submit', '--from-key-file', keyFile, '--to', RECIPIENT, '--value', '1.5 ether'],
      '--json',
    );
    expect(submitted).toMatchObject({ code: 0, stderr: '' });
    const { hash, state, height } = JSON.parse(submitted.stdout);
    expect(state).toBe('included');
    const account = await cli('account', RECIPIENT);
    expect(account.stdout).toContain('1.5 ether');
    expect(account.stdout).toContain(RECIPIENT);
    const block = JSON.parse((await cli('block', String(height), '--json')).stdout);
    expect(block.transactions).toContain(hash);
    const latest = JSON.parse((await cli('block', 'latest', '--json')).stdout);
    expect(latest.height).toBeGreaterThanOrEqual(height);
    const byId = JSON.parse((await cli('block', block.id, '--json')).stdout);
    expect(byId).toEqual(block);
  });

  test('a contract is told by its address, and what failed in its block by exit status 1', async () => {
    const [dev] = makeDevAccounts(1);
    const keyFile = join(cluster.folder, 'key');
    await writeFile(keyFile, dev!.privateKey);
    const submit = (...args: string[]) => cli('submit', '--from-key-file', keyFile, ...args);
    // Code that reverts whatever it is called with.
    const made = await submit('--data', '0x6460006000fd6000526005601bf3', '--json');
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const { succeeded, contract } = JSON.parse(made.stdout);
    expect([succeeded, contract]).toEqual([true, expect.stringMatching(/^0x[0-9a-fA-F]{40}$/)]);
    const reverted = await submit('--to', contract, '--gas-limit', '100000');
    expect(reverted.code).toBe(1);
    expect(reverted.stdout).toContain(' included in block ');
    expect(reverted.stderr).toContain('its execution failed');
  });

  test('a refusal is exit status 4 with its reason', async () => {
    const { code, stderr } = await cli('submit', '0x03c0');
    expect(code).toBe(4);
    expect(stderr).toContain('UNSUPPORTED_TRANSACTION_TYPE');
  });

  test('a workload runs against it and compares with its replay', async () => {
    const run = await cli(
      ...['workload', '--generate', 'voting', '-n', '300', '--conflict', '20'],
      ...['--order-sensitive', '--json'],
    );
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(run.stdout)).toMatchObject({
      sent: 300,
      acknowledged: 300,
      refused: 0,
      missing: 0,
      differences: [],
    });
  });

  test('nobody there is exit status 3', async () => {
    const { code, stdout } = await runCli(['status', '--address', '127.0.0.1:1']);
    expect(code).toBe(3);
    expect(stdout).toContain('unreachable');
  });
});

describe('up', () => {
  test('starts a cluster, and Ctrl-C stops it and leaves no process', async () => {
    const folder = await temporaryFolder();
    const made = await testCluster('local-3', { started: false });
    onTestFinished(() => made.stop());
    const traces = join(made.folder, 'traces');
    const up = startCli(['up', made.configFile, '--trace', traces], { HOME: folder });
    const statuses = await made.watch.until('the state that the test waits for', (members) =>
      members.every(({ status }) => status?.ready === true),
    );
    up.child.kill('SIGINT');
    const { code, stdout } = await up.ended;
    expect(code).toBe(0);
    for (const { id } of statuses) expect(stdout).toContain(`${id} | `);
    for (const { status } of statuses) expect(isAlive(status!.pid)).toBe(false);
    expect(requireTracesAllowed(await made.traces()).counts.get('start')).toBe(3);
  });

  test('a member that dies for good is told, the others go on, and the exit status is 1', async () => {
    const made = await testCluster('local-3', { started: false });
    onTestFinished(() => made.stop());
    const up = startCli(['up', made.configFile]);
    const members = await made.watch.until('the state that the test waits for', (seen) =>
      seen.every(({ status }) => status?.ready === true),
    );
    process.kill(members[0]!.status!.pid, 'SIGKILL');
    await made.watch.until(
      'the death is told and the others go on',
      (seen) => up.stderr().includes('member 1 ended (SIGKILL)') && seen[1]?.status?.ready === true,
    );
    up.child.kill('SIGTERM');
    expect((await up.ended).code).toBe(1);
  });
});

test('members end when whoever started them is gone', async () => {
  const made = await testCluster('solo', { started: false });
  onTestFinished(() => made.stop());
  const child = spawnMember({
    configFile: made.configFile,
    id: 1,
    nodeArguments: [],
    output: 'pipe',
    environment: process.env,
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.stdout?.resume();
  child.stderr?.resume();
  await made.watch.until('ready', ([only]) => only?.status?.ready === true);
  child.stdin?.end();
  expect(await exited).toBe(0);
});

describe('the demonstration', () => {
  test.each(['leader', 'follower', 'none'])('holds when it kills: %s', async (victim) => {
    const folder = await temporaryFolder();
    const file = join(folder, 'report.json');
    const run = await runCli(['demo', '--exit', '-n', '1500', '--kill', victim, '--report', file], {
      TMPDIR: folder,
    });
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('The audit holds.');
    const report = JSON.parse(await readFile(file, 'utf8'));
    expect(Object.keys(report)).toEqual([
      'sent',
      'acknowledged',
      'committed',
      'lost',
      'duplicated',
      'throughputPerSecond',
      'failoverMs',
      'rootsEqual',
      'height',
    ]);
    expect(report).toMatchObject({
      sent: 1500,
      acknowledged: 1500,
      committed: 1500,
      lost: 0,
      duplicated: 0,
      rootsEqual: true,
    });
    expect(report.failoverMs === null).toBe(victim === 'none');
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
