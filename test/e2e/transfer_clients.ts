import { NodeClient } from '../../src/lab/client.ts';
import { ClientError } from '../../src/lab/client_error.ts';
import { deriveSigner, type Signer } from '../../src/lab/signer.ts';
import {
  type FeeTerms,
  signPayment,
  TRANSFER_GAS_LIMIT,
} from '../../src/lab/workload_transactions.ts';
import { toPrefixedHex } from '../../src/lib/bytes.ts';
import { systemClock } from '../../src/lib/environment.ts';
import type { BalanceInput, BalanceOutput } from '../linearizability/balance_model.ts';
import type { Operation } from '../linearizability/history.ts';
import type { TestCluster } from './harness.ts';

export type BalanceOperation = Operation<BalanceInput, BalanceOutput>;

const GWEI = 1_000_000_000n;
const FUNDS = 10n ** 18n;
const AMOUNT_MAX = 1_000_000;
/** An account whose last transfer has no known outcome cannot sign the next one: its client takes a spare one. */
const SPARES_PER_CLIENT = 40;
const ATTEMPT_MS_MAX = 2_000;
/** Some clients give up so soon that elections leave them without an answer. */
const REQUEST_MS_MAX = [10_000, 10_000, 10_000, 600];
const PAUSE_MS_MAX = 30;

/**
 * Clients that transfer wei between their accounts and read balances, each through another member first,
 * and what they asked and were told on the monotonic clock of this process.
 */
export class TransferClients {
  readonly history: BalanceOperation[] = [];
  readonly #cluster: TestCluster;
  readonly #terms: FeeTerms;
  readonly #random: () => number;
  readonly #accounts: readonly Signer[];
  #spent = 0;
  #running = true;

  /** Funds the accounts of so many clients. */
  static async prepare(
    cluster: TestCluster,
    options: { readonly clients: number; readonly seed: number; readonly random: () => number },
  ): Promise<TransferClients> {
    const { client, funder } = cluster;
    const [status, latest] = [await client.status(), await client.block('latest')];
    const baseFee = latest?.header.baseFeePerGas ?? GWEI;
    const maxFeePerGas = (baseFee > GWEI ? baseFee : GWEI) * 4n;
    // Equal limits make the price known before: everything above the base fee is a tip.
    const terms = {
      chainId: BigInt(status.chainId),
      maxFeePerGas,
      maxPriorityFeePerGas: maxFeePerGas,
    };
    funder.nextNonce = (await client.account(funder.address)).pendingNonce;
    const accounts = Array.from({ length: options.clients * SPARES_PER_CLIENT }, (_, position) =>
      deriveSigner(`transfer client ${options.seed}/${position}`),
    );
    const funding = accounts.map(({ address }) =>
      client.submit(
        signPayment(funder, { to: address, value: FUNDS }, terms).raw,
        'WAIT_LEVEL_COMMITTED',
      ),
    );
    await Promise.all(funding);
    return new TransferClients(cluster, { terms, accounts, random: options.random });
  }

  private constructor(
    cluster: TestCluster,
    parts: { terms: FeeTerms; accounts: readonly Signer[]; random: () => number },
  ) {
    this.#cluster = cluster;
    this.#terms = parts.terms;
    this.#accounts = parts.accounts;
    this.#random = parts.random;
  }

  /** By address: what the accounts that took part began with. */
  get initial(): ReadonlyMap<string, bigint> {
    return new Map(this.#accounts.slice(0, this.#spent).map((each) => [nameOf(each), FUNDS]));
  }

  /** Operations whose outcome nobody knows. */
  get unknown(): number {
    return this.history.filter(({ result }) => result === undefined).length;
  }

  /** Runs all clients until the act is over, and reads every balance that was touched through each member. */
  async during(clients: number, act: () => Promise<void>): Promise<void> {
    const running = Array.from({ length: clients }, (_, client) => this.#run(client));
    try {
      await act();
    } finally {
      this.#running = false;
      await Promise.all(running);
    }
    const touched = this.#accounts.slice(0, this.#spent);
    for (const [position, { id }] of this.#cluster.processes.members.entries())
      for (const account of touched)
        await this.#read(this.#cluster.clientOf(id), { client: clients + position, account });
  }

  async #run(client: number): Promise<void> {
    const { addresses, credentials } = this.#cluster;
    const first = client % addresses.length;
    const ordered = [...addresses.slice(first), ...addresses.slice(0, first)];
    const requestMsMax = REQUEST_MS_MAX[client % REQUEST_MS_MAX.length] as number;
    const node = new NodeClient(
      { addresses: ordered, credentials, attemptMsMax: ATTEMPT_MS_MAX, requestMsMax },
      systemClock,
    );
    let own = this.#nextAccount();
    // A client that gave up is another one afterwards: what it asked may still happen.
    let name = client;
    while (this.#running) {
      if (this.#random() < 0.5) {
        await this.#read(node, { client: name, account: this.#anyAccount() });
      } else if (!(await this.#transfer(node, { client: name, from: own }))) {
        own = this.#nextAccount();
        name += 1_000;
      }
      await new Promise((resolve) => setTimeout(resolve, this.#random() * PAUSE_MS_MAX));
    }
    node.close();
  }

  /** Whether the outcome is known. */
  async #transfer(
    node: NodeClient,
    { client, from }: { client: number; from: Signer },
  ): Promise<boolean> {
    const to = this.#anyAccount();
    const amount = BigInt(1 + Math.floor(this.#random() * AMOUNT_MAX));
    const payment = signPayment(from, { to: to.address, value: amount }, this.#terms);
    const fee = TRANSFER_GAS_LIMIT * this.#terms.maxFeePerGas;
    const input = { kind: 'transfer', from: nameOf(from), to: nameOf(to), amount, fee } as const;
    const invokedAt = performance.now();
    try {
      const { state } = await node.submit(payment.raw, 'WAIT_LEVEL_COMMITTED');
      if (state !== 'TRANSACTION_STATE_INCLUDED') throw new Error(`a transfer ended as ${state}`);
      const result = { at: performance.now(), output: true };
      this.history.push({ client, input, invokedAt, result });
      return true;
    } catch (thrown) {
      if (!(thrown instanceof ClientError)) throw thrown;
      this.history.push({ client, input, invokedAt, result: undefined });
      return false;
    }
  }

  /** A read without an answer says nothing about the balances. */
  async #read(
    node: NodeClient,
    { client, account }: { client: number; account: Signer },
  ): Promise<void> {
    const input = { kind: 'read', accounts: [nameOf(account)] } as const;
    const invokedAt = performance.now();
    try {
      const { balance } = await node.account(account.address, 'CONSISTENCY_LINEARIZABLE');
      const result = { at: performance.now(), output: [balance] };
      this.history.push({ client, input, invokedAt, result });
    } catch (thrown) {
      if (!(thrown instanceof ClientError)) throw thrown;
    }
  }

  #nextAccount(): Signer {
    const account = this.#accounts[this.#spent];
    if (account === undefined) throw new Error('the test needs more accounts');
    this.#spent += 1;
    return account;
  }

  #anyAccount(): Signer {
    return this.#accounts[Math.floor(this.#random() * this.#spent)] as Signer;
  }
}

function nameOf({ address }: Signer): string {
  return toPrefixedHex(address);
}
