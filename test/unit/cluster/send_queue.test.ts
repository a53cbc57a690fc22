import { expect, test } from 'vitest';
import { Assembler } from '../../../src/cluster/assembler.ts';
import {
  FRAME_MESSAGES_MAX,
  FRAME_PAYLOAD_BYTES_MAX,
  PAYLOAD_OVERHEAD_BYTES,
} from '../../../src/cluster/limits.ts';
import { SendQueue } from '../../../src/cluster/send_queue.ts';

const MEBIBYTE = 1024 * 1024;

/** Park and Miller's generator: enough to vary shapes, and the same for a seed everywhere. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

interface Received {
  readonly requestId: number;
  readonly payload: Uint8Array;
}

/** Takes everything out as a peer would see it. */
function drain(
  queue: SendQueue,
  assembler: Assembler,
  pieces = Number.POSITIVE_INFINITY,
): Received[] {
  const received: Received[] = [];
  for (let count = 0; count < pieces; count += 1) {
    const next = queue.next();
    if (next === undefined) break;
    const { piece, costBytes } = next;
    if (piece.kind === 'messages') {
      expect(piece.payloads.length).toBeLessThanOrEqual(FRAME_MESSAGES_MAX);
      const bytes = piece.payloads.reduce((sum, { length }) => sum + length, 0);
      expect(bytes).toBeLessThanOrEqual(FRAME_PAYLOAD_BYTES_MAX);
      received.push(...piece.payloads.map((payload) => ({ requestId: 0, payload })));
    } else if (piece.kind === 'whole') {
      received.push({ requestId: piece.requestId, payload: piece.payload });
    } else {
      expect(piece.data.length).toBeLessThanOrEqual(FRAME_PAYLOAD_BYTES_MAX);
      const whole = assembler.accept(piece);
      if (whole !== undefined) received.push(whole);
    }
    queue.written(costBytes);
  }
  return received;
}

test.each([1, 2, 3, 4, 5])('what goes in comes out, in order and bounded (seed %i)', (seed) => {
  const random = randomOf(seed);
  const bytesMax = 4 * MEBIBYTE;
  const queue = new SendQueue(bytesMax);
  const assembler = new Assembler(2 * MEBIBYTE);
  const expected: Received[] = [];
  const received: Received[] = [];
  let waitingBytes = 0;
  for (let step = 0; step < 2_000; step += 1) {
    const length = random(20) === 0 ? random(2 * MEBIBYTE) : random(2_000);
    const payload = new Uint8Array(length).fill(step & 0xff);
    const requestId = random(3) === 0 ? step + 1 : 0;
    const hasRoom = waitingBytes + length + PAYLOAD_OVERHEAD_BYTES <= bytesMax;
    const isAccepted = queue.offer({ payload, requestId });
    // A payload that is partly written counts less than this model thinks, so only one direction is sure.
    if (hasRoom) expect(isAccepted).toBe(true);
    if (isAccepted) expected.push({ requestId, payload });
    if (isAccepted) waitingBytes += length + PAYLOAD_OVERHEAD_BYTES;
    for (const item of drain(queue, assembler, random(3))) {
      received.push(item);
      waitingBytes -= item.payload.length + PAYLOAD_OVERHEAD_BYTES;
    }
  }
  received.push(...drain(queue, assembler));
  expect(received.length).toBe(expected.length);
  const isSame = received.every((item, index) => {
    const other = expected[index];
    return (
      other !== undefined &&
      item.requestId === other.requestId &&
      Buffer.compare(item.payload, other.payload) === 0
    );
  });
  expect(isSame).toBe(true);
  // Every byte was given back: the whole room is there again.
  expect(
    queue.offer({ payload: new Uint8Array(bytesMax - PAYLOAD_OVERHEAD_BYTES), requestId: 0 }),
  ).toBe(true);
  expect(queue.offer({ payload: new Uint8Array(0), requestId: 0 })).toBe(false);
});

test('empty payloads are bounded too', () => {
  const queue = new SendQueue(10 * PAYLOAD_OVERHEAD_BYTES);
  const accepted = Array.from({ length: 20 }, () =>
    queue.offer({ payload: new Uint8Array(0), requestId: 0 }),
  );
  expect(accepted.filter(Boolean).length).toBe(10);
});

test('a request can be taken back until its first chunk has left', () => {
  const queue = new SendQueue(4 * MEBIBYTE);
  const payload = new Uint8Array(MEBIBYTE);
  queue.offer({ payload, requestId: 1 });
  queue.offer({ payload, requestId: 2 });
  queue.next();
  expect(queue.withdraw(1)).toBe(false);
  expect(queue.withdraw(2)).toBe(true);
  expect(queue.withdraw(2)).toBe(false);
  const rest = drain(queue, new Assembler(MEBIBYTE), 0);
  expect(rest).toEqual([]);
});

test.each([
  ['empty', [{ totalBytes: MEBIBYTE, data: new Uint8Array(0) }]],
  [
    'longer than announced',
    [
      { totalBytes: FRAME_PAYLOAD_BYTES_MAX + 1, data: new Uint8Array(FRAME_PAYLOAD_BYTES_MAX) },
      { totalBytes: 0, data: new Uint8Array(2) },
    ],
  ],
  [
    'of two payloads at once',
    [
      { totalBytes: MEBIBYTE, data: new Uint8Array(5) },
      { totalBytes: MEBIBYTE, data: new Uint8Array(5) },
    ],
  ],
  ['above the limit', [{ totalBytes: 3 * MEBIBYTE, data: new Uint8Array(5) }]],
  ['of nothing', [{ totalBytes: 0, data: new Uint8Array(5) }]],
])('chunks that are %s are malformed', (_name, chunks) => {
  const assembler = new Assembler(2 * MEBIBYTE);
  const acceptAll = (): void => {
    for (const chunk of chunks) assembler.accept({ requestId: 0, ...chunk });
  };
  expect(acceptAll).toThrowError(expect.objectContaining({ code: 'MALFORMED' }));
});
