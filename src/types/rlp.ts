import { RLP } from '@ethereumjs/rlp';
import { bigIntToBytes, bytesToBigInt } from '../lib/bytes.ts';
import { CodedError, errorText } from '../lib/error.ts';

/** What RLP can express: bytes, or a list of the same. */
export type RlpItem = Uint8Array | RlpItem[];

/** Bytes that are not the canonical encoding of what they should hold. */
export class CodecError extends CodedError<'MALFORMED'> {
  constructor(message: string, cause?: unknown) {
    super('MALFORMED', message, cause === undefined ? {} : { cause });
  }
}

export function encodeRlp(item: RlpItem): Uint8Array {
  return RLP.encode(item);
}

/** Decodes exactly one canonical item; anything else throws a CodecError. */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  // The library takes nothing for an empty string, whose encoding is one byte.
  if (bytes.length === 0) throw new CodecError('not canonical RLP: there are no bytes');
  try {
    return RLP.decode(bytes) as RlpItem;
  } catch (thrown) {
    throw new CodecError(`not canonical RLP: ${errorText(thrown)}`, thrown);
  }
}

/** Scalars are minimal big-endian bytes: zero is empty. */
export function scalar(value: bigint | number): Uint8Array {
  return bigIntToBytes(BigInt(value));
}

/** Takes the fields of one RLP list in order and names what is wrong with the one that does not fit. */
export class FieldReader {
  readonly #items: RlpItem[];
  readonly #what: string;
  #position = 0;

  /** @param count the exact number of fields */
  constructor(item: RlpItem, what: string, count?: number) {
    if (!Array.isArray(item)) throw new CodecError(`${what} must be a list`);
    if (count !== undefined && item.length !== count)
      throw new CodecError(`${what} must have ${count} fields, not ${item.length}`);
    this.#items = item;
    this.#what = what;
  }

  bytes(name: string, length?: number): Uint8Array {
    const item = this.#next(name);
    if (!(item instanceof Uint8Array)) throw new CodecError(`${this.#what}.${name} must be bytes`);
    if (length !== undefined && item.length !== length)
      throw new CodecError(`${this.#what}.${name} must be ${length} bytes, not ${item.length}`);
    return item;
  }

  /** A scalar without leading zeros of at most `bytesMax` bytes. */
  bigint(name: string, bytesMax = 32): bigint {
    const item = this.bytes(name);
    if (item.length > bytesMax)
      throw new CodecError(`${this.#what}.${name} must fit in ${bytesMax} bytes`);
    if (item[0] === 0) throw new CodecError(`${this.#what}.${name} must have no leading zeros`);
    return bytesToBigInt(item);
  }

  /** A scalar that is a safe integer. */
  number(name: string): number {
    const value = Number(this.bigint(name, 8));
    if (!Number.isSafeInteger(value)) throw new CodecError(`${this.#what}.${name} is too large`);
    return value;
  }

  list(name: string): RlpItem[] {
    const item = this.#next(name);
    if (!Array.isArray(item)) throw new CodecError(`${this.#what}.${name} must be a list`);
    return item;
  }

  #next(name: string): RlpItem {
    const item = this.#items[this.#position];
    if (item === undefined) throw new CodecError(`${this.#what}.${name} is missing`);
    this.#position += 1;
    return item;
  }
}
