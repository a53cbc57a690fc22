import { expect, it } from 'vitest';
import { DEFECTS } from './defects.ts';
import { DEFECTS_OF_CHANGE } from './defects_of_change.ts';
import { firstCaught } from './run_seeds.ts';

for (const defect of [...DEFECTS, ...DEFECTS_OF_CHANGE])
  it(`catches within ${defect.seeds} seeds: ${defect.name}`, async () => {
    expect(await firstCaught(defect)).toBeDefined();
  });
