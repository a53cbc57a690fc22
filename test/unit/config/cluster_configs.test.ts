import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { checkFile } from '../../../src/config/check_file.ts';
import { configJsonSchema } from '../../../src/config/json_schema.ts';
import { loadConfig } from '../../../src/config/load_config.ts';
import { isLoopbackHost } from '../../../src/lib/host.ts';

const FOLDER = fileURLToPath(new URL('../../../cluster-configs/', import.meta.url));
const FILES = readdirSync(FOLDER);

test('there is one of each size, and one for three machines', () => {
  expect(FILES.toSorted()).toEqual([
    'local-3.yaml',
    'local-5.yaml',
    'local-7.yaml',
    'solo.yaml',
    'three-machines.yaml',
  ]);
});

describe.each(FILES)('%s', (name) => {
  const file = join(FOLDER, name);

  test('is valid and named after its cluster', async () => {
    const config = await loadConfig({ file, environment: {} });
    expect(`${config.clusterId}.yaml`).toBe(name);
    const isLocal = config.members.every(({ host }) => isLoopbackHost(host));
    expect(config.api.security).toBe(isLocal ? 'plaintext' : 'mutual-tls');
    expect(isLocal).toBe(name !== 'three-machines.yaml');
    const check = await checkFile({ file, environment: {} });
    expect(check).toMatchObject({ kind: 'cluster', problems: [] });
    expect(check.warnings).toHaveLength(2);
  });

  test('says how it is used', () => {
    expect(readFileSync(file, 'utf8')).toContain(`npx blockraft init ${name.slice(0, -5)} `);
  });

  test('has only keys of the schema', () => {
    const schema = configJsonSchema('cluster') as { properties: object; required: string[] };
    const keys = Object.keys(parse(readFileSync(file, 'utf8')));
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(keys));
    expect(keys).toEqual(expect.arrayContaining(schema.required));
  });
});

test('the schemas for editors know what is required and where keys end', () => {
  const cluster = configJsonSchema('cluster') as Record<string, unknown>;
  expect(cluster).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    required: ['version', 'cluster', 'members'],
    additionalProperties: false,
    properties: {
      raft: { properties: { heartbeatMs: { type: 'integer', default: 50 } }, default: {} },
      members: { items: { required: ['id', 'host', 'ports'], additionalProperties: false } },
    },
  });
  const genesis = configJsonSchema('genesis') as Record<string, unknown>;
  expect(genesis).toMatchObject({
    required: ['version', 'chainId', 'timestamp', 'validators'],
    additionalProperties: false,
  });
});
