/** Hex without prefix, for map keys. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Hex with the 0x prefix, for people and APIs. */
export function toPrefixedHex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`;
}

const HEX_PATTERN = /^(?:0x)?((?:[0-9a-fA-F]{2})*)$/;

/** Parses hex of whole bytes with or without 0x; undefined when the text is anything else. */
export function fromHex(text: string): Uint8Array | undefined {
  const digits = HEX_PATTERN.exec(text)?.[1];
  return digits === undefined ? undefined : new Uint8Array(Buffer.from(digits, 'hex'));
}

export function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  return compareBytes(left, right) === 0;
}

/** Lexicographic order of unsigned bytes, a prefix first. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right);
}

/** A copy in a buffer of its own. `slice` will not do: that of a Buffer is a view, which keeps all of its buffer alive. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

export function concatBytes(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Big-endian unsigned 64-bit form of a safe integer, so that keys sort by number. */
export function uint64Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** Reads a big-endian unsigned integer of any length. */
export function bytesToBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(toPrefixedHex(bytes));
}

/** Minimal big-endian form: zero is empty. */
export function bigIntToBytes(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array(0);
  const digits = value.toString(16);
  return new Uint8Array(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex'));
}

/** Left-pads with zeros to a fixed length, which must not be exceeded. */
export function padLeft(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length > length) throw new RangeError(`${bytes.length} bytes do not fit in ${length}`);
  const padded = new Uint8Array(length);
  padded.set(bytes, length - bytes.length);
  return padded;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
