import { createKeccak } from 'hash-wasm';
import type { Hash } from '../types/primitives.ts';

// One hasher per thread, used again for every call: creating one compiles WebAssembly, so it is asynchronous.
const hasher = await createKeccak(256);

/** keccak-256, as Ethereum uses it. The result is fresh: the caller owns it. */
export function keccak256(bytes: Uint8Array): Hash {
  return hasher.init().update(bytes).digest('binary');
}
