import type { RaftOptions } from '../../src/raft/options.ts';
import type { NetworkOptions } from './network.ts';
import type { Dice } from './random.ts';

/** What one seed makes of the cluster and of the world around it. */
export interface Settings {
  /** Voters at the start. */
  readonly size: number;
  readonly network: NetworkOptions;
  readonly tickMs: number;
  readonly raft: Pick<
    RaftOptions,
    | 'electionTicks'
    | 'heartbeatTicks'
    | 'maxAppendBytes'
    | 'maxInflightAppends'
    | 'maxUncommittedBytes'
    | 'leaseReads'
  >;
  /** How long inputs are gathered before a Ready is taken. */
  readonly gatherMs: number;
  /** Mean delay of the state machine behind the committed entries. */
  readonly applyMeanMs: number;
  /** Each machine draws its mean time of an fsync from these. */
  readonly fsyncMeansMs: readonly number[];
  readonly diskPauseRate: number;
  readonly segmentBytes: number;
  readonly cacheBytesMax: number;
  /** Mean time between two flushes of the state machine. */
  readonly flushMeanMs: number;
  /** Share of flushes after which the log is compacted, and the entries that stay then. */
  readonly compactionRate: number;
  readonly tailEntries: number;
  /** Clocks run faster or slower by at most this share. */
  readonly clockDrift: number;
  readonly registers: number;
  readonly clients: number;
  /** Mean pause of a client between two requests. */
  readonly thinkMeanMs: number;
  readonly readRate: number;
  /** Shares of requests that go to the leader, and of the others to whoever answered last. */
  readonly leaderRate: number;
  readonly faithfulRate: number;
  readonly paddingBytesMax: number;
  /**
   * Leaders fall in their first moments and entries travel one by one: the histories of figure 8, with
   * entries of several terms on different minorities, come up often only here.
   */
  readonly churn: boolean;
  /** The membership changes all the time. */
  readonly changes: boolean;
  /** Members are upgraded one after another to a protocol that the old ones refuse, and the other way round. */
  readonly upgrade: boolean;
  /** The kinds of faults that happen; each as often as it is in the list. */
  readonly faults: readonly Fault[];
}

/** What goes wrong, and how often relative to the rest. */
const FAULTS = {
  kill: 8,
  killLeader: 6,
  powerOff: 6,
  powerOffAll: 1,
  stopInOrder: 4,
  isolate: 5,
  isolateLeader: 5,
  split: 5,
  blockOneWay: 6,
  clog: 5,
  flapLink: 4,
  open: 12,
  pause: 8,
  pauseLeader: 4,
  isolateAndPauseLeader: 4,
  isolateAndResetLeader: 3,
  transferAndIsolateLeader: 3,
  suspend: 3,
  jumpWallClock: 4,
  stallDisk: 6,
  failOperation: 3,
  fillDisk: 3,
  failReads: 3,
  flipBit: 4,
  misdirectWrite: 4,
  loseDisk: 2,
  breakConnection: 5,
  transfer: 5,
  fence: 3,
} as const;

export type Fault = keyof typeof FAULTS;

/** Shares of kinds of faults that a seed leaves out. */
const SPARED_RATES = [0.2, 0.3, 0.6, 0.85];
const HEARTBEAT_TICKS = 2;
const TICK_MS = 10;
/** Clocks of leases differ by no more than this from true time. */
const LEASE_DRIFT = 0.02;

/** What a test may insist on, where the dice would decide otherwise. */
export type Wishes = Partial<
  Pick<Settings, 'churn' | 'changes' | 'upgrade' | 'size' | 'faults'>
> & {
  readonly leases?: boolean;
};

export function drawSettings(dice: Dice, wishes: Wishes): Settings {
  const churn = dice.chance(0.15) || wishes.churn === true;
  const tight = churn || dice.chance(0.3);
  const leases = dice.chance(0.3) || wishes.leases === true;
  const electionTicks = dice.pick([5, 10, 10]);
  const size = churn ? 5 : dice.pick([3, 3, 3, 3, 3, 5, 5, 5, 7, 4, 2, 1]);
  return {
    size: wishes.size ?? size,
    network: drawNetwork(dice),
    tickMs: TICK_MS,
    raft: {
      electionTicks,
      heartbeatTicks: HEARTBEAT_TICKS,
      maxAppendBytes: tight ? dice.pick([1, 100]) : 4096,
      maxInflightAppends: tight ? dice.integer(1, 4) : 32,
      maxUncommittedBytes: tight ? dice.integer(200, 2_000) : 100_000,
      leaseReads: leases ? { durationMs: leaseMs(electionTicks) } : undefined,
    },
    gatherMs: dice.pick([0, 0.1, 2]),
    applyMeanMs: dice.pick([0, 0, 5]),
    fsyncMeansMs: dice.pick([[0.3], [2], [0.3, 2, 8]]),
    diskPauseRate: dice.pick([0, 0.3]),
    segmentBytes: dice.pick([6, 8, 32]) * 1024,
    cacheBytesMax: dice.pick([1, 8, 1024]) * 1024,
    flushMeanMs: dice.pick([50, 200, 1_000]),
    compactionRate: dice.pick([0, 0.3, 1]),
    tailEntries: dice.pick([0, 3, 50]),
    clockDrift: leases ? LEASE_DRIFT : dice.pick([0.001, 0.05, 0.4]),
    registers: dice.pick([1, 3, 8]),
    clients: dice.integer(2, 6),
    thinkMeanMs: dice.pick([3, 10, 40]),
    readRate: dice.pick([0.2, 0.5, 0.8]),
    leaderRate: dice.pick([0.2, 0.5, 0.8]),
    faithfulRate: dice.pick([0.2, 0.8]),
    paddingBytesMax: dice.pick([0, 20, 300]),
    churn,
    changes: dice.chance(0.5) || wishes.changes === true,
    upgrade: dice.chance(0.1) || wishes.upgrade === true,
    faults: wishes.faults ?? drawFaults(dice, { churn, leases }),
  };
}

/**
 * Some of all kinds of faults, in some seeds very few: what many kinds together hide, a few may bring
 * out. A machine whose clock sleeps breaks what leases rest on.
 */
function drawFaults(dice: Dice, { churn, leases }: { churn: boolean; leases: boolean }): Fault[] {
  const sparedRate = churn ? 0 : dice.pick(SPARED_RATES);
  const drawn: Fault[] = ['open'];
  for (const [name, weight] of Object.entries(FAULTS)) {
    const fault = name as Fault;
    if (dice.chance(sparedRate) || (fault === 'suspend' && leases)) continue;
    for (let count = 0; count < weight; count += 1) drawn.push(fault);
  }
  return drawn;
}

/** What the core asks of a lease: see LeaseReads. */
function leaseMs(electionTicks: number): number {
  const speedDifference = (1 + LEASE_DRIFT) / (1 - LEASE_DRIFT);
  return Math.floor(((electionTicks - 1) * TICK_MS) / speedDifference);
}

function drawNetwork(dice: Dice): NetworkOptions {
  return {
    lossRate: dice.pick([0, 0.02, 0.1, 0.25]),
    duplicateRate: dice.pick([0, 0.02, 0.2]),
    delayMeanMs: dice.pick([0.3, 2, 6]),
    lateRate: dice.pick([0, 0.01, 0.05]),
    ordered: dice.chance(0.3),
    encoded: dice.chance(0.3),
  };
}
