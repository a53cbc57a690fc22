import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load_config.ts';
import { minimalCluster } from './cluster_text.ts';

const KIB = 1024;

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'blockraft-config-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('reading from disk', () => {
  test('takes a file, or the folder that holds cluster.yaml', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'cluster.yaml');
    await writeFile(file, stringify(minimalCluster()));
    const config = await loadConfig({ file, environment: {} });
    expect(config.file).toBe(file);
    expect(await loadConfig({ file: folder, environment: {} })).toEqual(config);
  });

  test('says what stands in the way', async () => {
    const folder = await temporaryFolder();
    await expect(loadConfig({ file: folder, environment: {} })).rejects.toThrow(
      `${join(folder, 'cluster.yaml')}: there is no such file; "blockraft init" writes one`,
    );
    const large = join(folder, 'large.yaml');
    await writeFile(large, '');
    await truncate(large, 2 * KIB * KIB);
    await expect(loadConfig({ file: large, environment: {} })).rejects.toThrow(
      'holds 2097152 bytes; at most 1048576 are read',
    );
  });
});
