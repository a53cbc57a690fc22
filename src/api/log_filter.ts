import { bytesEqual } from '../lib/bytes.ts';
import type { Address, Hash } from '../types/primitives.ts';
import type { Log } from '../types/receipt.ts';

/** Which logs a subscriber wants: of any of the addresses, with any of the alternatives at each topic position. */
export interface LogFilter {
  /** All addresses when empty. */
  readonly addresses: readonly Address[];
  /** A position without alternatives accepts any topic; a log with fewer topics than positions does not pass. */
  readonly topics: readonly (readonly Hash[])[];
}

export function logMatches(filter: LogFilter, log: Log): boolean {
  if (filter.addresses.length > 0 && !includesBytes(filter.addresses, log.address)) return false;
  if (log.topics.length < filter.topics.length) return false;
  return filter.topics.every((alternatives, position) => {
    const topic = log.topics[position];
    return alternatives.length === 0 || (topic !== undefined && includesBytes(alternatives, topic));
  });
}

function includesBytes(items: readonly Uint8Array[], wanted: Uint8Array): boolean {
  return items.some((item) => bytesEqual(item, wanted));
}
