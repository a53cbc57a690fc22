import type { RaftOptions } from '../../src/raft/options.ts';
import { drawFaults, type Fault } from './faults.ts';
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
  /** Mean time between two looks of the operator at the cluster. */
  readonly changeMeanMs: number;
  /** Members are upgraded one after another to a protocol that the old ones refuse, and the other way round. */
  readonly upgrade: boolean;
  /** The kinds of faults that happen; each as often as it is in the list. */
  readonly faults: readonly Fault[];
  /** Mean time between two of them. */
  readonly faultMeanMs: number;
}

const HEARTBEAT_TICKS = 2;
const TICK_MS = 10;
/** Clocks of leases differ by no more than this from true time. */
const LEASE_DRIFT = 0.02;

/** What a test may insist on, where the dice would decide otherwise. */
export type Wishes = Partial<Settings> & { readonly leases?: boolean };

export function drawSettings(dice: Dice, wishes: Wishes): Settings {
  const { leases: wantsLeases, ...fixed } = wishes;
  const churn = dice.chance(0.15) || fixed.churn === true;
  const tight = churn || dice.chance(0.3);
  const leases = dice.chance(0.3) || wantsLeases === true;
  const electionTicks = dice.pick([5, 10, 10]);
  const size = churn ? 5 : dice.pick([3, 3, 3, 3, 3, 5, 5, 5, 7, 4, 2, 1]);
  return {
    size,
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
    diskPauseRate: dice.pick([0, 0.3, 1]),
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
    changes: dice.chance(0.5),
    changeMeanMs: dice.pick([15, 60, 200]),
    upgrade: dice.chance(0.1),
    faults: drawFaults(dice, { churn, leases }),
    faultMeanMs: churn ? 600 : dice.pick([20, 60, 200, 600]),
    ...fixed,
  };
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
