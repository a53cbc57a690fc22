import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { renderScenarios } from '../scripts/raft_scenarios.ts';

it('has a test or a reason for every situation, and a page that says which', () => {
  const page = join(import.meta.dirname, '..', 'docs', 'raft-scenarios.md');
  expect(readFileSync(page, 'utf8')).toBe(renderScenarios());
});
