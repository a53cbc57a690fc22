import type { Model } from './history.ts';

export type BalanceInput =
  | {
      readonly kind: 'transfer';
      readonly from: string;
      readonly to: string;
      readonly amount: bigint;
      /** Taken from the sender beside the amount and given to nobody here. */
      readonly fee: bigint;
    }
  | { readonly kind: 'read'; readonly accounts: readonly string[] };

/** A transfer answers whether it was made; a read the balances in the order of its accounts. */
export type BalanceOutput = boolean | readonly bigint[];

type Balances = ReadonlyMap<string, bigint>;

/** The balances of all accounts as one object: a read of two accounts sees one moment. */
export function balanceModel(initial: Balances): Model<Balances, BalanceInput, BalanceOutput> {
  return {
    initial,
    step(balances, input, output) {
      const has = (account: string) => balances.get(account) ?? 0n;
      if (input.kind === 'read') {
        if (output === undefined) return balances;
        if (typeof output === 'boolean') throw new Error('a read answers balances');
        return input.accounts.every((account, index) => has(account) === output[index])
          ? balances
          : undefined;
      }
      const { from, to, amount, fee } = input;
      const covered = has(from) >= amount + fee;
      if (output !== undefined && output !== covered) return undefined;
      if (!covered) return balances;
      const after = new Map(balances).set(from, has(from) - amount - fee);
      return after.set(to, (after.get(to) ?? 0n) + amount);
    },
    key: (balances) =>
      [...balances]
        .filter(([, balance]) => balance !== 0n)
        .sort(([left], [right]) => (left < right ? -1 : 1))
        .join(';'),
    helps(input, impossible) {
      const touched = accountsOf(input);
      return accountsOf(impossible).some((account) => touched.includes(account));
    },
    describe(input, output) {
      const answer = output === undefined ? 'unknown' : String(output);
      if (input.kind === 'read') return `reads ${input.accounts.join(', ')} → ${answer}`;
      const { from, to, amount, fee } = input;
      return `transfers ${amount} from ${from} to ${to} for a fee of ${fee} → ${answer}`;
    },
  };
}

function accountsOf(input: BalanceInput): readonly string[] {
  return input.kind === 'read' ? input.accounts : [input.from, input.to];
}
