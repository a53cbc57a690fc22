import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterAdmin, type ClusterAdminDependencies } from '../../../src/replica/cluster_admin.ts';
import type { Configuration } from '../../../src/types/configuration.ts';
import { founders, ManualClock, memberRecord, quiet } from '../ledger/chain_fixture.ts';

const TERM = 4;
const addition = { record: memberRecord(4), promotion: 'automatic' } as const;
const { signal } = new AbortController();

let clock: ManualClock;
let log: { index: number; configuration: Configuration };
let applied: typeof log;
let core: { role: string; term: number; commit: number; appliedIndex: number };
let proposed: string[];

beforeEach(() => {
  clock = new ManualClock();
  log = { index: 1, configuration: founders };
  applied = log;
  core = { role: 'leader', term: TERM, commit: 1, appliedIndex: 1 };
  proposed = [];
});

/** Before a core whose log takes one entry for each change. */
function admin(): ClusterAdmin {
  const driver = {
    status: () => ({
      ...core,
      leader: 1,
      configuration: { ...log, committed: log.index <= core.commit },
    }),
    get appliedIndex() {
      return core.appliedIndex;
    },
    changeConfiguration: ({ kind }: { kind: string }) => {
      proposed.push(kind);
      return { index: log.index + 1, term: TERM };
    },
  };
  const membership = {
    get applied() {
      return applied;
    },
    get inForce() {
      return log;
    },
  };
  const parts = { driver, membership, clock, isConnected: () => true };
  return new ClusterAdmin({ self: 1 }, parts as unknown as ClusterAdminDependencies);
}

function commit(index: number, configuration: Configuration): void {
  log = { index, configuration };
  applied = log;
  core = { ...core, commit: index, appliedIndex: index };
}

function withMember(
  changes: Pick<Configuration, 'voters' | 'learners'>,
  ids: number[],
): Configuration {
  return {
    ...founders,
    ...changes,
    members: ids.map((id) => memberRecord(id)),
    highestId: 4,
  };
}

const learning = withMember(
  { voters: [1, 2, 3], learners: [{ id: 4, promotion: 'automatic', replaces: undefined }] },
  [1, 2, 3, 4],
);
const replacing = withMember(
  { voters: [1, 2, 3], learners: [{ id: 4, promotion: 'automatic', replaces: 3 }] },
  [1, 2, 3, 4],
);
const grown = withMember({ voters: [1, 2, 3, 4], learners: [] }, [1, 2, 3, 4]);
const replaced = withMember({ voters: [1, 2, 4], learners: [] }, [1, 2, 4]);

async function turn(): Promise<void> {
  await quiet();
  clock.advance(1_000);
  await quiet();
}

describe('ClusterAdmin', () => {
  it('answers an addition once it is committed, also when the new member votes already then', async () => {
    for (const seen of [learning, grown]) {
      commit(1, founders);
      const added = admin().add(addition, undefined, signal);
      await turn();
      commit(7, seen);
      await turn();
      expect(await added).toEqual({ configurationIndex: 7 });
    }
    expect(proposed).toEqual(['addLearner', 'addLearner']);
  });

  it('answers what was done before as done, however far it has come, and proposes nothing', async () => {
    for (const seen of [learning, grown]) {
      commit(7, seen);
      expect(await admin().add(addition, undefined, signal)).toEqual({ configurationIndex: 7 });
    }
    for (const seen of [replacing, replaced]) {
      commit(7, seen);
      expect(await admin().add(addition, 3, signal)).toEqual({ configurationIndex: 7 });
    }
    expect(await admin().remove(3, signal)).toEqual({ configurationIndex: 7 });
    expect(await admin().promote(4, signal)).toEqual({ configurationIndex: 7 });
    expect(await admin().update(memberRecord(4), signal)).toEqual({ configurationIndex: 7 });
    expect(proposed).toEqual([]);
  });

  it('does not take an addition for a replacement, nor the other way round', async () => {
    for (const [seen, replaces] of [
      [grown, 3],
      [learning, 3],
      [replacing, undefined],
    ] as const) {
      commit(7, seen);
      const ended = new AbortController();
      const asked = admin().add(addition, replaces, ended.signal);
      ended.abort();
      clock.advance(1_000);
      await expect(asked).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    }
    expect(proposed).toHaveLength(3);
  });

  it('cannot tell the outcome when it loses the lead before the change is committed', async () => {
    const added = admin().add(addition, undefined, signal);
    added.catch(() => undefined);
    await quiet();
    core = { ...core, role: 'follower', term: TERM + 1 };
    await turn();
    await expect(added).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  it('scenario 58: a leader that removes itself answers after it stepped down, from what it then applies', async () => {
    const removed = admin().remove(1, signal);
    await quiet();
    core = { ...core, role: 'follower', commit: 3 };
    await turn();
    commit(3, { ...founders, voters: [2, 3], members: [2, 3].map((id) => memberRecord(id)) });
    await turn();
    expect(await removed).toEqual({ configurationIndex: 3 });
  });
});
