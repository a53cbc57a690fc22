import { describe, expect, it } from 'vitest';
import { errorText } from '../../src/lib/error.ts';
import { checkTraces, type TraceFile } from '../spec/check_trace.ts';
import { DEFECTS, type KnownDefect } from './defects.ts';
import { DEFECTS_OF_CHANGE } from './defects_of_change.ts';
import { Simulation, type SimulationOptions } from './simulation.ts';

// The specification in test/spec looks at what members write down of themselves, and knows nothing of the
// simulator's own checks.

const SEEDS = 24;
const SEEDS_PER_TEST = 8;

/** What a simulation must show now and then, or allowing it would mean little. */
const KINDS = [
  'start',
  'persisted',
  'receive append',
  'receive appendReply',
  'receive heartbeat',
  'receive voteReply',
  'receive preVoteReply',
  'receive timeoutNow',
  'receive installSnapshot',
  'changeConfiguration',
  'offerSnapshot',
  'propose',
];

const seenKinds = new Set<string>();

describe('the specification allows what simulated members do', () => {
  for (let first = 1; first <= SEEDS; first += SEEDS_PER_TEST)
    it(`seeds ${first} to ${first + SEEDS_PER_TEST - 1}`, async () => {
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed += 1) {
        const { files, end } = await traced({ seed });
        expect(end, `seed ${seed}`).toBe('converged');
        const { violation, counts, events } = checkTraces(files, { electionTicks: 10 });
        expect(violation ?? 'allowed', `seed ${seed}`).toBe('allowed');
        const lines = files.map(({ text }) => text.split('\n').length - 1);
        expect(events).toBe(lines.reduce((total, count) => total + count, 0));
        for (const kind of counts.keys()) seenKinds.add(kind);
      }
    });

  it('has seen every kind of event on the way', () => {
    expect(KINDS.filter((kind) => !seenKinds.has(kind))).toEqual([]);
  });
});

/** Whatever comes first of a vote and a commit that were counted in another way than the specification's. */
const MISCOUNTED = /which no quorum holds|with the (Pre)?[Vv]otes of .* only|is not committed/;

/** Defects that show in what a member says of itself, by their names in the lists of defects. */
const VISIBLE: readonly { readonly name: RegExp; readonly reason: RegExp }[] = [
  {
    name: /replies leave before the fsync/,
    reason: /the term on disk is|before the vote|durable up to/,
  },
  { name: /scenario 1\)/, reason: /by counting/ },
  { name: /scenario 4\)/, reason: /grants a PreVote|votes for a log/ },
  { name: /scenario 16\)/, reason: /nothing leads there/ },
  { name: /scenario 22\)/, reason: MISCOUNTED },
  { name: /scenario 24\)/, reason: /and was told of/ },
  { name: /scenario 13\)/, reason: MISCOUNTED },
  { name: /scenario 54\)/, reason: /without a joint configuration|before it committed an entry/ },
  { name: /scenario 55\)/, reason: /is not committed|before it committed an entry/ },
  { name: /scenario 57\)/, reason: /starts with the configuration/ },
  { name: /scenario 61\)/, reason: MISCOUNTED },
];

describe('the specification forbids what members with a defect do', () => {
  for (const { name, reason } of VISIBLE) {
    const known = [...DEFECTS, ...DEFECTS_OF_CHANGE].find((each) => name.test(each.name));
    it(titleOf(known), async () => {
      if (known === undefined) throw new Error('the lists of defects have no such name');
      expect(await firstForbidden(known)).toMatch(reason);
    });
  }
});

/** `scenario 4: votes ignore the log`, so that the list of scenarios finds it. */
function titleOf(known: KnownDefect | undefined): string {
  const [, what, scenario] = known?.name.match(/^(.*) \((scenario \d+)\)$/) ?? [];
  return scenario === undefined ? (known?.name ?? 'an unknown defect') : `${scenario}: ${what}`;
}

async function firstForbidden({ defect, seeds, wishes = {} }: KnownDefect): Promise<string> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { files } = await traced({ seed, defect, wishes });
    const { violation } = checkTraces(files);
    if (violation !== undefined) return violation;
  }
  return 'allowed';
}

/** Runs a simulation to its end, whatever that is, and gives what its members wrote down. */
async function traced(options: SimulationOptions): Promise<{ files: TraceFile[]; end: string }> {
  const lines = new Map<number, string[]>();
  const protocolTrace = (member: number) => {
    const own = lines.get(member) ?? [];
    lines.set(member, own);
    return { write: (text: string) => void own.push(text) };
  };
  const end = await new Simulation({ ...options, protocolTrace })
    .run()
    .then(() => 'converged', errorText);
  const files = [...lines].map(([member, texts]) => ({
    name: `member-${member}.ndjson`,
    text: texts.join(''),
  }));
  return { files, end };
}
