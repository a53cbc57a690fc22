/** 20 bytes of an account. */
export type Address = Uint8Array;
/** 32 bytes: a keccak-256 digest or a storage slot. */
export type Hash = Uint8Array;
/** Block number; the genesis block is 0. A safe integer. */
export type Height = number;

export const ADDRESS_BYTES = 20;
export const HASH_BYTES = 32;
export const BLOOM_BYTES = 256;

/** keccak-256 of nothing: the code hash of an account without code. */
export const EMPTY_CODE_HASH: Hash = Uint8Array.from(
  Buffer.from('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470', 'hex'),
);
/** keccak-256 of the RLP of nothing: the root of an empty trie. */
export const EMPTY_TRIE_ROOT: Hash = Uint8Array.from(
  Buffer.from('56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421', 'hex'),
);
export const ZERO_HASH: Hash = new Uint8Array(HASH_BYTES);
