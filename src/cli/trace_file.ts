import { appendFileSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TraceSink } from '../driver/trace.ts';
import { errorText } from '../lib/error.ts';
import type { MemberId } from '../types/entry.ts';
import { CliError } from './exit_codes.ts';

/** Where `--trace FOLDER` puts the events of a member. */
export function traceFileOf(folder: string, id: MemberId): string {
  return join(folder, `member-${id}.ndjson`);
}

/**
 * Appends to a file, which is created with its folder when it is absent. What a killed process had written is
 * kept by the operating system, so nothing is synced. Throws a CliError when it cannot be opened.
 */
export function openTraceFile(path: string): TraceSink {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, 'a');
    // The end of the process before may have cut its last line off; empty lines mean nothing.
    appendFileSync(file, '\n');
    return { write: (lines) => appendFileSync(file, lines) };
  } catch (thrown) {
    throw new CliError('usage', `cannot write the trace: ${errorText(thrown)}`);
  }
}
