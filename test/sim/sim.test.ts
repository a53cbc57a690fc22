import { expect, it } from 'vitest';
import { runSeed, runSeeds } from './run_seeds.ts';

const SEEDS = 400;
const SEEDS_PER_TEST = 50;
const REPEATED_SEEDS = 10;

for (let first = 1; first <= SEEDS; first += SEEDS_PER_TEST)
  it(`scenario 83: seeds ${first} to ${first + SEEDS_PER_TEST - 1} keep every invariant and converge`, async () => {
    const totals = await runSeeds({ first, count: SEEDS_PER_TEST });
    expect(totals.acknowledged).toBeGreaterThan(SEEDS_PER_TEST);
    expect(totals.servedReads).toBeGreaterThan(SEEDS_PER_TEST);
    expect(totals.elections).toBeGreaterThan(SEEDS_PER_TEST);
    expect(totals.crashes).toBeGreaterThan(SEEDS_PER_TEST);
  });

it('does the same for the same seed', async () => {
  for (let seed = 1; seed <= REPEATED_SEEDS; seed += 1)
    expect(await runSeed(seed)).toEqual(await runSeed(seed));
});
