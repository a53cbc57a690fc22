import type { Divergence, RootAgreement } from '../leader/root_agreement.ts';
import type { Chain } from '../ledger/chain.ts';
import { assert } from '../lib/assert.ts';
import type { Header } from '../types/block.ts';
import type { MemberId } from '../types/entry.ts';
import type { Hash, Height } from '../types/primitives.ts';
import { type MemberReport, REPORTED_ROOTS_MAX } from './member_message.ts';

type HashedHeight = MemberReport['roots'][number];

/** The newest roots of this member, and their comparison with those of the others and of decided headers. */
export class RootKeeper {
  readonly #self: MemberId;
  readonly #agreement: RootAgreement;
  readonly #onDivergence: (divergence: Divergence) => void;
  /** Newest first. */
  #recent: readonly HashedHeight[] = [];

  constructor(
    options: { self: MemberId },
    dependencies: {
      agreement: RootAgreement;
      /** This member is wrong. It may be told more than once. */
      onDivergence: (divergence: Divergence) => void;
    },
  ) {
    this.#self = options.self;
    this.#agreement = dependencies.agreement;
    this.#onDivergence = dependencies.onDivergence;
  }

  /** Newest first, at most REPORTED_ROOTS_MAX. */
  get recent(): readonly HashedHeight[] {
    return this.#recent;
  }

  computed(height: Height, root: Hash): void {
    this.#recent = [{ height, root }, ...this.#recent].slice(0, REPORTED_ROOTS_MAX);
    this.#judge(this.#agreement.report(this.#self, height, root));
  }

  reported(from: MemberId, roots: readonly HashedHeight[]): void {
    for (const { height, root } of roots) this.#judge(this.#agreement.report(from, height, root));
  }

  /** A header carries the root of two heights below; those of the first two are genesis by definition. */
  decided(header: Header): void {
    if (header.height > 2)
      this.#judge(this.#agreement.decided(header.height - 2, header.stateRoot));
  }

  /** After a restart the newest roots are known from the store, and peers may still be waiting for them. */
  async recall(
    { trieHeight, decidedHeight }: { trieHeight: Height; decidedHeight: Height },
    chain: Chain,
  ): Promise<void> {
    const first = Math.max(0, trieHeight - REPORTED_ROOTS_MAX + 1);
    for (let height = first; height <= trieHeight; height += 1) {
      const root = await chain.stateRoot(height);
      assert(root !== undefined, 'the root of every hashed height is stored');
      this.computed(height, root);
    }
    for (let height = Math.max(1, decidedHeight - 1); height <= decidedHeight; height += 1)
      this.decided((await chain.storedBlock(height)).block.header);
  }

  #judge(divergence: Divergence | undefined): void {
    if (divergence !== undefined) this.#onDivergence(divergence);
  }
}
