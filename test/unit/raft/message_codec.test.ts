import { expect, it } from 'vitest';
import { RaftError } from '../../../src/raft/error.ts';
import { decodeMessage, encodeMessage } from '../../../src/raft/message_codec.ts';
import type { Message } from '../../../src/raft/messages.ts';
import { EMPTY_CONFIGURATION, encodeConfiguration } from '../../../src/types/configuration.ts';
import { Dice } from '../../sim/random.ts';
import { founded } from './cluster.ts';

const header = { from: 1, to: 2, term: 300 };
const BIGGEST = Number.MAX_SAFE_INTEGER;

const THREE = encodeConfiguration(founded([1, 2, 3]).configuration);

const MESSAGES: Message[] = [
  { type: 'preVote', ...header, lastIndex: 0, lastTerm: 0 },
  { type: 'preVoteReply', ...header, askedTerm: 299, granted: true },
  { type: 'vote', ...header, lastIndex: 128, lastTerm: 127, transfer: true },
  { type: 'voteReply', ...header, granted: false },
  { type: 'append', ...header, prevIndex: 0, prevTerm: 0, commit: BIGGEST, entries: [] },
  {
    type: 'append',
    ...header,
    prevIndex: 41,
    prevTerm: 7,
    commit: 40,
    entries: [
      { index: 42, term: 7, type: 'command', data: new Uint8Array([1, 2, 3]) },
      { index: 43, term: 300, type: 'noop', data: new Uint8Array(0) },
      { index: 44, term: 300, type: 'command', data: new Uint8Array(1_000).fill(9) },
      { index: 45, term: 300, type: 'configuration', data: THREE },
    ],
  },
  { type: 'appendReply', ...header, match: 77, conflict: undefined },
  {
    type: 'appendReply',
    ...header,
    match: 0,
    conflict: { prevIndex: 9, hintIndex: 8, hintTerm: 3 },
  },
  { type: 'heartbeat', ...header, commit: 1, readRound: 2 ** 40 },
  { type: 'heartbeatReply', ...header, readRound: 0, eligible: true, leaseMs: 0 },
  { type: 'heartbeatReply', ...header, readRound: 7, eligible: false, leaseMs: 900 },
  { type: 'installSnapshot', ...header, index: 4_000 },
  { type: 'readIndex', ...header, session: 2 ** 48 - 1, batch: 1 },
  { type: 'readIndexReply', ...header, session: 5, batch: 1, index: 0 },
  { type: 'readIndexReply', ...header, session: 5, batch: 1, index: undefined },
  { type: 'timeoutNow', ...header, lastIndex: 12 },
];

/** Entry data come back as views of a Buffer; compared as plain bytes. */
function plain(message: Message): unknown {
  if (message.type !== 'append') return message;
  const entries = message.entries.map((entry) => ({ ...entry, data: Uint8Array.from(entry.data) }));
  return { ...message, entries };
}

it.each(MESSAGES)('decodes what it encoded: $type', (message) => {
  expect(plain(decodeMessage(encodeMessage(message)))).toEqual(plain(message));
});

it.each(MESSAGES)('refuses every truncation and any surplus: $type', (message) => {
  const bytes = encodeMessage(message);
  for (let length = 0; length < bytes.length; length += 1)
    expect(() => decodeMessage(bytes.subarray(0, length))).toThrow(RaftError);
  expect(() => decodeMessage(Uint8Array.from([...bytes, 0]))).toThrow('follow it');
});

it('any bytes are either refused or canonical', () => {
  const seed = 1;
  const dice = new Dice(seed);
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Uint8Array.from(encodeMessage(dice.pick(MESSAGES)));
    for (let flips = dice.integer(1, 3); flips > 0; flips -= 1)
      bytes[dice.integer(0, Math.min(bytes.length - 1, 40))] = dice.integer(0, 255);
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (thrown) {
      expect(thrown, `seed ${seed}`).toBeInstanceOf(RaftError);
      continue;
    }
    expect(Buffer.compare(encodeMessage(message), bytes), `seed ${seed}`).toBe(0);
  }
});

it('refuses an unknown version, an unknown type, and an integer that is not minimal', () => {
  const [, type, ...rest] = encodeMessage(MESSAGES[0]!);
  expect(() => decodeMessage(Uint8Array.from([2, type!, ...rest]))).toThrow('version 2');
  expect(() => decodeMessage(Uint8Array.from([1, 99, ...rest]))).toThrow('type is unknown');
  expect(() => decodeMessage(Uint8Array.from([1, 4, 0x81, 0, 2, 3, 1]))).toThrow('shortest form');
});

it('scenario 9: members with and without PreVote never meet: every message names the version of all rules', () => {
  // PreVote belongs to version 1 and cannot be turned off. A member of another version is refused as a whole, so
  // that it takes no part in an election, instead of taking part by other rules.
  for (const message of MESSAGES) {
    const [version, ...rest] = encodeMessage(message);
    expect(version).toBe(1);
    for (const other of [0, 2, 255])
      expect(() => decodeMessage(Uint8Array.from([other, ...rest]))).toThrow(`version ${other}`);
  }
});

it('refuses an entry that holds no configuration, or one without voters', () => {
  const carrying = (data: Uint8Array): Message => ({
    type: 'append',
    ...header,
    prevIndex: 0,
    prevTerm: 0,
    commit: 0,
    entries: [{ index: 1, term: 5, type: 'configuration', data }],
  });
  const decode = (data: Uint8Array) => () => decodeMessage(encodeMessage(carrying(data)));
  expect(decode(THREE)).not.toThrow();
  expect(decode(THREE.subarray(1))).toThrow('holds no configuration');
  expect(decode(encodeConfiguration(EMPTY_CONFIGURATION))).toThrow('no voters');
});

it('refuses entries of a term above the leader, and counts that cannot be', () => {
  const entry = { index: 1, term: 5, type: 'command', data: new Uint8Array(0) } as const;
  const append: Message = {
    type: 'append',
    from: 1,
    to: 2,
    term: 4,
    prevIndex: 0,
    prevTerm: 0,
    commit: 0,
    entries: [entry],
  };
  expect(() => decodeMessage(encodeMessage(append))).toThrow("above its leader's");
  // version, append, from, to, term, prevIndex, prevTerm, commit, a huge count
  const lie = Uint8Array.from([1, 5, 1, 2, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]);
  expect(() => decodeMessage(lie)).toThrow('do not fit');
});
