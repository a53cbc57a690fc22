const POLYNOMIAL = 0xedb8_8320;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1)
    remainder = remainder & 1 ? POLYNOMIAL ^ (remainder >>> 1) : remainder >>> 1;
  return remainder;
});

/**
 * The CRC-32 of `bytes[from, to)` continued from `seed`, as zlib's. For a few dozen bytes the call
 * of the native one costs more than the work.
 */
export function shortCrc32(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let remainder = ~seed;
  for (let at = from; at < to; at += 1)
    remainder = (TABLE[(remainder ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (remainder >>> 8);
  return ~remainder >>> 0;
}
