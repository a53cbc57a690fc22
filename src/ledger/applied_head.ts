import { CONFIGURATION_KEY, HEAD_KEY } from './keys.ts';
import { LedgerError } from './ledger_error.ts';
import { type AppliedConfiguration, decodeAppliedConfiguration, decodeHead } from './records.ts';
import type { StoreReader } from './store.ts';

/** Where the log stands in a store, as a snapshot of it says. */
export interface AppliedHead {
  readonly index: number;
  readonly term: number;
  readonly configuration: AppliedConfiguration;
}

/** Undefined when the store is new. */
export async function readAppliedHead(store: StoreReader): Promise<AppliedHead | undefined> {
  const [head, configuration] = await store.getMany([HEAD_KEY, CONFIGURATION_KEY]);
  if (head === undefined) return undefined;
  if (configuration === undefined)
    throw new LedgerError(
      'STORE_DAMAGED',
      'the database has no configuration; replace this member',
    );
  const { appliedIndex, appliedTerm } = decodeHead(head);
  return {
    index: appliedIndex,
    term: appliedTerm,
    configuration: decodeAppliedConfiguration(configuration),
  };
}
