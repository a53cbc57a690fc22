import { describe, expect, test } from 'vitest';
import { ProgressLine, progressText } from '../../../src/cli/member_progress.ts';
import { membersJson, membersText } from '../../../src/cli/members_list.ts';
import type { MemberMessage, MembersMessage } from '../../../src/lab/admin_service.ts';

function member(id: number, changes: Partial<MemberMessage> = {}): MemberMessage {
  return {
    id,
    host: 'h.example',
    peerPort: 1,
    apiPort: 2,
    adminPort: 3,
    priority: 100,
    connected: true,
    membership: 'MEMBERSHIP_VOTER',
    promotion: 'PROMOTION_UNSPECIFIED',
    replaces: 0,
    matchIndex: 900,
    replicationState: 'REPLICATION_STATE_REPLICATE',
    ...changes,
  };
}

function view(changes: Partial<MembersMessage> = {}): MembersMessage {
  return {
    clusterId: 'test',
    memberId: 1,
    term: 4,
    leaderId: 1,
    configurationIndex: 17,
    configurationCommitted: true,
    joint: false,
    recoveries: 0,
    highestId: 4,
    commitIndex: 990,
    lastIndex: 1_000,
    members: [member(1), member(2)],
    ...changes,
  };
}

const LEARNER = { membership: 'MEMBERSHIP_LEARNER', promotion: 'PROMOTION_AUTOMATIC' } as const;
const SNAPSHOT = { replicationState: 'REPLICATION_STATE_SNAPSHOT' } as const;

describe('what somebody sees who waits for a member', () => {
  test.each<[Partial<MemberMessage>, string]>([
    [{ ...LEARNER, connected: false }, 'member 4 is not connected: waiting for it to be started'],
    [{ ...LEARNER }, 'member 4: follows, behind by 100 entries'],
    [
      { ...LEARNER, ...SNAPSHOT, snapshotPercent: 40, matchIndex: 0 },
      'member 4: takes a snapshot, 40 %, behind by 1,000 entries',
    ],
    [{ ...LEARNER, ...SNAPSHOT }, 'member 4: takes a snapshot, behind by 100 entries'],
    [
      { ...LEARNER, replicationState: 'REPLICATION_STATE_PROBE', matchIndex: 1_001 },
      'member 4: being probed, behind by 0 entries',
    ],
    [{}, 'member 4 votes'],
  ])('of %j is "%s"', (changes, text) => {
    expect(progressText(4, view({ members: [member(1), member(4, changes)] }))).toBe(text);
  });

  test('tells a member that is not there, and a change that is not finished', () => {
    expect(progressText(9, view())).toBe('member 9 is not in the cluster');
    expect(progressText(2, view({ joint: true }))).toBe(
      'member 2 votes, once the change is finished',
    );
  });

  test('is written over itself on a terminal, and now and then elsewhere', () => {
    for (const isTTY of [true, false]) {
      let written = '';
      let nowMs = 0;
      const line = new ProgressLine(
        {
          isTTY,
          write: (text) => {
            written += text;
          },
        },
        () => nowMs,
      );
      for (const text of ['a', 'a', 'b', 'c']) line.show(text);
      nowMs = 1_000;
      line.show('d');
      line.end();
      expect(written).toBe(isTTY ? '\r\u001b[Ka\r\u001b[Kb\r\u001b[Kc\r\u001b[Kd\n' : 'a\nd\n');
    }
  });
});

describe('the list of members', () => {
  test('shows who leaves, who comes and what they wait for', () => {
    const members = [
      member(1),
      member(2, { membership: 'MEMBERSHIP_LEAVING', connected: false }),
      member(3, { ...LEARNER, replaces: 2 }),
      member(4, { ...LEARNER, promotion: 'PROMOTION_MANUAL', priority: 0 }),
    ];
    const lines = membersText(view({ members, joint: true, recoveries: 2 })).split('\n');
    expect(lines.slice(1, 5).map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
      '1 voter leads 900 100 100 h.example 1 2 3',
      '2 leaving not connected 900 100 100 h.example 1 2 3',
      '3 learner follows 900 100 100 h.example 1 2 3 replaces 2',
      '4 learner follows 900 100 0 h.example 1 2 3 waits for "members promote"',
    ]);
    expect(lines.slice(5)).toEqual([
      'a change of voters is under way: old and new ones decide together',
      'recoveries from one survivor: 2; see docs/OPERATIONS.md',
    ]);
  });

  test.each<[Partial<MembersMessage>, string]>([
    [{ leaderId: 0 }, 'no leader is known to member 1, which answered'],
    [{ leaderId: 2 }, 'the leader, member 2, does not answer: this is what member 1 knows'],
    [{ configurationCommitted: false }, 'the configuration (log index 17) is not committed yet'],
  ])('of %j has a note', (changes, note) => {
    expect(membersText(view(changes)).split('\n').at(-1)).toBe(note);
  });

  test('has nulls for what nobody knows', () => {
    const { matchIndex: _, ...unknown } = member(2, {
      replicationState: 'REPLICATION_STATE_UNSPECIFIED',
    });
    expect(membersJson(view({ leaderId: 0, members: [unknown] }))).toMatchObject({
      leaderId: null,
      configuration: { index: 17, committed: true, joint: false, recoveries: 0 },
      members: [
        {
          id: 2,
          role: 'voter',
          leads: false,
          state: '',
          matchIndex: null,
          behindEntries: null,
          snapshotPercent: null,
          promotion: null,
          replaces: null,
        },
      ],
    });
  });
});
