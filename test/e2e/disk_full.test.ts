import { execFile } from 'node:child_process';
import { mkdir, open, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Config, memberOf } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load_config.ts';
import { AuditedLoad } from './audited_load.ts';
import { type TestCluster, testCluster } from './harness.ts';
import { transferLeadership } from './operator.ts';
import { startMember } from './own_process.ts';

const SEED = 20_260_302;
const TRANSACTIONS = 2_400;
const SEGMENT_BYTES = 256 * 1024;
const DISK_MIB = 24;
const LARGER_DISK_MIB = 128;
/** Left to the member when the rest of its disk is taken: less than another segment of its log needs. */
const ROOM_BYTES = 200 * 1024;
/** The member with the small disk. */
const VICTIM = 1;

const run = promisify(execFile);

/** A file system of its own for one folder, so small that it fills. */
class SmallDisk {
  readonly #folder: string;
  #ballasts = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Why there is none, as text, when this machine does not allow it. */
  static async mount(folder: string): Promise<SmallDisk | string> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0)
      return 'only root on Linux can mount a small disk';
    await mkdir(folder, { recursive: true });
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', folder]);
      return new SmallDisk(folder);
    } catch (thrown) {
      return `a small disk cannot be mounted here: ${thrown}`;
    }
  }

  /** Takes the disk as some other program would, but for a little. */
  async fill(roomBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder);
    this.#ballasts += 1;
    const file = await open(join(this.#folder, `ballast-${this.#ballasts}`), 'w');
    try {
      await file.writeFile(new Uint8Array(Math.max(0, bavail * bsize - roomBytes)));
    } catch (thrown) {
      // The member writes too: then there is even less room.
      expect(thrown).toMatchObject({ code: 'ENOSPC' });
    } finally {
      await file.close();
    }
  }

  async grow(): Promise<void> {
    await run('mount', ['-o', `remount,size=${LARGER_DISK_MIB}m`, this.#folder]);
  }

  async unmount(): Promise<void> {
    await run('umount', ['--lazy', this.#folder]);
  }
}

interface Scene {
  readonly cluster: TestCluster;
  readonly config: Config;
  readonly disk: SmallDisk;
}

/** A cluster that is not started, one of whose members has a small disk; or why there is none. */
async function scene(): Promise<Scene | string> {
  const cluster = await testCluster('local-3', { started: false });
  onTestFinished(() => cluster.stop());
  const text = await readFile(cluster.configFile, 'utf8');
  await writeFile(cluster.configFile, `${text}wal:\n  segmentBytes: ${SEGMENT_BYTES}\n`);
  const config = await loadConfig({ file: cluster.configFile, environment: {} });
  const disk = await SmallDisk.mount(memberOf(config, VICTIM).dataFolder);
  if (typeof disk === 'string') return disk;
  // Callbacks run last registered first: the members end before their disk goes.
  onTestFinished(() => disk.unmount());
  onTestFinished(() => cluster.processes.stopAll());
  return { cluster, config, disk };
}

async function allReady({ cluster }: Scene): Promise<void> {
  await cluster.watch.until('all members are ready', (members) =>
    members.every(({ status }) => status?.ready === true),
  );
}

describe(`a disk that fills under load (seed ${SEED})`, () => {
  test.for(['follower', 'leader'] as const)(
    'a %s stops by itself and says what to do; the others go on, and with room it catches up',
    async (role, { skip }) => {
      const made = await scene();
      if (typeof made === 'string') return skip(made);
      const { cluster, config, disk } = made;
      for (const { id } of cluster.processes.members)
        if (id !== VICTIM) cluster.processes.start(id);
      const victim = startMember(cluster.configFile, VICTIM);
      await allReady(made);
      const load = await AuditedLoad.prepare(cluster, {
        transactions: 2 * TRANSACTIONS,
        seed: SEED,
      });
      const { id: from } = await cluster.leader();
      if (role === 'leader') await transferLeadership(config, { from, to: VICTIM });
      else if (from === VICTIM) await transferLeadership(config, { from, to: VICTIM + 1 });

      await load.during(TRANSACTIONS, async () => {
        await disk.fill(ROOM_BYTES);
        const { code, stderr } = await victim.ended;
        expect(stderr).toMatch(/must stop.*free space/s);
        expect(code).toBe(1);
      });
      const after = await cluster.leader();
      expect(after.id).not.toBe(VICTIM);

      await disk.fill(0);
      const early = await startMember(cluster.configFile, VICTIM).ended;
      expect(early.stderr).toMatch(/No space left on device|ENOSPC/);
      expect(early.stderr).toMatch(/free space/);
      expect(early.stderr).not.toMatch(/members replace/);
      expect(early.code).toBe(1);
      await disk.grow();
      startMember(cluster.configFile, VICTIM);
      await allReady(made);
      await load.during(TRANSACTIONS, async () => undefined);
      await load.expectSound(cluster.processes.members.map(({ id }) => cluster.clientOf(id)));
    },
  );
});
