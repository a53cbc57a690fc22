import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import {
  leaseMs,
  memberOf,
  recordOf,
  tlsFiles,
  validatorKeyFile,
} from '../../../src/config/config.ts';
import { ConfigError } from '../../../src/config/config_error.ts';
import { parseConfig } from '../../../src/config/load_config.ts';
import { member, minimalCluster, type PlainCluster, parse, problemsOf } from './cluster_text.ts';

const KIB = 1024;

describe('a valid cluster file', () => {
  test('needs only a version, an id and members; the rest has defaults', () => {
    const config = parse(
      { version: 1, cluster: 'test', members: [member(1)] },
      {
        environment: { HOME: '/home/me' },
      },
    );
    expect(config).toEqual({
      file: '/clusters/test/cluster.yaml',
      clusterId: 'test',
      genesisFile: '/clusters/test/genesis.yaml',
      secretsFolder: '/clusters/test/secrets',
      dataFolder: '/home/me/.local/state/blockraft/test',
      members: [
        {
          id: 1,
          host: '127.0.0.1',
          ports: { peer: 7_010, api: 7_011, admin: 7_012 },
          joins: false,
          priority: 100,
          dataFolder: '/home/me/.local/state/blockraft/test/member-1',
        },
      ],
      raft: {
        tickMs: 10,
        heartbeatMs: 50,
        electionTimeoutMs: 300,
        appendBytesMax: 256 * KIB,
        inflightAppendsMax: 64,
        uncommittedBytesMax: 64 * KIB * KIB,
        reads: 'quorum',
        leaseDriftPercent: 10,
      },
      wal: {
        segmentBytes: 64 * KIB * KIB,
        cacheBytesMax: 64 * KIB * KIB,
        compactBytes: 256 * KIB * KIB,
        compactEntries: 200_000,
        tailEntries: 20_000,
      },
      blocks: { intervalMs: 100 },
      mempool: {
        transactionsMax: 100_000,
        transactionsPerSenderMax: 4_096,
        nonceGapMax: 1_024,
        lifetimeMs: 10_800_000,
      },
      admission: { recoveryThreads: 1, batchTransactionsMax: 256, batchDelayMsMax: 2 },
      api: {
        security: 'mutual-tls',
        messageBytesMax: 4 * KIB * KIB,
        streamsMax: 1_024,
        pageSizeMax: 1_000,
      },
      logging: { level: 'info' },
    });
  });

  test('is frozen all the way down', () => {
    const config = parse(minimalCluster());
    expect(() => Object.assign(config.raft, { tickMs: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config.members[0]!.ports, { peer: 1 })).toThrow(TypeError);
    expect(() => (config.members as unknown[]).push(1)).toThrow(TypeError);
  });

  test('has its members by id, whatever their order in the file', () => {
    const config = parse({ ...minimalCluster(), members: [member(9), member(2), member(5)] });
    expect(config.members.map(({ id }) => id)).toEqual([2, 5, 9]);
    expect(memberOf(config, 5).ports.api).toBe(7_051);
    expect(problemsOf(() => memberOf(config, 3))).toEqual([
      'members: there is no member 3, only 2, 5, 9',
    ]);
  });

  test('names the files of secrets', () => {
    const config = parse(minimalCluster());
    expect(validatorKeyFile(config)).toBe('/clusters/test/secrets/validator.key');
    expect(tlsFiles(config, 'member-1')).toEqual({
      caFile: '/clusters/test/secrets/tls/ca.pem',
      certificateFile: '/clusters/test/secrets/tls/member-1.pem',
      keyFile: '/clusters/test/secrets/tls/member-1.key.pem',
    });
  });

  test.each([1, 3, 5, 7])('may have %i members', (count) => {
    expect(parse(minimalCluster(count)).members).toHaveLength(count);
  });

  test('may use the same ports on different machines', () => {
    const ports = { peer: 7_100, api: 7_101, admin: 7_102 };
    const members = ['10.0.0.1', 'fd00::2', 'three.example'].map((host, index) => ({
      id: index + 1,
      host,
      ports,
    }));
    expect(parse({ ...minimalCluster(), members }).members).toHaveLength(3);
  });
});

describe('members that join', () => {
  test('may be any number beside those that found the cluster', () => {
    const joining = { ...member(4), joins: true, priority: 7 };
    const { members } = parse({
      ...minimalCluster(),
      members: [...minimalCluster().members, joining],
    });
    expect(members.map(({ joins, priority }) => ({ joins, priority }))).toEqual([
      { joins: false, priority: 100 },
      { joins: false, priority: 100 },
      { joins: false, priority: 100 },
      { joins: true, priority: 7 },
    ]);
    expect(recordOf(members[3]!)).toEqual({
      id: 4,
      address: { host: '127.0.0.1', peerPort: 7_040, apiPort: 7_041, adminPort: 7_042 },
      priority: 7,
    });
  });

  test('may be all members, so that no wiped ones found a second cluster', () => {
    const members = [1, 2, 5, 6].map((id) => ({ ...member(id), joins: true }));
    expect(parse({ ...minimalCluster(), members }).members.map(({ id }) => id)).toEqual([
      1, 2, 5, 6,
    ]);
  });
});

describe('the lease of reads', () => {
  test('is shorter than an election timeout by the drift of clocks, and absent by default', () => {
    const leaseOf = (raft: object) => leaseMs(parse({ ...minimalCluster(), raft }));
    expect(leaseOf({})).toBeUndefined();
    expect(leaseOf({ reads: 'lease', tickMs: 10, electionTimeoutMs: 500 })).toBe(445);
    expect(
      leaseOf({ reads: 'lease', tickMs: 10, electionTimeoutMs: 500, leaseDriftPercent: 0 }),
    ).toBe(490);
  });
});

describe('the environment', () => {
  test('replaces paths, relative to the current folder', () => {
    const config = parse(minimalCluster(), {
      environment: {
        BLOCKRAFT_DATA: '/elsewhere/data',
        BLOCKRAFT_SECRETS: 'keys',
        BLOCKRAFT_GENESIS: '/elsewhere/genesis.json',
      },
    });
    expect(config.dataFolder).toBe('/elsewhere/data');
    expect(config.members[0]?.dataFolder).toBe('/elsewhere/data/member-1');
    expect(config.secretsFolder).toBe(join(process.cwd(), 'keys'));
    expect(config.genesisFile).toBe('/elsewhere/genesis.json');
  });

  test('replaces the ports of the member being started, and of no other', () => {
    const environment = {
      BLOCKRAFT_PEER_PORT: '9001',
      BLOCKRAFT_API_PORT: '9002',
      BLOCKRAFT_ADMIN_PORT: '9003',
    };
    const config = parse(minimalCluster(), { environment, memberId: 2 });
    expect(config.members.map(({ ports }) => ports)).toEqual([
      { peer: 7_010, api: 7_011, admin: 7_012 },
      { peer: 9_001, api: 9_002, admin: 9_003 },
      { peer: 7_030, api: 7_031, admin: 7_032 },
    ]);
    expect(parse(minimalCluster(), { environment }).members[1]?.ports.peer).toBe(7_020);
  });

  test('may give ports that the file lacks', () => {
    const cluster = minimalCluster(1);
    delete cluster.members[0].ports.peer;
    const environment = { BLOCKRAFT_PEER_PORT: '9001' };
    expect(parse(cluster, { environment, memberId: 1 }).members[0]?.ports.peer).toBe(9_001);
  });

  test.each(['0', '65536', '-1', '1e3', 'api', '80.5', ' 80'])('refuses the port "%s"', (port) => {
    const environment = { BLOCKRAFT_API_PORT: port };
    expect(problemsOf(() => parse(minimalCluster(), { environment, memberId: 1 }))).toEqual([
      'BLOCKRAFT_API_PORT: must be a port from 1 to 65535; change or unset it',
    ]);
  });

  test('is named when one of its ports does not fit', () => {
    const environment = { BLOCKRAFT_API_PORT: '7020' };
    expect(problemsOf(() => parse(minimalCluster(), { environment, memberId: 3 }))).toEqual([
      'BLOCKRAFT_API_PORT: as members[2].ports.api: members[1].ports.peer on the same host has this port already; give each listener its own',
    ]);
  });

  test('counts as absent where it is empty', () => {
    const environment = { BLOCKRAFT_DATA: '', BLOCKRAFT_API_PORT: '', XDG_STATE_HOME: '' };
    const config = parse(minimalCluster(), { environment, memberId: 1 });
    expect(config.dataFolder).toBe('/clusters/test/data');
    expect(config.members[0]?.ports.api).toBe(7_011);
  });

  test('gives the data folder where the file does not', () => {
    const { data: _, ...cluster } = minimalCluster();
    const folderWith = (environment: Record<string, string>) =>
      parse(cluster, { environment }).dataFolder;
    const HOME = '/home/me';
    expect(folderWith({ HOME, XDG_STATE_HOME: '/state' })).toBe('/state/blockraft/test');
    expect(folderWith({ HOME, XDG_STATE_HOME: 'relative' })).toBe(
      '/home/me/.local/state/blockraft/test',
    );
    expect(problemsOf(() => folderWith({}))).toEqual([
      'data: is missing, and neither XDG_STATE_HOME nor HOME is set; give a folder here or in BLOCKRAFT_DATA',
    ]);
  });

  test('must not ask for a member that there is not', () => {
    expect(problemsOf(() => parse(minimalCluster(), { memberId: 4 }))).toEqual([
      'members: there is no member 4, only 1, 2, 3',
    ]);
  });
});

/** One value that its key does not allow. */
const VALUES: [string, PlainCluster, string[]][] = [
  ['no version', { version: undefined }, ['version: must be 1']],
  ['another version', { version: 2 }, ['version: must be 1']],
  [
    'a cluster id in capitals',
    { cluster: 'Test' },
    ['cluster: must be 1 to 63 lower-case letters, digits and inner dashes'],
  ],
  [
    'a cluster id that ends in a dash',
    { cluster: 'test-' },
    ['cluster: must be 1 to 63 lower-case letters, digits and inner dashes'],
  ],
  ['no cluster id', { cluster: undefined }, ['cluster: is missing; give a text']],
  ['members that are no list', { members: { one: 1 } }, ['members: must be a list']],
  ['no members', { members: undefined }, ['members: is missing; give a list']],
  [
    'a wildcard host',
    { members: [member(1, '0.0.0.0')] },
    ['members[0].host: must be a name or an address that the other members can dial'],
  ],
  [
    'a host with a port',
    { members: [member(1, 'localhost:80')] },
    ['members[0].host: must be a name or an address that the other members can dial'],
  ],
  [
    'an address with too many parts',
    { members: [member(1, '10.0.0.0.1')] },
    ['members[0].host: must be a name or an address that the other members can dial'],
  ],
  [
    'port 0',
    { members: [{ ...member(1), ports: { peer: 0, api: 1, admin: 2 } }] },
    ['members[0].ports.peer: must be at least 1: members find each other by fixed ports'],
  ],
  [
    'a port that is too high',
    { members: [{ ...member(1), ports: { peer: 65_536, api: 1, admin: 2 } }] },
    ['members[0].ports.peer: must be at most 65535'],
  ],
  [
    'a missing port',
    { members: [{ ...member(1), ports: { peer: 1, api: 2 } }] },
    ['members[0].ports.admin: is missing; give a whole number'],
  ],
  ['id 0', { members: [{ ...member(1), id: 0 }] }, ['members[0].id: must be at least 1']],
  ['a fraction', { raft: { tickMs: 1.5 } }, ['raft.tickMs: must be a whole number']],
  ['a number in quotes', { raft: { tickMs: '10' } }, ['raft.tickMs: must be a whole number']],
  ['a section that is empty', { raft: null }, ['raft: must be a map of keys']],
  [
    'an append above a chunk',
    { raft: { appendBytesMax: 256 * KIB + 1 } },
    ['raft.appendBytesMax: must be at most 262144'],
  ],
  [
    'a security that there is not',
    { api: { security: 'tls' } },
    ['api.security: must be plaintext or mutual-tls'],
  ],
  [
    'a level that there is not',
    { logging: { level: 'loud' } },
    ['logging.level: must be trace or debug or info or warn or error or fatal or silent'],
  ],
  [
    'a key that is misspelt',
    { raft: { heartBeatMs: 50 } },
    ['raft.heartBeatMs: is not a key here; did you mean heartbeatMs?'],
  ],
  [
    'a key of nothing',
    { blocks: { colour: 'red' } },
    ['blocks.colour: is not a key here; remove it (there are intervalMs)'],
  ],
  [
    'an unknown key inside a member',
    { members: [{ ...member(1), hosts: 'x' }] },
    ['members[0].hosts: is not a key here; did you mean host?'],
  ],
  ['an empty path', { genesis: '' }, ['genesis: must have a length of at least 1']],
];

describe('a cluster file is refused for', () => {
  test.each(VALUES)('%s', (_, change, problems) => {
    const cluster = { ...minimalCluster(), ...change };
    for (const [key, value] of Object.entries(cluster))
      if (value === undefined) delete cluster[key];
    expect(problemsOf(() => parse(cluster))).toEqual(problems);
  });

  test('all its problems at once, in the order of the file, each with its line and value', () => {
    const text = `version: 1
cluster: Local
members:
  - id: 1
    host: 127.0.0.1
    ports: { peer: 7001, api: 70002, admin: 7003 }
  - id: 2
    host: 127.0.0.1
    ports: { peer: 7011, api: 7012, admin: 7012 }
raft:
  tickms: 3
  heartbeatMs: 1e30
api: { security: none }
`;
    const act = () => parseConfig(text, { file: '/x/cluster.yaml', environment: { HOME: '/h' } });
    expect(act).toThrow(ConfigError);
    expect(act).toThrow(
      [
        '/x/cluster.yaml:2: cluster is "Local": must be 1 to 63 lower-case letters, digits and inner dashes',
        '/x/cluster.yaml:3: members: there are 2 members; an even number survives no more failures than one member less; give 1, 3, 5 or 7',
        '/x/cluster.yaml:6: members[0].ports.api is 70002: must be at most 65535',
        '/x/cluster.yaml:9: members[1].ports.admin is 7012: members[1].ports.api on the same host has this port already; give each listener its own',
        '/x/cluster.yaml:11: raft.tickms is 3: is not a key here; did you mean tickMs?',
        '/x/cluster.yaml:12: raft.heartbeatMs is 1e30: must be at most 10000',
        '/x/cluster.yaml:13: api.security is "none": must be plaintext or mutual-tls',
      ].join('\n'),
    );
  });

  test.each([
    ['nothing in it', '', 'must be a map of keys'],
    ['a list at the top', '- 1', 'must be a map of keys'],
    ['a doubled key', 'version: 1\nversion: 1', 'not valid YAML: Map keys must be unique'],
    ['a broken quote', 'cluster: "x', 'not valid YAML: Missing closing "quote'],
    ['two documents', 'version: 1\n---\nversion: 1', 'not valid YAML: Source contains multiple'],
    ['a tag', 'version: !!js/function x', 'not valid YAML: Unresolved tag'],
    ['an unknown alias', 'version: *x', 'not usable YAML: Unresolved alias'],
    ['nesting without end', '['.repeat(100_000), 'YAML'],
    [
      'aliases that multiply',
      `${Array.from({ length: 9 }, (_, level) => `a${level}: &a${level} [${Array(9).fill(level === 0 ? 'x' : `*a${level - 1}`)}]`).join('\n')}`,
      'not usable YAML: Excessive alias count',
    ],
  ])('%s', (_, text, expected) => {
    const problems = problemsOf(() => parseConfig(text, { file: 'x.yaml', environment: {} }));
    expect(problems.join('\n')).toContain(expected);
  });

  test('keys that are special in JavaScript', () => {
    const text = `${stringify(minimalCluster())}\n__proto__: { raft: {} }\nconstructor: 1\n`;
    const act = () => parseConfig(text, { file: 'x.yaml', environment: {} });
    expect(problemsOf(act).map((problem) => problem.split(':')[0])).toEqual([
      '__proto__',
      'constructor',
    ]);
  });
});
