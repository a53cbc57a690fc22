import { assert } from '../lib/assert.ts';
import { malformedMessage } from './error.ts';

/** Bytes of the largest safe integer, 53 bits in groups of seven. */
export const VARINT_BYTES_MAX = 8;
/** Groups that plain 32-bit operations can take. */
const FAST_LIMIT = 0x80;

/** Writes canonical unsigned LEB128 integers and byte strings into one buffer of known size. */
export class VarintWriter {
  readonly #buffer: Uint8Array;
  #position = 0;

  constructor(bytesMax: number) {
    this.#buffer = Buffer.allocUnsafe(bytesMax);
  }

  byte(value: number): void {
    this.#buffer[this.#position] = value;
    this.#position += 1;
  }

  flag(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'only safe unsigned integers are encoded');
    let rest = value;
    while (rest >= FAST_LIMIT) {
      this.byte((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  /** undefined as 0, any other value one higher. */
  optional(value: number | undefined): void {
    this.number(value === undefined ? 0 : value + 1);
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#buffer.set(value, this.#position);
    this.#position += value.length;
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#position);
  }
}

/** Reads what VarintWriter wrote; anything else throws MALFORMED_MESSAGE. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  byte(): number {
    const value = this.#bytes[this.#position];
    if (value === undefined) throw malformedMessage('it ends too early');
    this.#position += 1;
    return value;
  }

  flag(): boolean {
    const value = this.byte();
    if (value > 1) throw malformedMessage('a flag is neither 0 nor 1');
    return value === 1;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= VARINT_BYTES_MAX; count += 1) {
      const group = this.byte();
      value += (group & 0x7f) * scale;
      if (group < FAST_LIMIT) {
        if (group === 0 && count > 1)
          throw malformedMessage('an integer is not in its shortest form');
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 128;
    }
    throw malformedMessage('an integer is not a safe integer');
  }

  optional(): number | undefined {
    const value = this.number();
    return value === 0 ? undefined : value - 1;
  }

  /** A view, not a copy. */
  bytes(lengthMax: number): Uint8Array {
    const length = this.number();
    if (length > lengthMax) throw malformedMessage(`${length} bytes of data are too many`);
    if (length > this.remaining) throw malformedMessage('it ends too early');
    const value = this.#bytes.subarray(this.#position, this.#position + length);
    this.#position += length;
    return value;
  }

  /** Nothing may follow. */
  end(): void {
    if (this.remaining > 0) throw malformedMessage(`${this.remaining} bytes follow it`);
  }
}
