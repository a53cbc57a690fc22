import type { Outcome } from '../types/outcome.ts';
import type { AppliedConfiguration, HeadRecord } from './records.ts';
import type { StoredBlock } from './stored_block.ts';

/** What execution of the newest executed height gave, as the next header repeats it. */
export type HeadResults = Pick<Outcome, 'gasUsed' | 'receiptsRoot' | 'logsBloom'>;

/** Where the chain stands after the applied log. */
export interface LedgerHead extends HeadRecord {
  /** The newest decided block. */
  readonly decided: StoredBlock;
  /** The block fixed for height decided + 1, if one is: no other will ever be signed there. */
  readonly undecided: StoredBlock | undefined;
  /** Of height `executedHeight`. */
  readonly results: HeadResults;
  /** The last one in the applied log. */
  readonly configuration: AppliedConfiguration;
}
