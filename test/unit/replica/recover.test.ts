import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Config, memberOf } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/load_config.ts';
import { readAppliedHead } from '../../../src/ledger/applied_head.ts';
import { FENCE_KEY, HEAD_KEY, REMOVED_KEY, SNAPSHOT_RANGES } from '../../../src/ledger/keys.ts';
import { encodeHead } from '../../../src/ledger/records.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import { storeMark } from '../../../src/replica/marks.ts';
import { closeAll, type MemberParts, openParts } from '../../../src/replica/member_parts.ts';
import { recoverFromSurvivor } from '../../../src/replica/recover.ts';
import { SnapshotFetch } from '../../../src/snapshot/snapshot_fetch.ts';
import { SnapshotSource } from '../../../src/snapshot/snapshot_source.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
  initialConfiguration,
} from '../../../src/types/configuration.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';
import {
  blsSecret,
  genesis,
  ManualClock,
  memberRecord,
  silent,
  TestLedger,
  transfer,
} from '../ledger/chain_fixture.ts';

const none = () => undefined;

let config: Config;

beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'blockraft-recover-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const members = [1, 2, 3].map(
    (id) =>
      `  - { id: ${id}, host: 127.0.0.1, ports: { peer: 70${id}1, api: 70${id}2, admin: 70${id}3 } }`,
  );
  const text = [
    'version: 1',
    'cluster: three',
    'genesis: genesis.yaml',
    `data: ${directory}`,
    'members:',
    ...members,
    'wal: { segmentBytes: 1048576 }',
  ].join('\n');
  config = parseConfig(text, { file: join(directory, 'cluster.yaml'), environment: {} });
});

/** Opens member 1, does something to its folder, and stops it. */
async function live<Result>(act: (parts: MemberParts) => Promise<Result>): Promise<Result> {
  const parts = await openParts(
    { config, memberId: 1, genesis, secretKey: blsSecret },
    {
      clock: systemClock,
      random: Math.random,
      logger: silent,
      onFatal: none,
      onRemoved: none,
      onInstall: none,
    },
  );
  try {
    return await act(parts);
  } finally {
    await closeAll(parts.closers);
  }
}

function append(
  parts: MemberParts,
  term: number,
  ...configurations: (Configuration | undefined)[]
) {
  const first = parts.wal.lastIndex + 1;
  return parts.wal.append({
    hardState: { term, vote: undefined },
    entries: configurations.map((configuration, offset) => ({
      index: first + offset,
      term,
      type: configuration === undefined ? 'noop' : 'configuration',
      data: configuration === undefined ? new Uint8Array(0) : encodeConfiguration(configuration),
    })),
  });
}

const recover = (...lost: number[]) =>
  recoverFromSurvivor({ config, memberId: 1, lost }, { logger: silent });

/** The end of the log and the hard state, as the next start finds them. */
const found = () =>
  live(async ({ wal }) => ({
    entry: wal.entries(wal.lastIndex, wal.lastIndex, 1_000_000)[0],
    hardState: wal.hardState,
  }));

/** Says how far the state of member 1 has come. */
function apply({ database }: MemberParts, appliedIndex: number): Promise<void> {
  const batch = new WriteBatch();
  const head = { appliedIndex, appliedTerm: 1, decidedHeight: 0, executedHeight: 0 };
  batch.put(HEAD_KEY, encodeHead(head));
  return database.write(batch);
}

/** Leaves member 1 with a snapshot of a state that has applied two entries, the last of term 4. */
async function stage(memberFolder: string): Promise<void> {
  const other = await TestLedger.open();
  other.startTerm(4);
  other.admit(transfer(0n));
  await other.applyNext();
  await other.applyNext();
  const chain = { clusterId: 'three', genesisHash: new Uint8Array(32) };
  const parts = { clock: new ManualClock(), random: () => 0.5, logger: silent };
  const source = new SnapshotSource(
    { chain, ranges: SNAPSHOT_RANGES },
    { ...parts, database: other.database, readHead: readAppliedHead },
  );
  const fetch = new SnapshotFetch(
    { memberFolder, chain },
    { ...parts, fileSystem: nodeFileSystem, request: (_to, payload) => source.handle(payload) },
  );
  await fetch.fetch({ from: 2, atLeastIndex: 2, signal: new AbortController().signal });
  await source.stop();
  await other.close();
}

describe('recovery from one survivor', () => {
  it('makes it the only voter in a new term, above all that its log holds', async () => {
    await live((parts) => append(parts, 7, undefined, undefined));
    expect(await recover(3, 2)).toEqual({ index: 3, decidedHeight: 0, recoveries: 1 });
    const { entry, hardState } = await found();
    expect(entry).toMatchObject({ index: 3, term: 8, type: 'configuration' });
    expect(hardState).toEqual({ term: 8, vote: 1 });
    const configuration = decodeConfiguration(entry?.data ?? new Uint8Array(0));
    expect(configuration).toMatchObject({ voters: [1], outgoing: [], learners: [], recoveries: 1 });
    expect(configuration.members.map(({ id }) => id)).toEqual([1]);
    expect(configuration.highestId).toBe(3);
  });

  it('goes by the last configuration in the log, committed or not, with both of its halves', async () => {
    const founded = initialConfiguration([1, 2, 3].map((id) => memberRecord(id)));
    const joint = {
      ...founded,
      voters: [1, 2, 4],
      outgoing: [1, 2, 3],
      members: [1, 2, 3, 4].map((id) => memberRecord(id)),
      highestId: 4,
      recoveries: 2,
    };
    await live((parts) => append(parts, 3, founded, undefined, joint, undefined));
    await expect(recover(2, 3)).rejects.toMatchObject({
      code: 'CANNOT_RECOVER',
      message: expect.stringContaining('4 may still vote'),
    });
    expect((await found()).entry?.index).toBe(4);
    expect(await recover(2, 3, 4)).toMatchObject({ index: 5, recoveries: 3 });
  });

  it('goes on from a snapshot that it had fetched: one installed later would undo the recovery', async () => {
    await live((parts) => append(parts, 1, undefined));
    const { dataFolder } = memberOf(config, 1);
    await stage(dataFolder);
    expect(await recover(2, 3)).toMatchObject({ index: 3, recoveries: 1 });
    const { entry, hardState } = await found();
    expect(entry).toMatchObject({ index: 3, term: 5, type: 'configuration' });
    expect(hardState).toEqual({ term: 5, vote: 1 });
  });

  it('takes a log that was compacted, and none that lacks what was applied', async () => {
    await live(async (parts) => {
      await append(parts, 1, undefined, undefined, undefined, undefined);
      await apply(parts, 3);
      await parts.wal.compact(3);
    });
    expect(await recover(2, 3)).toMatchObject({ index: 5 });
    await live((parts) => apply(parts, 9));
    await expect(recover(2, 3)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });

  it('does nothing a second time', async () => {
    await live((parts) => append(parts, 1, undefined));
    await recover(2, 3);
    await expect(recover(2, 3)).rejects.toMatchObject({ code: 'CANNOT_RECOVER' });
    expect((await found()).entry?.index).toBe(2);
  });

  it('refuses a learner, a stranger among the lost, and a folder without data', async () => {
    await expect(recover(2, 3)).rejects.toMatchObject({
      message: expect.stringMatching(/no data/),
    });
    await live((parts) => append(parts, 1, undefined));
    await expect(recover(2, 3, 9)).rejects.toMatchObject({
      message: expect.stringMatching(/9 does not vote/),
    });
    const members = [1, 2].map((id) => memberRecord(id));
    const learners = [{ id: 1, promotion: 'manual', replaces: undefined }] as const;
    const learning = { ...initialConfiguration(members), voters: [2], learners };
    await live((parts) => append(parts, 1, learning));
    await expect(recover(2)).rejects.toMatchObject({
      message: expect.stringMatching(/member 1 does not vote/),
    });
  });

  it('refuses a member that fenced itself or was removed', async () => {
    await live(async (parts) => {
      await append(parts, 1, undefined);
      await storeMark(FENCE_KEY, 'another root', parts.database);
    });
    await expect(recover(2, 3)).rejects.toMatchObject({
      message: expect.stringMatching(/another root/),
    });
    await live((parts) => storeMark(REMOVED_KEY, 'removed at index 9', parts.database));
    await expect(recover(2, 3)).rejects.toMatchObject({ code: 'REMOVED' });
    await expect(live(async () => undefined)).rejects.toMatchObject({ code: 'REMOVED' });
  });
});
