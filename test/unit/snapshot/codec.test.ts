import { describe, expect, test } from 'vitest';
import { ChunkWriter, PairAssembler } from '../../../src/snapshot/chunk.ts';
import { decodeManifest, encodeManifest } from '../../../src/snapshot/manifest.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  FRAME_BYTES_MAX,
  type SnapshotResponse,
} from '../../../src/snapshot/wire.ts';
import { seededRandom } from '../wal/wal_fixture.ts';
import { bytesOf, CHAIN, head } from './fixture.ts';

const ID = bytesOf(8, 1);
const START = { key: bytesOf(30, 2), offset: 70_000 };
const HEADER = { ...CHAIN, ...head(40, 3) };

const RESPONSES: SnapshotResponse[] = [
  { type: 'opened', snapshotId: ID, header: HEADER, start: START },
  { type: 'chunk', snapshotId: ID, number: 3, next: START, payload: bytesOf(300, 4) },
  {
    type: 'chunk',
    snapshotId: ID,
    number: 0,
    next: { chunkCount: 1, digest: bytesOf(32, 5) },
    payload: new Uint8Array(0),
  },
  { type: 'refused', refusal: 'busy' },
];

describe('the wire', () => {
  test('gives back what was sent', () => {
    for (const response of RESPONSES)
      expect(decodeResponse(encodeResponse(response))).toEqual(response);
    for (const request of [
      { type: 'open', atLeastIndex: 12 },
      { type: 'chunk', snapshotId: ID, number: 7, start: START },
    ] as const)
      expect(decodeRequest(encodeRequest(request))).toEqual(request);
    const manifest = { ...HEADER, chunkCount: 9, digest: bytesOf(32, 6) };
    expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
  });

  test('scenario 53: refuses a message with any one bit flipped, or cut anywhere', () => {
    for (const response of RESPONSES) {
      const bytes = encodeResponse(response);
      for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
        const flipped = bytes.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => decodeResponse(flipped)).toThrow(/checksum/);
      }
      for (let length = 0; length < bytes.length; length += 1)
        expect(() => decodeResponse(bytes.subarray(0, length))).toThrow();
    }
    expect(() => decodeResponse(new Uint8Array(FRAME_BYTES_MAX + 1))).toThrow(/too long/);
  });

  test('tells requests and responses apart', () => {
    const request = encodeRequest({ type: 'open', atLeastIndex: 1 });
    expect(() => decodeResponse(request)).toThrow(/unknown/);
    for (const response of RESPONSES)
      expect(() => decodeRequest(encodeResponse(response))).toThrow();
  });
});

describe('chunks', () => {
  test.each([1, 2, 3, 4, 5])('any pairs survive being cut, seed %i', (seed) => {
    const random = seededRandom(seed);
    const size = (): number => Math.floor(random() ** 4 * 20_000);
    const pairs = Array.from({ length: 200 }, (_, at): [Uint8Array, Uint8Array] => [
      bytesOf(1 + Math.floor(random() * 60), at),
      bytesOf(size(), seed * 1_000 + at),
    ]);
    const payloads: Uint8Array[] = [];
    let writer = new ChunkWriter({ bytesMax: 2_000 });
    for (const [key, value] of pairs)
      for (let offset = 0; ; ) {
        const reached = writer.add(key, value, offset);
        if (reached === value.length) break;
        offset = reached ?? offset;
        payloads.push(writer.payload());
        writer = new ChunkWriter({ bytesMax: 2_000 });
      }
    payloads.push(writer.payload());
    const assembler = new PairAssembler();
    const found: [Uint8Array, Uint8Array][] = [];
    for (const payload of payloads) {
      expect(payload.length).toBeLessThanOrEqual(2_000);
      assembler.add(payload, (key, value) => found.push([key.slice(), value.slice()]));
    }
    assembler.finish();
    expect(found).toEqual(pairs);
  });

  test('scenario 50: chunks of a long value that are missing, doubled or swapped are refused', () => {
    const value = bytesOf(10_000, 1);
    const payloads: Uint8Array[] = [];
    for (let offset = 0; offset < value.length; ) {
      const writer = new ChunkWriter({ bytesMax: 2_000 });
      offset = writer.add(START.key, value, offset) ?? offset;
      payloads.push(writer.payload());
    }
    const [first, second, third] = payloads as [Uint8Array, Uint8Array, Uint8Array];
    for (const wrong of [[second], [first, third], [first, first], [first, second, second]]) {
      const assembler = new PairAssembler();
      expect(() => {
        for (const payload of wrong) assembler.add(payload, () => undefined);
      }).toThrow(/does not continue/);
    }
    const assembler = new PairAssembler();
    assembler.add(first, () => undefined);
    expect(() => assembler.finish()).toThrow(/cut off/);
  });

  test('nonsense is refused without taking memory for it', () => {
    const random = seededRandom(9);
    for (let round = 0; round < 2_000; round += 1) {
      const nonsense = bytesOf(Math.floor(random() * 60), round);
      try {
        new PairAssembler().add(nonsense, () => undefined);
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'CodecError' });
      }
    }
  });
});
