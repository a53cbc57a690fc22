import { defineConfig } from 'vitest/config';

// Tests that start real processes are slow and heavy: they run one file at a time, after the pure ones.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'pure',
          include: [
            'test/{unit,sim,trace,linearizability,spec,conformance}/**/*.test.ts',
            'test/*.test.ts',
          ],
          testTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'processes',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
    retry: 0,
  },
});
