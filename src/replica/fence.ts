import type { Divergence } from '../leader/root_agreement.ts';
import { toPrefixedHex } from '../lib/bytes.ts';

/** Why a member that computed another root stands apart. */
export function fenceReason({ height, own, other, authority }: Divergence): string {
  const says = authority === 'majority' ? 'most members computed' : 'the decided chain carries';
  return `after block ${height} this member has the state root ${toPrefixedHex(own)} where ${says} ${toPrefixedHex(other)}`;
}
