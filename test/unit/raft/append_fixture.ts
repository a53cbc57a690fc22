import { expect } from 'vitest';
import type { Append, AppendReply, Message } from '../../../src/raft/messages.ts';
import { TestCluster, type TestMember } from './cluster.ts';

export function append(fields: Partial<Append> = {}): Append {
  return {
    type: 'append',
    from: 2,
    to: 1,
    term: 5,
    prevIndex: 0,
    prevTerm: 0,
    commit: 0,
    entries: [],
    ...fields,
  };
}

export function accepted(from: number, match: number, term = 1): AppendReply {
  return { type: 'appendReply', from, to: 1, term, match, conflict: undefined };
}

export function appendsTo(to: number, messages: readonly Message[]): Append[] {
  return messages.filter((message) => message.type === 'append' && message.to === to) as Append[];
}

export function matches(messages: readonly Message[]): unknown[] {
  return messages.map((message) =>
    message.type === 'appendReply' ? (message.conflict ?? message.match) : message.type,
  );
}

/** A leader of term 1 with its no-op at index 1, acknowledged by nobody yet. */
export function loneLeader(options = {}): TestMember {
  const cluster = new TestCluster(3, () => options);
  cluster.filter = (message) => message.type !== 'append';
  const leader = cluster.elect(1);
  expect(leader.status).toMatchObject({ role: 'leader', commit: 0, lastIndex: 1 });
  return leader;
}
