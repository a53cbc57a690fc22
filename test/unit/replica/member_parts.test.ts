import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { parseConfig } from '../../../src/config/load_config.ts';
import { HEAD_KEY } from '../../../src/ledger/keys.ts';
import { encodeHead } from '../../../src/ledger/records.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import { closeAll, type MemberParts, openParts } from '../../../src/replica/member_parts.ts';
import { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import { Wal } from '../../../src/wal/wal.ts';
import { blsSecret, genesis, silent } from '../ledger/chain_fixture.ts';

const none = () => undefined;

/** A solo member's data folder, with its log kept small. */
async function memberFolder() {
  const directory = await mkdtemp(join(tmpdir(), 'blockraft-parts-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const text = `
version: 1
cluster: solo
genesis: genesis.yaml
data: ${directory}
members: [{ id: 1, host: 127.0.0.1, ports: { peer: 7001, api: 7002, admin: 7003 } }]
wal: { segmentBytes: 1048576 }
`;
  const config = parseConfig(text, { file: join(directory, 'cluster.yaml'), environment: {} });
  const open = (): Promise<MemberParts> =>
    openParts(
      { config, memberId: 1, genesis, secretKey: blsSecret },
      {
        clock: systemClock,
        random: () => 0.5,
        logger: silent,
        onFatal: none,
        onRemoved: none,
        onInstall: none,
      },
    );
  return { folder: join(directory, 'member-1'), open };
}

it('opens again what it made', async () => {
  const { open } = await memberFolder();
  const first = await open();
  await closeAll(first.closers);
  const second = await open();
  expect(second.ledger.folderId).toEqual(first.ledger.folderId);
  await closeAll(second.closers);
});

it('scenario 47: clears away the generations that an install left behind when it died', async () => {
  const { folder, open } = await memberFolder();
  await closeAll((await open()).closers);
  await mkdir(join(folder, 'generation-2', 'state'), { recursive: true });
  await closeAll((await open()).closers);
  expect(await readdir(folder)).not.toContain('generation-2');
});

it('refuses to start without the log that it once had, whose votes are gone with it (scenario 2)', async () => {
  const { folder, open } = await memberFolder();
  await closeAll((await open()).closers);
  await rm(join(folder, 'generation-1', 'log'), { recursive: true });
  await expect(open()).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining('blockraft members replace'),
  });
});

it('refuses to start with a log that ends below what was applied (scenario 48)', async () => {
  const { folder, open } = await memberFolder();
  await closeAll((await open()).closers);
  const database = await Database.open({ directory: join(folder, 'generation-1', 'state') });
  const batch = new WriteBatch();
  batch.put(
    HEAD_KEY,
    encodeHead({ appliedIndex: 5, appliedTerm: 1, decidedHeight: 0, executedHeight: 0 }),
  );
  await database.write(batch);
  await database.close();
  await expect(open()).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    fields: { lastIndex: 0, appliedIndex: 5 },
  });
});

it('refuses to start with a log that begins above what was applied (scenario 48)', async () => {
  const { folder, open } = await memberFolder();
  await closeAll((await open()).closers);
  const directory = join(folder, 'generation-1', 'log');
  await rm(directory, { recursive: true });
  await Wal.create(
    { directory, identity: { clusterId: 'solo', memberId: 1 } },
    { base: { index: 5, term: 1 }, hardState: { term: 1, vote: undefined } },
    { fileSystem: nodeFileSystem },
  );
  await expect(open()).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    fields: { firstIndex: 6, appliedIndex: 0 },
  });
});
