import { CodedError, errorText } from '../lib/error.ts';

/**
 * UNREACHABLE: the source does not answer; ask again later. REFUSED: it says no, and the field `refusal` why.
 * DAMAGED: what it holds or sent is not what it should be; ask another member. FOREIGN: it is of another
 * cluster, chain or format. ABORTED: the caller gave up, or asked for something newer. UNUSABLE: this member's
 * disk refuses. CONFLICT: the snapshot and this member's state disagree about a committed entry; one of them
 * is wrong, and the member must stop. STORE_DAMAGED: this member's own state or log has lost what it promised.
 */
export type SnapshotErrorCode =
  | 'UNREACHABLE'
  | 'REFUSED'
  | 'DAMAGED'
  | 'FOREIGN'
  | 'ABORTED'
  | 'UNUSABLE'
  | 'CONFLICT'
  | 'STORE_DAMAGED';

/** Why a snapshot cannot be fetched or installed. */
export class SnapshotError extends CodedError<SnapshotErrorCode> {}

export function unusableError(directory: string, cause: unknown): SnapshotError {
  return new SnapshotError(
    'UNUSABLE',
    `the snapshot cannot be kept in ${directory}: ${errorText(cause)}; check that the disk is healthy, has ` +
      'room for a second copy of the state, and that this user may write to it',
    { fields: { path: directory }, cause },
  );
}
