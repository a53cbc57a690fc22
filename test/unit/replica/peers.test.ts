import { beforeEach, describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../src/raft/message_codec.ts';
import {
  encodeReport,
  framed,
  MESSAGE_KINDS,
  type MemberReport,
} from '../../../src/replica/member_message.ts';
import type { PeerRegistry } from '../../../src/replica/peer_registry.ts';
import { Peers } from '../../../src/replica/peers.ts';
import { ManualClock, quiet, silent } from '../ledger/chain_fixture.ts';

const [OLD, NEW] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];

let receive: (from: number, payload: Uint8Array) => void;
let connection: (peer: number, connected: boolean) => void;
let sent: { to: number; kind: number | undefined }[];
let raftMessages: number;
let reports: number;
let rejections: string[];

function report(folderId: Uint8Array): Uint8Array {
  const made: MemberReport = { folderId, appliedIndex: 1, executedHeight: 0, roots: [] };
  return encodeReport(made);
}

function raftMessage(from: number): Uint8Array {
  const message = { type: 'timeoutNow', from, to: 1, term: 1, lastIndex: 0 } as const;
  return framed(MESSAGE_KINDS.raft, encodeMessage(message));
}

beforeEach(() => {
  sent = [];
  raftMessages = 0;
  reports = 0;
  rejections = [];
  const folders = new Map<number, Uint8Array>([[2, OLD]]);
  const registry = {
    isKnown: async (member: number, folderId: Uint8Array) => {
      const known = folders.get(member) ?? folderId;
      folders.set(member, known);
      return Buffer.from(known).equals(folderId);
    },
  } as unknown as PeerRegistry;
  new Peers({
    transport: {
      send: (to, _channel, payload) => sent.push({ to, kind: payload[0] }) > 0,
      onMessage: (handler) => {
        receive = handler;
      },
      onConnection: (handler) => {
        connection = handler;
      },
    },
    registry,
    clock: new ManualClock(),
    logger: silent,
    ownReport: () => ({ folderId: OLD, appliedIndex: 0, executedHeight: 0, roots: [] }),
    onRaft: () => {
      raftMessages += 1;
    },
    onReport: () => {
      reports += 1;
    },
    onConnection: () => undefined,
    onRejected: (_by, reason) => rejections.push(reason),
  });
});

describe('Peers', () => {
  it('listens to a member only once it has shown the folder that it is known by', async () => {
    receive(2, raftMessage(2));
    expect(raftMessages).toBe(0);
    receive(2, report(OLD));
    await quiet();
    receive(2, raftMessage(2));
    expect([raftMessages, reports]).toEqual([1, 1]);
    receive(2, raftMessage(3));
    expect(raftMessages).toBe(1);
  });

  it('refuses a member that lost its folder, again and again', async () => {
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      receive(2, report(NEW));
      await quiet();
      receive(2, raftMessage(2));
      expect(raftMessages).toBe(0);
      expect(sent).toEqual(new Array(attempt).fill({ to: 2, kind: MESSAGE_KINDS.rejection }));
    }
  });

  it('asks for the folder again after each connection', async () => {
    receive(2, report(OLD));
    await quiet();
    connection(2, false);
    receive(2, raftMessage(2));
    expect(raftMessages).toBe(0);
  });

  it('notices a lost folder behind a connection that was never seen to break', async () => {
    receive(2, report(OLD));
    await quiet();
    receive(2, report(NEW));
    await quiet();
    receive(2, raftMessage(2));
    expect(raftMessages).toBe(0);
    expect(sent).toEqual([{ to: 2, kind: MESSAGE_KINDS.rejection }]);
  });

  it('survives what is no message', () => {
    for (const payload of [[], [0], [1, 2, 3], [9, 9], [0, 255, 255]])
      receive(2, Uint8Array.from(payload));
    expect([raftMessages, reports, rejections.length]).toEqual([0, 0, 0]);
  });
});
