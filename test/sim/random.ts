import type { Random } from '../../src/lib/environment.ts';

/** mulberry32: a small generator whose whole future is its 32-bit seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws of a simulation; all of them come from one seed. */
export class Dice {
  readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    // The first draws of neighbouring seeds resemble each other.
    for (let count = 0; count < 8; count += 1) this.random();
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** An integer from low to high, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  /** Many small values, few large ones. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.random());
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error('nothing to pick from');
    return items[Math.floor(this.random() * items.length)] as Item;
  }
}
