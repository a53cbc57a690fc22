import { bytesEqual } from '../lib/bytes.ts';
import type { Configuration } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import type { Hash, Height } from '../types/primitives.ts';

/** Heights remembered below the newest; the chain cannot run further ahead of an agreed root than two. */
const HEIGHTS_KEPT = 16;

/** Why this member must fence itself. */
export interface Divergence {
  readonly height: Height;
  readonly own: Hash;
  readonly other: Hash;
  /** Who says otherwise: a majority of the voters, or a decided header. */
  readonly authority: 'majority' | 'header';
}

/**
 * Compares the roots that members computed. Equal roots prove equal application of one outcome; a member
 * whose root differs from a majority's, or from a decided header's, is the one that is wrong.
 */
export class RootAgreement {
  readonly #self: MemberId;
  /** One list of voters, or two in a joint configuration: each of them needs its majority. */
  #electorates: readonly (readonly MemberId[])[] = [];
  readonly #roots = new Map<Height, Map<MemberId, Hash>>();
  readonly #headers = new Map<Height, Hash>();
  #newest: Height = 0;

  constructor(options: { self: MemberId }) {
    this.#self = options.self;
  }

  /** Majorities are those of this configuration from now on; before the first one there is none. */
  configure({ voters, outgoing }: Pick<Configuration, 'voters' | 'outgoing'>): void {
    this.#electorates = [voters, outgoing].filter(({ length }) => length > 0);
  }

  /** What a member says of a height; a divergence when that shows this member to be wrong. */
  report(member: MemberId, height: Height, root: Hash): Divergence | undefined {
    // Nobody can make us remember more: far heights belong to members that are ahead, which say so again.
    if (height > this.#newest + HEIGHTS_KEPT && member !== this.#self) return undefined;
    if (height <= this.#newest - HEIGHTS_KEPT) return undefined;
    let reports = this.#roots.get(height);
    if (reports === undefined) {
      reports = new Map();
      this.#roots.set(height, reports);
    }
    reports.set(member, root);
    if (member === this.#self) this.#advance(height);
    return this.#divergence(height);
  }

  /** The state root of a height as a decided header carries it. */
  decided(height: Height, root: Hash): Divergence | undefined {
    this.#headers.set(height, root);
    return this.#divergence(height);
  }

  /** This member's root of a height, once a majority of the voters computed the same. */
  agreed(height: Height): Hash | undefined {
    const reports = this.#roots.get(height);
    const own = reports?.get(this.#self);
    if (reports === undefined || own === undefined) return undefined;
    return this.#hasMajority(reports, own) ? own : undefined;
  }

  #divergence(height: Height): Divergence | undefined {
    const reports = this.#roots.get(height);
    const own = reports?.get(this.#self);
    if (reports === undefined || own === undefined) return undefined;
    const header = this.#headers.get(height);
    if (header !== undefined && !bytesEqual(header, own))
      return { height, own, other: header, authority: 'header' };
    for (const other of reports.values())
      if (!bytesEqual(other, own) && this.#hasMajority(reports, other))
        return { height, own, other, authority: 'majority' };
    return undefined;
  }

  #hasMajority(reports: Map<MemberId, Hash>, root: Hash): boolean {
    const supports = (id: MemberId): boolean => {
      const reported = reports.get(id);
      return reported !== undefined && bytesEqual(reported, root);
    };
    return (
      this.#electorates.length > 0 &&
      this.#electorates.every((voters) => voters.filter(supports).length * 2 > voters.length)
    );
  }

  #advance(height: Height): void {
    if (height <= this.#newest) return;
    this.#newest = height;
    for (const kept of [this.#roots, this.#headers])
      for (const old of kept.keys()) if (old <= height - HEIGHTS_KEPT) kept.delete(old);
  }
}
