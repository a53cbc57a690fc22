import { dirname } from 'node:path';
import { assert } from '../lib/assert.ts';
import type { HardState } from '../types/entry.ts';
import type { LogBase } from './base.ts';
import { FIRST_BASE, writeBase } from './base.ts';
import type { FileSystem } from './file_system.ts';
import type { WalIdentity } from './segment.ts';
import { SegmentTable } from './segment_table.ts';
import { SegmentWriter } from './segment_writer.ts';
import { notEmptyError } from './wal_error.ts';

/**
 * See `Wal.create`. The base comes first: a folder that has it but no segment yet is refused, where
 * one with a segment alone could be taken for a log whose hard state was never written.
 */
export async function createLog(
  options: { directory: string; identity: WalIdentity; segmentBytes: number },
  start: { base: LogBase; hardState: HardState },
  dependencies: { fileSystem: FileSystem },
): Promise<void> {
  const { directory, identity, segmentBytes } = options;
  const { fileSystem } = dependencies;
  const { index, term } = start.base;
  assert(start.hardState.term >= term, 'the term of a member is at least that of its log');
  await fileSystem.createDirectory(directory);
  if ((await fileSystem.list(directory)).length > 0) throw notEmptyError(directory);
  await fileSystem.syncDirectory(dirname(directory));
  const { firstSequence } = FIRST_BASE;
  const base = { index, term, firstSequence, hardState: start.hardState };
  await writeBase({ directory, identity, base }, fileSystem);
  const writer = new SegmentWriter(
    { directory, identity, segmentBytes, bufferBytesMax: 0 },
    { fileSystem, segments: new SegmentTable(), last: undefined },
  );
  try {
    await writer.rotate({ roomBytes: 0, firstIndex: index + 1 });
  } finally {
    await writer.close();
  }
}
