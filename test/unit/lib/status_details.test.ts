import { expect, test } from 'vitest';
import { decodeStatusDetails, encodeStatusDetails } from '../../../src/lib/status_details.ts';

test('the bytes are those of the protobuf messages', () => {
  const bytes = encodeStatusDetails({
    code: 9,
    message: 'no',
    reason: 'WHY',
    domain: 'd',
    metadata: { k: 'v' },
  });
  // Written down field by field from status.proto, any.proto and error_details.proto.
  const info = '0a03574859' + '120164' + '1a06' + '0a016b' + '120176';
  const typeUrl = Buffer.from('type.googleapis.com/google.rpc.ErrorInfo').toString('hex');
  const any = `0a28${typeUrl}1210${info}`;
  expect(Buffer.from(bytes).toString('hex')).toBe(`080912026e6f1a3c${any}`);
});

test('what is encoded is decoded', () => {
  const details = {
    code: 14,
    message: 'x'.repeat(300),
    reason: 'OUTCOME_UNKNOWN',
    domain: 'blockraft',
    metadata: { first: 'ünïcödé', second: '' },
  };
  expect(decodeStatusDetails(encodeStatusDetails(details))).toEqual(details);
});

test('bytes cut anywhere, foreign details and noise are undefined or harmless', () => {
  const bytes = encodeStatusDetails({
    code: 5,
    message: 'missing',
    reason: 'R',
    domain: 'd',
    metadata: { a: 'b' },
  });
  for (let length = 0; length < bytes.length; length += 1)
    expect(decodeStatusDetails(bytes.subarray(0, length))).toBeUndefined();
  expect(decodeStatusDetails(Uint8Array.of(0x08, 0x05))).toBeUndefined();
  expect(decodeStatusDetails(new Uint8Array(40).fill(0xff))).toBeUndefined();
});
