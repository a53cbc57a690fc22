import { describe, expect, it } from 'vitest';
import { checkTraces } from './check_trace.ts';
import type { TraceScript } from './trace_script.ts';

/** A trace that is allowed up to its last event, which the specification forbids for the reason given. */
export interface BadTrace {
  readonly trace: () => TraceScript;
  readonly reason: RegExp;
}

/** A test for each of them, under its name. */
export function describeForbidden(bad: Readonly<Record<string, BadTrace>>): void {
  describe('the specification forbids', () => {
    for (const [name, { trace, reason }] of Object.entries(bad))
      it(name, () => {
        const verdict = checkTraces(trace().files(), { electionTicks: 10 });
        expect(verdict.violation ?? 'nothing').toMatch(reason);
        expect(verdict.violation).toMatch(/^member-\d\.ndjson:\d+: member \d, /);
      });
  });
}
