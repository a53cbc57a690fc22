import { CONFIGURATION_KEY, HEAD_KEY } from './keys.ts';
import { type AppliedConfiguration, decodeAppliedConfiguration, decodeHead } from './records.ts';
import type { StoreReader } from './store.ts';

/** Where the log stands for a state that is read, as that state itself says; undefined when it holds none. */
export async function readSnapshotHead(
  store: StoreReader,
): Promise<{ index: number; term: number; configuration: AppliedConfiguration } | undefined> {
  const [head, configuration] = await store.getMany([HEAD_KEY, CONFIGURATION_KEY]);
  if (head === undefined || configuration === undefined) return undefined;
  const { appliedIndex, appliedTerm } = decodeHead(head);
  return {
    index: appliedIndex,
    term: appliedTerm,
    configuration: decodeAppliedConfiguration(configuration),
  };
}
