import { stringify } from 'yaml';
import type { Environment } from '../../../src/config/config.ts';
import { ConfigError } from '../../../src/config/config_error.ts';
import { parseConfig } from '../../../src/config/load_config.ts';

/** A cluster file as plain data, for tests that change one thing of it. */
// biome-ignore lint/suspicious/noExplicitAny: tests write what no type allows.
export type PlainCluster = Record<string, any>;

export function member(id: number, host = '127.0.0.1'): PlainCluster {
  const base = 7_000 + id * 10;
  return { id, host, ports: { peer: base, api: base + 1, admin: base + 2 } };
}

/** The shortest file that is valid. */
export function minimalCluster(memberCount = 3): PlainCluster {
  const members = Array.from({ length: memberCount }, (_, index) => member(index + 1));
  return { version: 1, cluster: 'test', data: 'data', members };
}

export function parse(
  cluster: PlainCluster,
  { environment = {}, memberId }: { environment?: Environment; memberId?: number } = {},
) {
  return parseConfig(stringify(cluster), {
    file: '/clusters/test/cluster.yaml',
    environment,
    ...(memberId === undefined ? {} : { memberId }),
  });
}

/** The problems of a file as `path: fix`. */
export function problemsOf(act: () => unknown): string[] {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof ConfigError)
      return thrown.problems.map(({ path, fix }) => (path === '' ? fix : `${path}: ${fix}`));
    throw thrown;
  }
  return [];
}
