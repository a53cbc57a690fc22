import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  type MemberEntry,
  withChangedMember,
  withMember,
  withoutMember,
} from '../../../src/cli/cluster_file.ts';

const TEXT = `# Ours.
version: 1
cluster: local # the test cluster
members:
  # The first.
  - id: 1
    host: 127.0.0.1
    ports: { peer: 7110, api: 7111, admin: 7112 }
  - id: 2 # in the cellar
    host: 127.0.0.1
    ports: { peer: 7120, api: 7121, admin: 7122 }
  - id: 3
    host: 127.0.0.1
    ports: { peer: 7130, api: 7131, admin: 7132 }

api:
  # Everyone is here.
  security: plaintext
`;

/** As in every file of a cluster that was changed. */
const ALL_JOIN = TEXT.replaceAll(/^ {4}ports: .*$/gm, '$&\n    joins: true');

const FOURTH: MemberEntry = {
  id: 4,
  host: '127.0.0.1',
  ports: { peer: 7140, api: 7141, admin: 7142 },
  priority: undefined,
};

describe('a cluster file with one more member', () => {
  test('keeps every other line, comments too, and is written as the others are', () => {
    const added = `  - id: 4
    host: 127.0.0.1
    ports: { peer: 7140, api: 7141, admin: 7142 }
    joins: true
`;
    const before = '    ports: { peer: 7130, api: 7131, admin: 7132 }\n';
    expect(withMember(ALL_JOIN, FOURTH)).toBe(
      ALL_JOIN.replace(`${before}    joins: true\n`, `${before}    joins: true\n${added}`),
    );
  });

  test('scenario 63: founds nothing any more: a member that was the first would be a cluster of its own', () => {
    const { members } = parse(withMember(TEXT, FOURTH));
    expect(members.map(({ joins }: { joins: boolean }) => joins)).toEqual(Array(4).fill(true));
  });

  test('may have a priority', () => {
    const { members } = parse(withMember(TEXT, { ...FOURTH, priority: 0 }));
    expect(members[3]).toEqual({
      id: 4,
      host: '127.0.0.1',
      ports: { peer: 7140, api: 7141, admin: 7142 },
      joins: true,
      priority: 0,
    });
  });

  test('keeps lists that are not indented, and long lines', () => {
    const secrets = `secrets: /${'a-long-folder/'.repeat(12)}`;
    const text = `version: 1\n${secrets}\nmembers:\n- id: 1\n  host: a\n  ports:\n    peer: 1\n    api: 2\n    admin: 3\n  joins: true\n`;
    expect(withMember(text, FOURTH)).toBe(
      `${text}- id: 4\n  host: 127.0.0.1\n  ports:\n    peer: 7140\n    api: 7141\n    admin: 7142\n  joins: true\n`,
    );
  });

  test('may be JSON', () => {
    const text = JSON.stringify({ version: 1, members: [{ id: 1, ports: { peer: 1 } }] }, null, 2);
    const changed = withMember(text, FOURTH);
    expect(JSON.parse(changed).members[1].id).toBe(4);
  });
});

describe('a cluster file with one member less', () => {
  test('is as before but for that member', () => {
    expect(withoutMember(withMember(TEXT, FOURTH), 4)).toBe(ALL_JOIN);
  });

  test('founds nothing any more', () => {
    const changed = withoutMember(TEXT, 2);
    const { members } = parse(changed);
    expect(members.map(({ id, joins }: { id: number; joins: boolean }) => [id, joins])).toEqual([
      [1, true],
      [3, true],
    ]);
    expect(changed).toContain('# The first.');
    expect(changed).toContain('# Everyone is here.');
  });

  test('is as before when there is no such member', () => {
    expect(withoutMember(TEXT, 9)).toBe(TEXT);
  });
});

describe('a cluster file with a changed member', () => {
  test('keeps what is not changed', () => {
    const changed = withChangedMember(TEXT, 2, {
      host: undefined,
      ports: { peer: 9, api: 7121, admin: 7122 },
      priority: 200,
    });
    const line = '    ports: { peer: 7120, api: 7121, admin: 7122 }\n';
    expect(changed).toBe(
      TEXT.replace(line, '    ports: { peer: 9, api: 7121, admin: 7122 }\n    priority: 200\n'),
    );
    const again = withChangedMember(changed, 2, {
      host: 'b.example',
      ports: undefined,
      priority: 0,
    });
    expect(parse(again).members[1]).toEqual({
      id: 2,
      host: 'b.example',
      ports: { peer: 9, api: 7121, admin: 7122 },
      priority: 0,
    });
    expect(again).toContain('# in the cellar');
  });
});
