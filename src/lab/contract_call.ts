import { readFileSync } from 'node:fs';
import { keccak256 } from '../crypto/keccak.ts';
import { assert } from '../lib/assert.ts';
import { bigIntToBytes, concatBytes, fromHex, padLeft, utf8 } from '../lib/bytes.ts';
import { type Address, HASH_BYTES, type Hash } from '../types/primitives.ts';

export type ContractName = 'Wallet' | 'Voting' | 'Token';

/** The bytes that create a contract, constructor arguments (32 bytes each) appended. */
export function creationCode(
  contract: ContractName,
  ...constructorWords: Uint8Array[]
): Uint8Array {
  const url = new URL(`./contracts/artifacts/${contract}.json`, import.meta.url);
  const artifact = JSON.parse(readFileSync(url, 'utf8')) as { readonly bytecode: string };
  const code = fromHex(artifact.bytecode);
  assert(code !== undefined && code.length > 0, `the artefact of ${contract} has no bytecode`);
  return concatBytes(code, ...constructorWords);
}

/** Call data of a function whose arguments are one word (32 bytes) each. */
export function callData(selector: Uint8Array, ...words: Uint8Array[]): Uint8Array {
  return concatBytes(selector, ...words);
}

/** First four bytes of the hash of a signature such as `deposit(bytes32,uint256)`. */
export function selectorOf(signature: string): Uint8Array {
  return keccak256(utf8(signature)).slice(0, 4);
}

/** An address or a small number as a word. */
export function wordOf(value: bigint | Address): Uint8Array {
  return padLeft(typeof value === 'bigint' ? bigIntToBytes(value) : value, HASH_BYTES);
}

/** How the contracts name an account, voter or candidate. */
export function nameWord(name: string): Hash {
  return keccak256(utf8(name));
}

/** Where Solidity keeps the entry of a mapping at a position of the contract's storage. */
export function mappingSlot(key: Uint8Array, position: number): Hash {
  return keccak256(concatBytes(padLeft(key, HASH_BYTES), wordOf(BigInt(position))));
}
