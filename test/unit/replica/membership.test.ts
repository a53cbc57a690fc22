import { beforeEach, describe, expect, it } from 'vitest';
import { Membership } from '../../../src/replica/membership.ts';
import { type Configuration, EMPTY_CONFIGURATION } from '../../../src/types/configuration.ts';
import { founders, ManualClock, memberRecord, silent } from '../ledger/chain_fixture.ts';

const DEPARTURE_MS = 1_000;

let clock: ManualClock;
let peers: number[];
let removals: string[];
let changes: number[];

beforeEach(() => {
  clock = new ManualClock();
  peers = [];
  removals = [];
  changes = [];
});

function membershipOf(
  self: number,
  configuration: Configuration = founders,
  file = [1, 2, 3],
): Membership {
  const membership = new Membership(
    {
      self,
      file: file.map((id) => memberRecord(id)),
      applied: { index: 0, configuration },
      departureMs: DEPARTURE_MS,
    },
    {
      clock,
      logger: silent,
      setPeers: (addresses) => {
        peers = addresses.map(({ id }) => id).sort();
      },
      onChange: ({ index }) => changes.push(index),
      onRemoved: (reason) => removals.push(reason),
    },
  );
  membership.start();
  return membership;
}

function voting(...voters: number[]): Configuration {
  const members = voters.map((id) => memberRecord(id));
  return { ...EMPTY_CONFIGURATION, voters, members, highestId: Math.max(4, ...voters) };
}

describe('Membership', () => {
  it('connects with the others, and with those who join as soon as they are in a log', () => {
    const membership = membershipOf(1);
    expect(peers).toEqual([2, 3]);
    membership.changed({ index: 5, configuration: voting(1, 2, 3, 4) });
    expect(peers).toEqual([2, 3, 4]);
    expect(changes).toEqual([5]);
  });

  it('scenario 56: an uncommitted configuration that is gone leaves the one before', () => {
    const membership = membershipOf(1);
    membership.changed({ index: 5, configuration: voting(1, 2) });
    membership.changed({ index: 0, configuration: founders });
    clock.advance(DEPARTURE_MS);
    expect(peers).toEqual([2, 3]);
    expect(membership.inForce.index).toBe(0);
  });

  it('talks for a while to one that has left, so that it hears of it, and no longer', () => {
    const membership = membershipOf(1);
    membership.changed({ index: 5, configuration: voting(1, 2) });
    clock.advance(DEPARTURE_MS);
    // Not certain before it is committed.
    expect(peers).toEqual([2, 3]);
    membership.confirmed({ index: 5, configuration: voting(1, 2) });
    expect(peers).toEqual([2, 3]);
    clock.advance(DEPARTURE_MS);
    expect(peers).toEqual([2]);
    membership.changed({ index: 6, configuration: voting(1) });
    membership.stop();
    expect(clock.timers).toBe(0);
  });

  it('finds a cluster by the file while it joins, and once more when all others were replaced', () => {
    const joining = membershipOf(4, EMPTY_CONFIGURATION, [1, 2, 3, 4]);
    expect(peers).toEqual([1, 2, 3]);
    expect(joining.isMember).toBe(false);
    membershipOf(3, founders, [3, 4, 5]);
    expect(peers).toEqual([1, 2, 4, 5]);
  });

  it('does not take back one that was removed because the file still names it', () => {
    const membership = membershipOf(1, voting(1, 2, 4), [1, 2, 3, 4]);
    expect(peers).toEqual([2, 4]);
    expect(membership.isMember).toBe(true);
  });

  it('leaves when a committed configuration is without this member, not before', () => {
    const membership = membershipOf(3);
    membership.changed({ index: 5, configuration: voting(1, 2) });
    expect(removals).toEqual([]);
    membership.confirmed({ index: 5, configuration: voting(1, 2) });
    expect(removals).toHaveLength(1);
  });

  it('leaves when it starts with a state that is without it, as after a crash or a snapshot', () => {
    membershipOf(3, voting(1, 2));
    expect(removals).toHaveLength(1);
    membershipOf(3, founders);
    membershipOf(6, voting(1, 2), [1, 2, 6]);
    expect(removals).toHaveLength(1);
  });

  it('replays configurations from before it joined without leaving', () => {
    const membership = membershipOf(6, EMPTY_CONFIGURATION, [1, 2, 3, 6]);
    membership.confirmed({ index: 5, configuration: voting(1, 2, 3, 5) });
    membership.confirmed({ index: 9, configuration: voting(1, 2, 3, 6) });
    expect(removals).toEqual([]);
    membership.confirmed({ index: 12, configuration: { ...voting(1, 2, 3), highestId: 6 } });
    expect(removals).toHaveLength(1);
  });

  it('scenario 59: learns from a refusal that names a configuration that it was removed, from no other', () => {
    const membership = membershipOf(3);
    membership.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: undefined });
    membership.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: 0 });
    membership.refused(1, { code: 'WRONG_CLUSTER', configurationIndex: 9 });
    expect(removals).toEqual([]);
    membership.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: 8 });
    expect(removals).toHaveLength(1);
  });

  it('scenario 60: learns that it was removed also when its log ends with a later change that nobody took', () => {
    const peer = membershipOf(1);
    peer.confirmed({ index: 9, configuration: voting(1, 2) });
    const isolated = membershipOf(3);
    isolated.changed({ index: 12, configuration: voting(2, 3) });
    isolated.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: peer.departureIndex(3) });
    expect(removals).toHaveLength(1);
  });

  it('learns that it was removed also when it missed that it was taken in', () => {
    const peer = membershipOf(1);
    const joining = membershipOf(4, EMPTY_CONFIGURATION, [1, 2, 3, 4]);
    peer.confirmed({ index: 5, configuration: { ...voting(1, 2, 3), highestId: 3 } });
    joining.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: peer.departureIndex(4) });
    expect(removals).toEqual([]);
    peer.confirmed({ index: 9, configuration: voting(1, 2, 3) });
    joining.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: peer.departureIndex(4) });
    expect(removals).toHaveLength(1);
  });

  it('scenario 56: is not taken for removed when it was only ever added in vain', () => {
    const peer = membershipOf(1);
    peer.confirmed({ index: 9, configuration: voting(1, 2, 3) });
    const added = { id: 6, promotion: 'automatic', replaces: undefined } as const;
    const uncommitted = { ...voting(1, 2, 3), learners: [added], highestId: 6 };
    const joining = membershipOf(6, EMPTY_CONFIGURATION, [1, 2, 3, 6]);
    joining.changed({
      index: 8,
      configuration: { ...uncommitted, members: [1, 2, 3, 6].map((id) => memberRecord(id)) },
    });
    expect(joining.isMember).toBe(true);
    joining.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: peer.departureIndex(6) });
    expect(removals).toEqual([]);
    peer.confirmed({ index: 11, configuration: { ...voting(1, 2, 3), highestId: 6 } });
    joining.refused(1, { code: 'UNKNOWN_MEMBER', configurationIndex: peer.departureIndex(6) });
    expect(removals).toHaveLength(1);
  });
});
