import { createHash } from 'node:crypto';
import { type Operation, TOKEN_ISSUER } from './workload_operation.ts';

const UINT256_MAX = (1n << 256n) - 1n;
export const VOTER_TOKENS = 10_000n;
/** What the token's deployer receives. */
export const TOKEN_SUPPLY = 10n ** 27n;

/**
 * An independent replay: the semantics of the workloads in plain maps, without transactions,
 * contracts or gas. What it says is what the contracts' storage must hold.
 */
export class WorkloadModel {
  /** Balance by account; a name that never received anything has no entry. */
  readonly wallets = new Map<string, bigint>();
  readonly voters = new Map<string, bigint>();
  readonly candidates = new Map<string, bigint>();
  readonly tokens = new Map<string, bigint>([[TOKEN_ISSUER, TOKEN_SUPPLY]]);
  /** Wei received less wei paid by holder, without fees: may be below zero. */
  readonly payments = new Map<string, bigint>();

  /** Returns whether the operation takes effect; one that fails changes nothing. */
  apply(operation: Operation): boolean {
    switch (operation.kind) {
      case 'deposit':
        return add(this.wallets, operation.account, operation.amount);
      case 'withdraw':
        return take(this.wallets, operation.account, operation.amount);
      case 'transfer':
        return move(this.wallets, operation);
      case 'registerVoter':
        this.voters.set(operation.voter, VOTER_TOKENS);
        return true;
      case 'registerCandidate':
        this.candidates.set(operation.candidate, 0n);
        return true;
      case 'castVote':
        if (!take(this.voters, operation.voter, 1n)) return false;
        return add(this.candidates, operation.candidate, 1n);
      case 'transferVote':
        return move(this.voters, operation);
      case 'tokenTransfer':
        return move(this.tokens, operation);
      case 'pay':
        this.payments.set(operation.from, get(this.payments, operation.from) - operation.amount);
        this.payments.set(operation.to, get(this.payments, operation.to) + operation.amount);
        return true;
    }
  }

  /**
   * The published form of a final state: the first 32 hex digits of SHA-256 over the lines
   * `key=value\n` sorted by key.
   */
  digest(): string {
    const lines: string[] = [];
    for (const [name, value] of this.wallets) lines.push(`wallet${name}=${value}\n`);
    for (const [name, value] of this.voters) lines.push(`voter${name}=${value}\n`);
    for (const [name, value] of this.candidates) lines.push(`candidate${name}=${value}\n`);
    const sorted = lines
      .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line])
      .sort(([left], [right]) => (left < right ? -1 : 1));
    const text = sorted.map(([, line]) => line).join('');
    return createHash('sha256').update(text).digest('hex').slice(0, 32);
  }
}

/** Runs operations in order; returns how many failed. */
export function replay(model: WorkloadModel, operations: Iterable<Operation>): number {
  let failed = 0;
  for (const operation of operations) if (!model.apply(operation)) failed += 1;
  return failed;
}

function get(balances: ReadonlyMap<string, bigint>, name: string): bigint {
  return balances.get(name) ?? 0n;
}

function add(balances: Map<string, bigint>, name: string, amount: bigint): boolean {
  const sum = get(balances, name) + amount;
  if (sum > UINT256_MAX) return false;
  balances.set(name, sum);
  return true;
}

function take(balances: Map<string, bigint>, name: string, amount: bigint): boolean {
  const balance = get(balances, name);
  if (balance < amount) return false;
  balances.set(name, balance - amount);
  return true;
}

function move(
  balances: Map<string, bigint>,
  { from, to, amount }: { from: string; to: string; amount: bigint },
): boolean {
  if (!take(balances, from, amount)) return false;
  if (add(balances, to, amount)) return true;
  balances.set(from, get(balances, from) + amount);
  return false;
}
