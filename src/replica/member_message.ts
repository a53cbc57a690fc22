import { HASH_BYTES, type Hash, type Height } from '../types/primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, scalar } from '../types/rlp.ts';

/** What members tell each other beside Raft: where they are, and the roots that they computed. */
export interface MemberReport {
  readonly appliedIndex: number;
  readonly executedHeight: Height;
  /** Newest first, at most REPORTED_ROOTS_MAX. */
  readonly roots: readonly { readonly height: Height; readonly root: Hash }[];
}

export const REPORTED_ROOTS_MAX = 4;

/** One byte before every payload between members says what follows. */
export const MESSAGE_KINDS = { raft: 0, report: 1 } as const;

export function encodeReport(report: MemberReport): Uint8Array {
  return encodeRlp([
    scalar(report.appliedIndex),
    scalar(report.executedHeight),
    report.roots.map(({ height, root }) => [scalar(height), root]),
  ]);
}

export function decodeReport(bytes: Uint8Array): MemberReport {
  const reader = new FieldReader(decodeRlp(bytes), 'report', 3);
  const appliedIndex = reader.number('appliedIndex');
  const executedHeight = reader.number('executedHeight');
  const roots = reader.list('roots');
  if (roots.length > REPORTED_ROOTS_MAX)
    throw new CodecError(`report.roots must be at most ${REPORTED_ROOTS_MAX}`);
  return {
    appliedIndex,
    executedHeight,
    roots: roots.map((item) => {
      const fields = new FieldReader(item, 'root', 2);
      return { height: fields.number('height'), root: fields.bytes('root', HASH_BYTES) };
    }),
  };
}

/** Puts the kind before a payload. */
export function framed(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = kind;
  bytes.set(payload, 1);
  return bytes;
}
