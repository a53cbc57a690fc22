import { afterEach, beforeEach, expect, test } from 'vitest';
import { FRAME_PAYLOAD_BYTES_MAX } from '../../../src/cluster/limits.ts';
import { eventually, Fixture, type TestMember } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await Fixture.open([1, 2, 3]);
});

afterEach(async () => {
  await fixture.close();
});

async function pair(
  limits: Parameters<Fixture['member']>[1] = {},
): Promise<[TestMember, TestMember]> {
  const first = fixture.member(1, limits);
  const second = fixture.member(2, limits);
  await Promise.all([first.start(), second.start()]);
  await Promise.all([first.connected(2), second.connected(1)]);
  await bulkReady(first, 2);
  await bulkReady(second, 1);
  await Promise.all(
    [first, second].map((member) => member.until(() => member.messages.length > 0)),
  );
  first.messages.length = 0;
  second.messages.length = 0;
  return [first, second];
}

/** The bulk connection is made on its own; it is there when it takes a message. */
async function bulkReady(member: TestMember, peer: number): Promise<void> {
  await eventually(() => member.transport.send(peer, 'bulk', new Uint8Array(0)));
}

function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) bytes[index] = (index * 31 + seed) & 0xff;
  return bytes;
}

test('three members hear each other on both channels', async () => {
  const members = [1, 2, 3].map((id) => fixture.member(id));
  await Promise.all(members.map((member) => member.start()));
  for (const member of members)
    for (const other of members)
      if (other !== member) {
        await member.connected(other.id);
        await bulkReady(member, other.id);
        member.transport.send(other.id, 'control', pattern(10, member.id));
      }
  for (const member of members) {
    await member.until(
      () => member.messages.filter(({ payload }) => payload.length === 10).length === 2,
    );
    const senders = member.messages.filter(({ payload }) => payload.length === 10);
    for (const { from, payload } of senders)
      expect(payload).toEqual(Buffer.from(pattern(10, from)));
    expect(new Set(senders.map(({ from }) => from)).size).toBe(2);
  }
});

test('payloads around the frame size arrive whole and in order, on either channel', async () => {
  const [first, second] = await pair();
  const lengths = [
    0,
    1,
    FRAME_PAYLOAD_BYTES_MAX - 1,
    FRAME_PAYLOAD_BYTES_MAX,
    FRAME_PAYLOAD_BYTES_MAX + 1,
    5,
    2 * FRAME_PAYLOAD_BYTES_MAX,
    5 * FRAME_PAYLOAD_BYTES_MAX + 17,
    3,
  ];
  for (const channel of ['control', 'bulk'] as const) {
    second.messages.length = 0;
    for (const [seed, length] of lengths.entries())
      expect(first.transport.send(2, channel, pattern(length, seed))).toBe(true);
    await second.until(() => second.messages.length === lengths.length);
    for (const [seed, length] of lengths.entries()) {
      const payload = second.messages[seed]?.payload;
      expect(payload?.equals(pattern(length, seed))).toBe(true);
    }
  }
});

test('many small messages keep their order', async () => {
  const [first, second] = await pair();
  const count = 20_000;
  for (let number = 0; number < count; number += 1) {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(number);
    expect(first.transport.send(2, 'control', payload)).toBe(true);
  }
  await second.until(() => second.messages.length === count);
  expect(second.messages.every(({ payload }, index) => payload.readUInt32BE() === index)).toBe(
    true,
  );
});

test('a control message overtakes bulk ones that were sent before it', async () => {
  const [first, second] = await pair();
  const block = pattern(32 * 1024 * 1024, 1);
  for (let count = 0; count < 3; count += 1) first.transport.send(2, 'bulk', block);
  first.transport.send(2, 'control', pattern(1, 1));
  await second.until(() => second.messages.length === 4);
  expect(second.messages[0]?.payload.length).toBe(1);
});

test('a full queue refuses, keeps what it accepted, and takes more when it has drained', async () => {
  const [first, second] = await pair({ limits: { controlQueueBytesMax: 3_000_000 } });
  fixture.relay(1).silence();
  fixture.relay(2).silence();
  let accepted = 0;
  while (accepted < 1_000 && first.transport.send(2, 'control', pattern(100_000, accepted)))
    accepted += 1;
  // Kernel buffers take some of it before the queue fills up.
  expect(accepted).toBeLessThan(1_000);
  expect(first.transport.send(2, 'bulk', new Uint8Array(1))).toBe(true);
  fixture.relay(1).resume();
  fixture.relay(2).resume();
  await second.until(() => second.messages.length === accepted + 1);
  const control = second.messages.filter(({ payload }) => payload.length > 1);
  expect(control.every(({ payload }, seed) => payload.equals(pattern(100_000, seed)))).toBe(true);
  expect(first.transport.send(2, 'control', pattern(100_000, 0))).toBe(true);
});

test('sending to a stranger or before connecting is refused', async () => {
  const member = fixture.member(1);
  await member.start();
  expect(member.transport.send(2, 'control', new Uint8Array(1))).toBe(false);
  expect(member.transport.send(9, 'bulk', new Uint8Array(1))).toBe(false);
});
