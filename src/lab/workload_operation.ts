/**
 * One step of a workload, free of how it is carried out. Wallet accounts, voters, candidates and
 * holders are names; a wallet account's name is its user followed by its password.
 */
export type Operation =
  | { readonly kind: 'deposit'; readonly account: string; readonly amount: bigint }
  | { readonly kind: 'withdraw'; readonly account: string; readonly amount: bigint }
  | Move<'transfer'>
  | { readonly kind: 'registerVoter'; readonly voter: string }
  | { readonly kind: 'registerCandidate'; readonly candidate: string }
  | { readonly kind: 'castVote'; readonly voter: string; readonly candidate: string }
  | Move<'transferVote'>
  /** A plain transfer of wei between two holders. */
  | Move<'pay'>
  /** An ERC-20 transfer between two holders. */
  | Move<'tokenTransfer'>;

interface Move<Kind extends string> {
  readonly kind: Kind;
  readonly from: string;
  readonly to: string;
  readonly amount: bigint;
}

/** The holder that the whole token supply belongs to at first. */
export const TOKEN_ISSUER = 'issuer';

export type WorkloadFamily = 'wallet' | 'voting' | 'payments' | 'token';

/** A set-up to run first, and what is measured. */
export interface Workload {
  /** For people: where it comes from. */
  readonly name: string;
  readonly family: WorkloadFamily;
  readonly setup: readonly Operation[];
  readonly operations: readonly Operation[];
}

const FAMILIES: Record<Operation['kind'], WorkloadFamily> = {
  deposit: 'wallet',
  withdraw: 'wallet',
  transfer: 'wallet',
  registerVoter: 'voting',
  registerCandidate: 'voting',
  castVote: 'voting',
  transferVote: 'voting',
  pay: 'payments',
  tokenTransfer: 'token',
};

export function familyOf(operation: Operation): WorkloadFamily {
  return FAMILIES[operation.kind];
}

/**
 * The keys of the state that an operation reads and writes, without repeats, as the published
 * digest names them. Whoever pays is first.
 */
export function touchedKeys(operation: Operation): string[] {
  switch (operation.kind) {
    case 'deposit':
    case 'withdraw':
      return [`wallet${operation.account}`];
    case 'registerVoter':
      return [`voter${operation.voter}`];
    case 'registerCandidate':
      return [`candidate${operation.candidate}`];
    case 'castVote':
      return [`voter${operation.voter}`, `candidate${operation.candidate}`];
    case 'transfer':
      return moveKeys('wallet', operation);
    case 'transferVote':
      return moveKeys('voter', operation);
    case 'pay':
      return moveKeys('holder', operation);
    case 'tokenTransfer':
      return moveKeys('token', operation);
  }
}

function moveKeys(prefix: string, move: { from: string; to: string }): string[] {
  return move.from === move.to
    ? [`${prefix}${move.from}`]
    : [`${prefix}${move.from}`, `${prefix}${move.to}`];
}

/** Density of the graph of pairwise dependent operations, in percent: what the paper calls conflict. */
export function conflictPercentOf(operations: readonly Operation[]): number {
  const byKey = new Map<string, number>();
  const byPair = new Map<string, number>();
  for (const operation of operations) {
    const keys = touchedKeys(operation).sort();
    for (const key of keys) byKey.set(key, (byKey.get(key) ?? 0) + 1);
    if (keys.length === 2) {
      const pair = keys.join(' ');
      byPair.set(pair, (byPair.get(pair) ?? 0) + 1);
    }
  }
  // Two operations on the same two keys were counted once for each key.
  const conflicts = pairCount(byKey.values()) - pairCount(byPair.values());
  const possible = (operations.length * (operations.length - 1)) / 2;
  return possible === 0 ? 0 : (100 * conflicts) / possible;
}

function pairCount(counts: Iterable<number>): number {
  let pairs = 0;
  for (const count of counts) pairs += (count * (count - 1)) / 2;
  return pairs;
}
