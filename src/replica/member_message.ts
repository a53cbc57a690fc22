import { copyBytes, utf8 } from '../lib/bytes.ts';
import { HASH_BYTES, type Hash, type Height } from '../types/primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, scalar } from '../types/rlp.ts';

/** One byte before every payload between members says what follows. */
export const MESSAGE_KINDS = { raft: 0, report: 1, rejection: 2 } as const;

export const FOLDER_ID_BYTES = 16;
export const REPORTED_ROOTS_MAX = 4;

/** What members tell each other beside Raft: who they are, where they are, and the roots that they computed. */
export interface MemberReport {
  /** Drawn when the member's data folder was made: another one under the same member id has lost its log. */
  readonly folderId: Uint8Array;
  readonly appliedIndex: number;
  readonly executedHeight: Height;
  /** Newest first, at most REPORTED_ROOTS_MAX. */
  readonly roots: readonly { readonly height: Height; readonly root: Hash }[];
}

export function encodeReport(report: MemberReport): Uint8Array {
  return framed(
    MESSAGE_KINDS.report,
    encodeRlp([
      report.folderId,
      scalar(report.appliedIndex),
      scalar(report.executedHeight),
      report.roots.map(({ height, root }) => [scalar(height), root]),
    ]),
  );
}

/** @param payload without the kind */
export function decodeReport(payload: Uint8Array): MemberReport {
  const reader = new FieldReader(decodeRlp(payload), 'report', 4);
  // Copies, since the payload is a view of a larger buffer and these are kept.
  const folderId = copyBytes(reader.bytes('folderId', FOLDER_ID_BYTES));
  const appliedIndex = reader.number('appliedIndex');
  const executedHeight = reader.number('executedHeight');
  const roots = reader.list('roots');
  if (roots.length > REPORTED_ROOTS_MAX)
    throw new CodecError(`report.roots must be at most ${REPORTED_ROOTS_MAX}`);
  return {
    folderId,
    appliedIndex,
    executedHeight,
    roots: roots.map((item) => {
      const fields = new FieldReader(item, 'root', 2);
      return { height: fields.number('height'), root: copyBytes(fields.bytes('root', HASH_BYTES)) };
    }),
  };
}

/** Tells a member that it is not the one of its id that this cluster knows. */
export function encodeRejection(reason: string): Uint8Array {
  return framed(MESSAGE_KINDS.rejection, utf8(reason));
}

/** Puts the kind before a payload. */
export function framed(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = kind;
  bytes.set(payload, 1);
  return bytes;
}
