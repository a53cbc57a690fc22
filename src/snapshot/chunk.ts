import { assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import { CodecError } from '../types/rlp.ts';
import { CHUNK_BYTES_MAX, KEY_BYTES_MAX } from './wire.ts';

/**
 * A chunk is a sequence of pieces: u16 key length, u32 length of the whole value, u32 offset of the piece in
 * it, key, bytes. A piece ends with its value or with the chunk, so that its length needs no field.
 */
const PIECE_HEADER_BYTES = 10;
/** Largest value that a snapshot carries; outcomes and blocks are far below. */
export const VALUE_BYTES_MAX = 64 * 1024 * 1024;

/** Fills one chunk. */
export class ChunkWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #length = 0;

  constructor(options: { bytesMax: number }) {
    assert(
      options.bytesMax > PIECE_HEADER_BYTES + KEY_BYTES_MAX && options.bytesMax <= CHUNK_BYTES_MAX,
      'a chunk has room for a piece of any key',
    );
    this.#bytes = new Uint8Array(options.bytesMax);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /**
   * Adds the value from the offset on, as much of it as there is room for. Returns the offset that was
   * reached; undefined when there is no room for any of it.
   */
  add(key: Uint8Array, value: Uint8Array, offset: number): number | undefined {
    assert(key.length <= KEY_BYTES_MAX, 'a key is bounded');
    assert(value.length <= VALUE_BYTES_MAX, 'a value is bounded');
    const at = this.#length;
    const room = this.#bytes.length - at - PIECE_HEADER_BYTES - key.length;
    const rest = value.length - offset;
    if (room < Math.min(1, rest)) return undefined;
    const taken = Math.min(room, rest);
    this.#view.setUint16(at, key.length);
    this.#view.setUint32(at + 2, value.length);
    this.#view.setUint32(at + 6, offset);
    this.#bytes.set(key, at + PIECE_HEADER_BYTES);
    const whole = taken === value.length ? value : value.subarray(offset, offset + taken);
    this.#bytes.set(whole, at + PIECE_HEADER_BYTES + key.length);
    this.#length = at + PIECE_HEADER_BYTES + key.length + taken;
    return offset + taken;
  }

  /** What was added; nothing may be added afterwards. */
  payload(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Puts the pairs together again; memory is bounded by one value. */
export class PairAssembler {
  #open: { key: Uint8Array; value: Uint8Array; filled: number } | undefined;

  /**
   * Calls back for each pair that the chunk completes; keys and values may be views of the payload. Throws a
   * CodecError when the chunk does not continue the one before it.
   */
  add(payload: Uint8Array, onPair: (key: Uint8Array, value: Uint8Array) => void): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    for (let at = 0; at < payload.length; ) {
      if (payload.length - at < PIECE_HEADER_BYTES) throw new CodecError('a piece is cut off');
      const keyLength = view.getUint16(at);
      const valueLength = view.getUint32(at + 2);
      const offset = view.getUint32(at + 6);
      const valueAt = at + PIECE_HEADER_BYTES + keyLength;
      if (keyLength > KEY_BYTES_MAX || valueLength > VALUE_BYTES_MAX || offset > valueLength)
        throw new CodecError('a piece is out of its bounds');
      if (valueAt > payload.length) throw new CodecError('a key is cut off');
      const key = payload.subarray(at + PIECE_HEADER_BYTES, valueAt);
      at = Math.min(payload.length, valueAt + valueLength - offset);
      const bytes = payload.subarray(valueAt, at);
      if (offset === 0 && bytes.length === valueLength && this.#open === undefined)
        onPair(key, bytes);
      else this.#addPart({ key, valueLength, offset, bytes }, onPair);
    }
  }

  /** Throws a CodecError when a value is not complete. */
  finish(): void {
    if (this.#open !== undefined) throw new CodecError('the last value is cut off');
  }

  #addPart(
    piece: { key: Uint8Array; valueLength: number; offset: number; bytes: Uint8Array },
    onPair: (key: Uint8Array, value: Uint8Array) => void,
  ): void {
    const { key, valueLength, offset, bytes } = piece;
    if (this.#open === undefined && offset === 0)
      this.#open = { key, value: new Uint8Array(valueLength), filled: 0 };
    const open = this.#open;
    if (
      open === undefined ||
      open.filled !== offset ||
      open.value.length !== valueLength ||
      !bytesEqual(open.key, key)
    )
      throw new CodecError('a piece does not continue the one before it');
    open.value.set(bytes, offset);
    open.filled += bytes.length;
    if (open.filled < valueLength) return;
    this.#open = undefined;
    onPair(open.key, open.value);
  }
}
