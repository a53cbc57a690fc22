import type { TrieThread } from '../trie/trie_thread.ts';
import { type Address, EMPTY_CODE_HASH, type Hash } from '../types/primitives.ts';
import type { Answer, ProofView } from '../types/views.ts';
import type { Member } from './member.ts';

/** Blocks above a state whose header carries its root. */
const ROOT_DISTANCE = 2;

/** Merkle proofs from this member's trie, which is a moment behind its flat state. */
export class Proofs {
  readonly #trie: TrieThread;
  readonly #member: Member;

  constructor(dependencies: { trie: TrieThread; member: Member }) {
    this.#trie = dependencies.trie;
    this.#member = dependencies.member;
  }

  /** Waits until what is executed now is hashed, and proves an account and slots there, or their absence. */
  async of(
    address: Address,
    slots: readonly Hash[],
    signal: AbortSignal,
  ): Promise<Answer<ProofView>> {
    await this.#member.hashedHeights.atLeast(this.#member.ledger.head.executedHeight, signal);
    const proof = await this.#trie.prove(address, slots);
    const headerHeight = proof.height + ROOT_DISTANCE;
    const isApplied = headerHeight <= this.#member.ledger.head.executedHeight;
    return {
      height: proof.height,
      value: {
        stateRoot: proof.root,
        headerHeight: isApplied ? headerHeight : undefined,
        nonce: proof.account?.nonce ?? 0n,
        balance: proof.account?.balance ?? 0n,
        codeHash: proof.account?.codeHash ?? EMPTY_CODE_HASH,
        storageRoot: proof.storageHash,
        accountProof: proof.accountProof,
        storageProofs: proof.storageProofs,
      },
    };
  }
}
