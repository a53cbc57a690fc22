import { BLOOM_BYTES } from '../types/primitives.ts';
import type { Log } from '../types/receipt.ts';
import { keccak256 } from './keccak.ts';

/** Ethereum's logs bloom (yellow paper 4.3.1): three bits for each address and topic. Fresh 256 bytes. */
export function logsBloom(logs: readonly Log[]): Uint8Array {
  const bloom = new Uint8Array(BLOOM_BYTES);
  for (const { address, topics } of logs) {
    addToBloom(bloom, address);
    for (const topic of topics) addToBloom(bloom, topic);
  }
  return bloom;
}

/** Whatever one of the blooms may contain, the union may. Fresh 256 bytes. */
export function unionBlooms(blooms: readonly Uint8Array[]): Uint8Array {
  const union = new Uint8Array(BLOOM_BYTES);
  for (const bloom of blooms) {
    for (let index = 0; index < BLOOM_BYTES; index += 1)
      union[index] = (union[index] ?? 0) | (bloom[index] ?? 0);
  }
  return union;
}

/** False when the address or topic was certainly not added. */
export function bloomMayContain(bloom: Uint8Array, bytes: Uint8Array): boolean {
  return bitsOf(bytes).every((bit) => ((bloom[byteOf(bit)] ?? 0) & (1 << (bit & 7))) !== 0);
}

function addToBloom(bloom: Uint8Array, bytes: Uint8Array): void {
  for (const bit of bitsOf(bytes))
    bloom[byteOf(bit)] = (bloom[byteOf(bit)] ?? 0) | (1 << (bit & 7));
}

/** Bit 0 is the least significant of the last byte. */
function byteOf(bit: number): number {
  return BLOOM_BYTES - 1 - (bit >> 3);
}

function bitsOf(bytes: Uint8Array): number[] {
  const hash = keccak256(bytes);
  return [0, 2, 4].map((at) => (((hash[at] ?? 0) << 8) | (hash[at + 1] ?? 0)) & 2047);
}
