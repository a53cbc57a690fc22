import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CANNOT_ARISE, SCENARIOS } from './raft_scenario_list.ts';

// Writes docs/raft-scenarios.md from the titles of the tests: `node scripts/raft_scenarios.ts`.

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'raft-scenarios.md');

/** A quoted text that begins with `scenario 5:` or holds `(scenarios 5 and 6)`. */
const TITLE =
  /(?:(['"`])scenarios? ([\d, andto]+):(.*?)\1)|(?:(['"`])(.*?) ?\(scenarios? ([\d, andto]+)\)\4)/g;

interface Coverage {
  readonly file: string;
  readonly title: string;
}

/** Tests by the numbers in their titles. */
function coverage(): Map<number, Coverage[]> {
  const covered = new Map<number, Coverage[]>();
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .sort();
  for (const file of files) {
    const path = join(root, 'test', file);
    for (const match of readFileSync(path, 'utf8').matchAll(TITLE)) {
      const [numbers, title] = [match[2] ?? match[6] ?? '', (match[3] ?? match[5] ?? '').trim()];
      for (const number of numbersIn(numbers)) {
        const tests = covered.get(number) ?? [];
        tests.push({ file: relative(root, path), title });
        covered.set(number, tests);
      }
    }
  }
  return covered;
}

/** `1, 3 and 5 to 7` */
function numbersIn(text: string): number[] {
  return [...text.matchAll(/(\d+)(?: to (\d+))?/g)].flatMap(([, first, last]) => {
    const from = Number(first);
    return Array.from({ length: Number(last ?? from) - from + 1 }, (_, offset) => from + offset);
  });
}

/** The page as it should be. Throws when a situation has neither a test nor a reason, or both. */
export function renderScenarios(): string {
  const covered = coverage();
  const lines = [
    '# What the log must survive',
    '',
    'Situations that a Raft and its disk must survive, most of them faults that respected implementations shipped, and the tests',
    'that hold this one to each. This page is made from the titles of the tests (`node scripts/raft_scenarios.ts`), and a test',
    'compares the two.',
  ];
  let topic: string | undefined;
  for (const scenario of SCENARIOS) {
    const { number, text } = scenario;
    if (scenario.topic !== topic) lines.push('', `## ${scenario.topic}`, '');
    topic = scenario.topic;
    const tests = covered.get(number) ?? [];
    const reason = CANNOT_ARISE.get(number);
    if (tests.length > 0 === (reason !== undefined))
      throw new Error(`scenario ${number} needs either a test that names it or a reason`);
    lines.push(`${number}. ${text}`);
    if (reason !== undefined) lines.push(`   - Cannot arise: ${reason}`);
    for (const { file, title } of tests) lines.push(`   - \`${file}\`: ${title}`);
  }
  return `${lines.join('\n')}\n`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(page, renderScenarios());
