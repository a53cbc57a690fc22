import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The part of a V8 CPU profile that is read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface HotSpot {
  /** `function file:line`. */
  readonly name: string;
  readonly selfMs: number;
  /** Of the time that was spent in code, in per cent. */
  readonly percent: number;
}

/** What is no work: waiting, and the profiler itself. */
const IDLE_NAMES = new Set(['(idle)', '(program)', '(root)']);

/** The functions with the most self time over all profiles of a folder, the hottest first. */
export function hotSpotsOf(folder: string, countMax: number): HotSpot[] {
  const selfUs = new Map<string, number>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cpuprofile')))
    addProfile(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile, selfUs);
  const totalUs = [...selfUs.values()].reduce((sum, us) => sum + us, 0);
  return [...selfUs]
    .sort(([, left], [, right]) => right - left)
    .slice(0, countMax)
    .map(([name, us]) => ({ name, selfMs: us / 1000, percent: (100 * us) / totalUs }));
}

function addProfile(profile: CpuProfile, selfUs: Map<string, number>): void {
  const names = new Map<number, string>();
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`;
    names.set(id, `${functionName === '' ? '(anonymous)' : functionName}${place}`);
  }
  for (const [index, node] of profile.samples.entries()) {
    const name = names.get(node) ?? '';
    if (IDLE_NAMES.has(name)) continue;
    selfUs.set(name, (selfUs.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
}
