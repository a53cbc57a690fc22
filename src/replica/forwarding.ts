import { decodeTransactionState, encodeTransactionState } from '../ledger/records.ts';
import { HASH_BYTES } from '../types/primitives.ts';
import { CodecError, decodeRlp, encodeRlp, FieldReader, type RlpItem } from '../types/rlp.ts';
import type { RefusalCode, SubmitResult } from '../types/submission.ts';

/** Submissions that a member passes on to the leader, and the leader's answer. */
export function encodeSubmission(raws: readonly Uint8Array[]): Uint8Array {
  return encodeRlp([...raws]);
}

export function decodeSubmission(bytes: Uint8Array): Uint8Array[] {
  const items = decodeRlp(bytes);
  if (!Array.isArray(items)) throw new CodecError('submission must be a list');
  return items.map((item) => {
    if (!(item instanceof Uint8Array)) throw new CodecError('submission must hold bytes');
    return item;
  });
}

export function encodeSubmitResults(results: readonly SubmitResult[]): Uint8Array {
  return encodeRlp(results.map(resultItem));
}

export function decodeSubmitResults(bytes: Uint8Array): SubmitResult[] {
  const items = decodeRlp(bytes);
  if (!Array.isArray(items)) throw new CodecError('submit results must be a list');
  return items.map(resultFrom);
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function resultItem(result: SubmitResult): RlpItem {
  if (result.kind === 'admitted')
    return [
      text('admitted'),
      result.hash,
      text(result.alreadyKnown ? 'known' : 'new'),
      encodeTransactionState(result.state),
    ];
  const { code, message, fields } = result.refusal;
  return [text('refused'), text(code), text(message), text(JSON.stringify(fields))];
}

function resultFrom(item: RlpItem): SubmitResult {
  const reader = new FieldReader(item, 'submitResult', 4);
  if (textOf(reader.bytes('kind')) === 'admitted')
    return {
      kind: 'admitted',
      hash: reader.bytes('hash', HASH_BYTES),
      alreadyKnown: textOf(reader.bytes('novelty')) === 'known',
      state: decodeTransactionState(reader.bytes('state')),
    };
  return {
    kind: 'refused',
    refusal: {
      code: textOf(reader.bytes('code')) as RefusalCode,
      message: textOf(reader.bytes('message')),
      fields: JSON.parse(textOf(reader.bytes('fields'))),
    },
  };
}
