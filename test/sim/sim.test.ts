import { expect, it } from 'vitest';
import { DEFECTS } from './defects.ts';
import { firstCaught, replay, runSeeds } from './run_seeds.ts';

const SEEDS = 1_000;
const SEEDS_PER_TEST = 100;

const seed = process.env.SIM_SEED;

if (seed !== undefined) {
  it(`seed ${seed}`, () => replay(Number(seed)));
} else {
  for (let first = 1; first <= SEEDS; first += SEEDS_PER_TEST)
    it(`scenario 83: seeds ${first} to ${first + SEEDS_PER_TEST - 1} keep every invariant and converge`, () => {
      const totals = runSeeds({ first, count: SEEDS_PER_TEST });
      expect(totals.acknowledged).toBeGreaterThan(SEEDS_PER_TEST);
      expect(totals.servedReads).toBeGreaterThan(SEEDS_PER_TEST);
      expect(totals.elections).toBeGreaterThan(SEEDS_PER_TEST);
      expect(totals.crashes).toBeGreaterThan(SEEDS_PER_TEST);
    });
  for (const defect of DEFECTS)
    it(`catches within ${defect.seeds} seeds: ${defect.name}`, () => {
      expect(firstCaught(defect)).toBeDefined();
    });
}
