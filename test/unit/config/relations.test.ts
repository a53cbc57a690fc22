import { describe, expect, test } from 'vitest';
import { member, minimalCluster, type PlainCluster, parse, problemsOf } from './cluster_text.ts';

const KIB = 1024;

const takenPort = (place: string) =>
  `${place} on the same host has this port already; give each listener its own`;

/** One change to a valid file, and all that is then wrong. */
const RELATIONS: [string, PlainCluster, string[]][] = [
  ['no member', { members: [] }, ['members: there are 0 members; give 1, 3, 5 or 7']],
  [
    'an even number of members',
    { members: [member(1), member(2)] },
    [
      'members: there are 2 members; an even number survives no more failures than one member less; give 1, 3, 5 or 7',
    ],
  ],
  [
    'too many members',
    { members: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => member(id)) },
    ['members: there are 9 members; more than 7 slow every commit down; give 1, 3, 5 or 7'],
  ],
  [
    'an even number of founders beside one that joins',
    { members: [member(1), member(2), { ...member(4), joins: true }] },
    [
      'members: there are 2 members without "joins: true"; an even number survives no more failures than one member less; give 1, 3, 5 or 7',
    ],
  ],
  [
    'more members than a cluster may have',
    {
      members: Array.from({ length: 33 }, (_, index) => ({ ...member(index + 1), joins: true })),
    },
    ['members: there are 33 members; a cluster has at most 32'],
  ],
  [
    'a log that is compacted before it has two segments',
    { wal: { segmentBytes: 128 * KIB * KIB, compactBytes: 255 * KIB * KIB } },
    [
      'wal.compactBytes: must be at least 268435456, two segments (segmentBytes 134217728): only whole segments are removed',
    ],
  ],
  [
    'a tail as long as the log may be',
    { wal: { compactEntries: 500, tailEntries: 500 } },
    ['wal.tailEntries: must be less than compactEntries (500), or compaction would remove nothing'],
  ],
  [
    'an id twice',
    { members: [member(1), member(2), { ...member(3), id: 1 }] },
    ['members[2].id: members[0] has this id already; give each its own'],
  ],
  [
    'a port twice in one member',
    { members: [{ ...member(1), ports: { peer: 7_000, api: 7_000, admin: 7_001 } }] },
    [`members[0].ports.api: ${takenPort('members[0].ports.peer')}`],
  ],
  [
    'a port twice on one machine under two names',
    { members: [member(1), member(2), { ...member(1, 'localhost'), id: 3 }] },
    ['peer', 'api', 'admin'].map(
      (listener) => `members[2].ports.${listener}: ${takenPort(`members[0].ports.${listener}`)}`,
    ),
  ],
  [
    'loopback beside other hosts',
    { members: [member(1, '10.0.0.1'), member(2, 'localhost'), member(3, '10.0.0.3')] },
    [
      'members[1].host: is a loopback address, which the member on 10.0.0.1 cannot reach; give the address of its machine',
    ],
  ],
  [
    'plaintext on a real network',
    { members: [member(1, 'one.example')], api: { security: 'plaintext' } },
    ['api.security: is only for loopback hosts, and there is one.example; write mutual-tls'],
  ],
  [
    'a heartbeat that is no multiple of the tick',
    { raft: { heartbeatMs: 55 } },
    ['raft.heartbeatMs: must be a multiple of tickMs (10)'],
  ],
  [
    'an election timeout that is no multiple of the tick',
    { raft: { electionTimeoutMs: 305 } },
    ['raft.electionTimeoutMs: must be a multiple of tickMs (10)'],
  ],
  [
    'a heartbeat close to the election timeout',
    { raft: { heartbeatMs: 110 } },
    [
      'raft.heartbeatMs: must be at most a third of electionTimeoutMs (300), so that one late heartbeat starts no election',
    ],
  ],
  [
    'less room for proposals than for one append',
    { raft: { uncommittedBytesMax: 128 * KIB } },
    ['raft.uncommittedBytesMax: must be at least appendBytesMax (262144)'],
  ],
  [
    'more transactions a sender than in all',
    { mempool: { transactionsMax: 2_000 } },
    ['mempool.transactionsPerSenderMax: must be at most transactionsMax (2000)'],
  ],
  [
    'a nonce gap that no sender could fill',
    { mempool: { transactionsPerSenderMax: 100, nonceGapMax: 101 } },
    [
      'mempool.nonceGapMax: must be at most transactionsPerSenderMax (100), or the gap could never be filled',
    ],
  ],
  [
    'transactions that expire before a block',
    { mempool: { lifetimeMs: 2_000 }, blocks: { intervalMs: 2_000 } },
    [
      'mempool.lifetimeMs: must be more than blocks.intervalMs (2000), or transactions expire before any block',
    ],
  ],
  [
    'a batch larger than the mempool',
    {
      mempool: { transactionsMax: 100, transactionsPerSenderMax: 100, nonceGapMax: 10 },
      admission: { batchTransactionsMax: 101 },
    },
    ['admission.batchTransactionsMax: must be at most mempool.transactionsMax (100)'],
  ],
  [
    'admission slower than blocks',
    { admission: { batchDelayMsMax: 101 } },
    [
      'admission.batchDelayMsMax: must be at most blocks.intervalMs (100), or admission waits longer than blocks',
    ],
  ],
];

describe('a cluster file is refused for', () => {
  test.each(RELATIONS)('%s', (_, change, problems) => {
    expect(problemsOf(() => parse({ ...minimalCluster(), ...change }))).toEqual(problems);
  });
});
