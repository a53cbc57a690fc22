import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { addressOfNewMember } from '../../../src/cli/member_address.ts';
import { member, minimalCluster, type PlainCluster, parse } from '../config/cluster_text.ts';

function configOf(members: readonly PlainCluster[]) {
  return parse({ ...minimalCluster(), members });
}

function ports(peer: number, api: number, admin: number) {
  return { peer, api, admin };
}

/** Below the range from which systems hand out ports, so that no other test is given one of these. */
const BASES = Array.from({ length: 100 }, (_, position) => 21_000 + 100 * position);

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Three members whose ports rise evenly, and nobody uses the blocks that follow. */
async function evenCluster() {
  for (const base of BASES) {
    const at = (id: number) => ports(base + 4 * id, base + 4 * id + 1, base + 4 * id + 2);
    const next = [4, 5].flatMap((id) => Object.values(at(id)));
    if ((await Promise.all(next.map(isFree))).includes(false)) continue;
    const members = [1, 2, 3].map((id) => ({ id, host: '127.0.0.1', ports: at(id) }));
    return { config: configOf(members), at };
  }
  throw new Error('no block of ports is free');
}

describe('the address of a new member', () => {
  test('on a loopback address is the block of its id', async () => {
    const { config, at } = await evenCluster();
    expect(await addressOfNewMember(config, 5, {})).toEqual({ host: '127.0.0.1', ports: at(5) });
  });

  test('is a free one where that block is taken', async () => {
    const { config, at } = await evenCluster();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at(4).api, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const found = (await addressOfNewMember(config, 4, {})).ports;
    expect(found).not.toEqual(at(4));
    expect(new Set(Object.values(found)).size).toBe(3);
  });

  test.each([
    [
      'not even',
      [ports(7_001, 7_002, 7_003), ports(7_011, 7_012, 7_013), ports(7_051, 7_052, 7_053)],
    ],
    ['falling', [ports(30, 31, 32), ports(20, 21, 22), ports(10, 11, 12)]],
  ])('is a free one where the numbers are %s', async (_, blocks) => {
    const members = blocks.map((block, index) => ({
      id: index + 1,
      host: '127.0.0.1',
      ports: block,
    }));
    const found = await addressOfNewMember(configOf(members), 4, {});
    const used = blocks.flatMap((block) => Object.values(block));
    for (const port of Object.values(found.ports)) {
      expect(port).toBeGreaterThan(1_023);
      expect(used).not.toContain(port);
    }
  });

  test('keeps what was given', async () => {
    const { config, at } = await evenCluster();
    const flags = { host: 'localhost', apiPort: 5 };
    expect(await addressOfNewMember(config, 4, flags)).toEqual({
      host: 'localhost',
      ports: { ...at(4), api: 5 },
    });
  });

  test('on a machine of its own has the ports that all have', async () => {
    const same = ports(7_100, 7_101, 7_102);
    const members = [1, 2, 3].map((id) => ({ id, host: `10.0.0.1${id}`, ports: same }));
    const config = configOf(members);
    expect((await addressOfNewMember(config, 4, { host: '10.0.0.14' })).ports).toEqual(same);
    await expect(addressOfNewMember(config, 4, { host: '10.0.0.13' })).rejects.toThrow(
      'give --peer-port, --api-port and --admin-port',
    );
    await expect(addressOfNewMember(config, 4, {})).rejects.toThrow('give --host');
  });

  test('cannot be guessed where machines differ', async () => {
    const config = configOf([member(1, '10.0.0.1'), member(2, '10.0.0.2'), member(3, '10.0.0.3')]);
    await expect(addressOfNewMember(config, 4, { host: '10.0.0.4' })).rejects.toThrow(
      '--peer-port',
    );
  });
});
