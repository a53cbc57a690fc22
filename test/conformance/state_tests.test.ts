import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runStateTest, stateTestCases, stateTestFiles } from './state_tests.ts';

const files = stateTestFiles();
const folders = [...new Set(files.map((file) => dirname(file)))];

describe.skipIf(files.length === 0)(
  'official GeneralStateTests, Cancun (skipped when ../shared/ethereum-tests is absent)',
  () => {
    test.each(folders)('%s', async (folder) => {
      const failures: string[] = [];
      let cases = 0;
      for (const file of files.filter((candidate) => dirname(candidate) === folder)) {
        for (const stateTest of stateTestCases(file)) {
          cases += 1;
          const wrong = await runStateTest(stateTest);
          if (wrong !== undefined) failures.push(`${file} ${stateTest.name}: ${wrong}`);
        }
      }
      expect(failures).toEqual([]);
      expect(cases).toBeGreaterThan(0);
    });
  },
);
