import type { Dice } from './random.ts';

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
/** Share of seeds in which the faults of one theme alone happen. */
const THEME_RATE = 0.3;

/** Few kinds of faults that together bring out what a mixture of all would hide. */
export const THEMES = {
  /** Leaders side by side, and one after another. */
  rivals: ['split', 'isolateLeader', 'isolateLeader', 'killLeader', 'open'],
  /** A leader that neither hears nor sees time pass is one that believes in its lease too long. */
  pauses: ['isolateAndPauseLeader', 'isolateAndResetLeader', 'open'],
  transfers: ['transferAndIsolateLeader', 'open'],
  /** What a member promised must outlive it. */
  restarts: ['isolateLeader', 'kill', 'powerOff', 'powerOff', 'open', 'open'],
  /** Some hear the leader and some do not. */
  deafness: ['blockOneWay', 'blockOneWay', 'kill', 'powerOff', 'open'],
  powerLoss: ['powerOff', 'powerOff', 'powerOffAll', 'kill'],
  disks: ['powerOff', 'failOperation', 'fillDisk', 'failReads', 'stallDisk', 'flipBit', 'kill'],
} as const satisfies Record<string, readonly Fault[]>;

/** The kinds of faults of a seed, each as often as it is in the list. A machine whose clock sleeps breaks what leases rest on. */
export function drawFaults(
  dice: Dice,
  { churn, leases }: { churn: boolean; leases: boolean },
): readonly Fault[] {
  if (!churn && dice.chance(THEME_RATE)) return dice.pick(Object.values(THEMES));
  const sparedRate = churn ? 0 : dice.pick(SPARED_RATES);
  const drawn: Fault[] = ['open'];
  for (const [name, weight] of Object.entries(FAULTS)) {
    const fault = name as Fault;
    if (dice.chance(sparedRate) || (fault === 'suspend' && leases)) continue;
    for (let count = 0; count < weight; count += 1) drawn.push(fault);
  }
  return drawn;
}
