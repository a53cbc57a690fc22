import { describe, expect, it } from 'vitest';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { merkleProof, merkleRoot, verifyMerkleProof } from '../../../src/crypto/merkle.ts';
import { concatBytes, utf8 } from '../../../src/lib/bytes.ts';
import { SeededRandom } from './random.ts';

const leaf = (bytes: Uint8Array): Uint8Array => keccak256(concatBytes(Uint8Array.of(0), bytes));
const node = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  keccak256(concatBytes(Uint8Array.of(1), left, right));
const leaves = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => utf8(`leaf ${index}`));

describe('the binary Merkle tree', () => {
  it('is RFC 6962 section 2.1: drawn by hand for small trees', () => {
    const [a, b, c, d, e] = leaves(5).map(leaf) as [Uint8Array, ...Uint8Array[]] & Uint8Array[];
    expect(merkleRoot([])).toEqual(keccak256(new Uint8Array(0)));
    expect(merkleRoot(leaves(1))).toEqual(a);
    expect(merkleRoot(leaves(2))).toEqual(node(a, b!));
    expect(merkleRoot(leaves(3))).toEqual(node(node(a, b!), c!));
    expect(merkleRoot(leaves(5))).toEqual(node(node(node(a, b!), node(c!, d!)), e!));
  });

  it('makes aligned segments subtrees of the root', () => {
    const all = leaves(11);
    const [first, second, third] = [all.slice(0, 4), all.slice(4, 8), all.slice(8)].map(merkleRoot);
    expect(merkleRoot(all)).toEqual(node(node(first!, second!), third!));
  });

  it('proves every leaf of every small tree, and nothing else', () => {
    for (let count = 1; count <= 17; count += 1) {
      const all = leaves(count);
      const root = merkleRoot(all);
      for (let index = 0; index < count; index += 1) {
        const proof = merkleProof(all, index);
        expect(verifyMerkleProof(all[index]!, proof, root)).toBe(true);
        expect(verifyMerkleProof(utf8('other'), proof, root)).toBe(false);
        expect(verifyMerkleProof(all[index]!, { ...proof, count: 2 * count + 1 }, root)).toBe(
          false,
        );
        const elsewhere = { ...proof, index: (index + 1) % count };
        if (count > 1) expect(verifyMerkleProof(all[index]!, elsewhere, root)).toBe(false);
        const siblings = [...proof.siblings, root];
        expect(verifyMerkleProof(all[index]!, { ...proof, siblings }, root)).toBe(false);
      }
    }
  });

  it('refuses malformed proofs without throwing', () => {
    const root = merkleRoot(leaves(3));
    const bytes = utf8('leaf 0');
    for (const [index, count] of [
      [-1, 3],
      [3, 3],
      [0.5, 3],
      [0, Number.NaN],
      [0, 2 ** 60],
    ] as const)
      expect(verifyMerkleProof(bytes, { index, count, siblings: [] }, root)).toBe(false);
    const short = merkleProof(leaves(3), 0).siblings.map((sibling) => sibling.subarray(1));
    expect(verifyMerkleProof(bytes, { index: 0, count: 3, siblings: short }, root)).toBe(false);
    expect(() => merkleProof(leaves(3), 3)).toThrow(RangeError);
  });

  it('tells leaves from nodes: two hashes joined are not a leaf of the same root', () => {
    const [left, right] = [new SeededRandom(1).bytes(9), new SeededRandom(2).bytes(9)];
    expect(merkleRoot([concatBytes(leaf(left), leaf(right))])).not.toEqual(
      merkleRoot([left, right]),
    );
  });
});
