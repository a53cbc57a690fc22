import type { ChannelCredentials } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { audit } from '../../src/lab/audit.ts';
import type { NodeClient } from '../../src/lab/client.ts';
import { Load } from '../../src/lab/load.ts';
import { generateWorkload } from '../../src/lab/workload_generator.ts';
import { type PreparedWorkload, prepareWorkload } from '../../src/lab/workload_setup.ts';
import { systemClock } from '../../src/lib/environment.ts';
import { sleep, type TestCluster } from './harness.ts';

const POLL_INTERVAL_MS = 5;
/** A light load: so many at a time, then a pause. */
const LIGHT_TRANSACTIONS = 6;
const LIGHT_PAUSE_MS = 100;

/**
 * A wallet workload of one cluster, submitted to all members part by part while something happens to them. What was
 * acknowledged on the way is audited from outside at the end.
 */
export class AuditedLoad {
  readonly #cluster: TestCluster;
  readonly #prepared: PreparedWorkload;
  readonly #acknowledged: string[] = [];
  #taken = 0;

  /** Creates the contract and funds the signers of so many transactions. */
  static async prepare(
    cluster: TestCluster,
    options: { readonly transactions: number; readonly seed: number },
  ): Promise<AuditedLoad> {
    const { addresses, credentials, funder } = cluster;
    const { transactions, seed } = options;
    const workload = generateWorkload({
      family: 'wallet',
      transactions,
      conflictPercent: 20,
      seed,
      orderSensitive: true,
    });
    const prepared = await prepareWorkload(
      { addresses, credentials, workload, funder, seed: String(seed) },
      { clock: systemClock, signal: new AbortController().signal },
    );
    return new AuditedLoad(cluster, prepared);
  }

  private constructor(cluster: TestCluster, prepared: PreparedWorkload) {
    this.#cluster = cluster;
    this.#prepared = prepared;
  }

  /** Submits the next transactions and acts once a third of them is acknowledged. Resolves when all of them are. */
  async during(transactions: number, act: () => Promise<void>): Promise<void> {
    const load = this.#nextLoad(transactions, this.#cluster.credentials);
    const running = load.run();
    let isOver = false;
    const acting = (async () => {
      while (load.acknowledgedCount < transactions / 3 && !isOver) await sleep(POLL_INTERVAL_MS);
      if (!isOver) await act();
    })();
    try {
      await Promise.all([running, acting]);
    } finally {
      isOver = true;
      load.stop();
    }
    this.#note(load, transactions);
  }

  /**
   * Submits a few transactions at a time for as long as the act goes on, over new connections each time. Returns how
   * many.
   */
  async lightlyDuring(
    act: () => Promise<void>,
    credentials: () => ChannelCredentials,
  ): Promise<number> {
    const before = this.#acknowledged.length;
    let isOver = false;
    const acting = act().finally(() => {
      isOver = true;
    });
    acting.catch(() => undefined);
    while (!isOver) {
      const load = this.#nextLoad(LIGHT_TRANSACTIONS, credentials());
      await load.run();
      this.#note(load, LIGHT_TRANSACTIONS);
      await sleep(LIGHT_PAUSE_MS);
    }
    await acting;
    return this.#acknowledged.length - before;
  }

  /** Everything acknowledged is in exactly one block, and these members agree on it. */
  async expectSound(clients: readonly NodeClient[]): Promise<void> {
    const { workload, signers, contract, submitted } = this.#prepared;
    const acknowledged = this.#acknowledged;
    const { genesis } = this.#cluster;
    const report = await audit(
      { clients, genesis, workload, signers, contract, submitted, acknowledged },
      systemClock,
    );
    expect(report.checks.filter(({ holds }) => !holds)).toEqual([]);
    const committed = acknowledged.length;
    expect(report).toMatchObject({ holds: true, committed, lost: 0, duplicated: 0 });
  }

  #nextLoad(transactions: number, credentials: ChannelCredentials): Load {
    const part = this.#prepared.transactions.slice(this.#taken, this.#taken + transactions);
    expect(part.length, 'the workload of the test is long enough').toBe(transactions);
    this.#taken += transactions;
    const { addresses } = this.#cluster;
    return new Load(part, { addresses, credentials, wait: 'WAIT_LEVEL_ADMITTED' }, systemClock);
  }

  #note(load: Load, transactions: number): void {
    expect(load.refused).toEqual([]);
    expect(load.acknowledgedCount).toBe(transactions);
    this.#acknowledged.push(...load.acknowledgedHashes);
  }
}
