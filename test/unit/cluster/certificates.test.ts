import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually, Fixture, newAuthority, replaceFile, type TestMember } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await Fixture.open([1, 2]);
});

afterEach(async () => {
  await fixture.close();
});

async function connectedPair(): Promise<[TestMember, TestMember]> {
  const first = fixture.member(1);
  const second = fixture.member(2);
  await Promise.all([first.start(), second.start()]);
  await Promise.all([first.connected(2), second.connected(1)]);
  return [first, second];
}

function reloads(member: TestMember): number {
  return member.logger.events('cluster.certificates_reloaded').length;
}

/** Rotates all files and waits until the member has taken them over. */
async function rotated(
  member: TestMember,
  options: Parameters<Fixture['writeTls']>[2] = {},
): Promise<void> {
  const before = reloads(member);
  await fixture.writeTls('member', String(member.id), options);
  await eventually(() => reloads(member) > before);
}

async function reconnect(first: TestMember, second: TestMember): Promise<void> {
  first.connections.length = 0;
  second.connections.length = 0;
  fixture.relay(1).cut();
  fixture.relay(2).cut();
  await Promise.all([
    first.until(() => first.connections.some(({ isConnected }) => !isConnected)),
    second.until(() => second.connections.some(({ isConnected }) => !isConnected)),
  ]);
  await Promise.all([first.connected(2), second.connected(1)]);
}

test('new certificates of the same CA disturb nothing and serve the next connections', async () => {
  const [first, second] = await connectedPair();
  await rotated(first);
  await rotated(second);
  expect(first.connections).toEqual([{ peer: 2, isConnected: true }]);
  expect(second.connections).toEqual([{ peer: 1, isConnected: true }]);
  await reconnect(first, second);
});

test('a new CA comes in by overlap: trust both, change certificates, trust the new one', async () => {
  const [first, second] = await connectedPair();
  const old = fixture.authority;
  const next = await newAuthority();
  const steps = [
    { authority: old, trusted: [old, next] },
    { authority: next, trusted: [old, next] },
    { authority: next, trusted: [next] },
  ];
  for (const step of steps) {
    for (const member of [first, second]) {
      await rotated(member, step);
      // Also while only one of them has taken the step.
      await reconnect(first, second);
    }
  }
});

test('after the last step of a CA change the old CA is refused', async () => {
  const [first, second] = await connectedPair();
  const next = await newAuthority();
  await rotated(first, { authority: next });
  fixture.relay(1).cut();
  fixture.relay(2).cut();
  await Promise.all([first.disconnected(2), second.disconnected(1)]);
  const failed = (member: TestMember): number =>
    member.logger.events('cluster.connect_failed').length;
  await eventually(() => failed(first) > 3 && failed(second) > 3);
  expect(first.transport.isConnected(2)).toBe(false);
});

test('files that do not fit together, or are of somebody else, change nothing', async () => {
  const [first, second] = await connectedPair();
  const files = fixture.files('member-1');
  const kept = (): number => first.logger.events('cluster.certificates_kept').length;
  await replaceFile(files.keyFile, 'no key at all');
  await eventually(() => kept() === 1);
  await reconnect(first, second);
  await fixture.writeTls('member', '2', { file: 'member-1' });
  await eventually(() =>
    first.logger
      .events('cluster.certificates_kept')
      .some(({ reason }) => String(reason).includes('is not the certificate of member 1')),
  );
  await reconnect(first, second);
  await fixture.writeTls('member', '1');
  await eventually(() => reloads(first) > 0);
  await reconnect(first, second);
});

test('a start without usable certificates says what is wrong and leaves nothing open', async () => {
  const files = fixture.files('member-1');
  await expect(
    fixture.member(1, { tls: fixture.files('member-2') }).transport.start(),
  ).rejects.toMatchObject({
    code: 'CERTIFICATES_UNUSABLE',
    message: expect.stringContaining('member 1 of cluster test'),
  });
  await replaceFile(files.keyFile, 'no key at all');
  await expect(fixture.member(1).transport.start()).rejects.toMatchObject({
    code: 'CERTIFICATES_UNUSABLE',
    message: expect.stringContaining('do not fit together'),
  });
  await rm(files.certificateFile);
  await expect(fixture.member(1).transport.start()).rejects.toMatchObject({
    code: 'CERTIFICATES_UNUSABLE',
    message: expect.stringContaining(files.certificateFile),
  });
});

test('a port in use says so', async () => {
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
  const { port } = squatter.address() as { port: number };
  const member = fixture.member(1, { listenPort: port });
  await expect(member.start()).rejects.toMatchObject({
    code: 'CANNOT_LISTEN',
    fields: { port },
    message: expect.stringContaining('EADDRINUSE'),
  });
  await new Promise((resolve) => squatter.close(resolve));
});
