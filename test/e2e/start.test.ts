import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load_config.ts';
import { sleep, type TestCluster, testCluster } from './harness.ts';
import { runCli } from './run_cli.ts';

async function cluster(template: string): Promise<TestCluster> {
  const made = await testCluster(template, { started: false });
  onTestFinished(() => made.stop());
  return made;
}

const member = (made: TestCluster, id: number): string[] => [
  'member',
  '--config',
  made.configFile,
  '--id',
  String(id),
];

describe('a start that must not happen', () => {
  test('a wrong cluster file is exit status 2 and names the place', async () => {
    const made = await cluster('solo');
    const text = await readFile(made.configFile, 'utf8');
    await writeFile(made.configFile, `${text}raft:\n  heartbeatMs: 5000\n`);
    const { code, stderr } = await runCli(member(made, 1));
    expect(code).toBe(2);
    expect(stderr).toMatch(/cluster\.yaml.*raft\.heartbeatMs.*5000/);
  });

  test('a wrong genesis is exit status 2 and names the place', async () => {
    const made = await cluster('solo');
    const file = join(made.folder, 'cluster', 'genesis.yaml');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(/chainId: .*/, 'chainId: 0'));
    const { code, stderr } = await runCli(member(made, 1));
    expect(code).toBe(2);
    expect(stderr).toMatch(/genesis\.yaml.*chainId/);
  });

  test('a member that the file does not have is exit status 2', async () => {
    const made = await cluster('solo');
    const { code, stderr } = await runCli(member(made, 4));
    expect(code).toBe(2);
    expect(stderr).toMatch(/no member 4/);
  });

  test.each(['peer', 'api', 'admin'] as const)(
    'a %s port in use is a clear error, and nothing else was opened',
    async (name) => {
      const made = await cluster('solo');
      const config = await loadConfig({ file: made.configFile, environment: {} });
      const ports = config.members[0]!.ports;
      const taken = await listen(ports[name]);
      const { code, stderr, stdout } = await runCli(member(made, 1));
      taken.close();
      expect(code).toBe(1);
      expect(stderr + stdout).toContain(String(ports[name]));
      expect(stderr + stdout).toMatch(/in use/);
      for (const port of Object.values(ports))
        if (port !== ports[name]) expect(await isOpen(port)).toBe(false);
    },
  );

  test('a data folder that cannot be one is a clear error', async () => {
    const made = await cluster('solo');
    await writeFile(join(made.folder, 'cluster', 'data'), 'a file');
    const { code, stderr } = await runCli(member(made, 1));
    expect(code).toBe(1);
    expect(stderr).toContain(join(made.folder, 'cluster', 'data'));
  });

  test('a data folder of another cluster is refused and stays as it is', async () => {
    const first = await cluster('solo');
    first.processes.startAll();
    await first.processes.waitReady();
    await first.processes.stopAll();
    const second = await cluster('solo');
    const data = join(first.folder, 'cluster', 'data');
    const { code, stderr } = await runCli(member(second, 1), { BLOCKRAFT_DATA: data });
    expect(code).toBe(1);
    expect(stderr).toMatch(/another|genesis|chain/i);
    first.processes.startAll();
    await first.processes.waitReady();
  });

  test('a data folder of another member is refused', async () => {
    const made = await cluster('local-3');
    const data = join(made.folder, 'cluster', 'data');
    made.processes.start(1);
    while (!existsSync(join(data, 'member-1', 'VERSION'))) await sleep(20);
    await sleep(500);
    await made.processes.stopAll();
    await rename(join(data, 'member-1'), join(data, 'member-2'));
    const { code, stderr } = await runCli(member(made, 2));
    expect(code).toBe(1);
    expect(stderr).toMatch(/memberId 1 .* 2/);
  });
});

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
