import type { ChannelCredentials } from '@grpc/grpc-js';
import { transactionHash } from '../crypto/transaction.ts';
import { toHex } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import { NodeClient, pause } from './client.ts';
import { Load } from './load.ts';
import { quantile } from './measure.ts';
import type { Signer } from './signer.ts';
import { auditStorage } from './state_audit.ts';
import { WorkloadModel } from './workload_model.ts';
import type { Workload } from './workload_operation.ts';
import { prepareWorkload } from './workload_setup.ts';

export interface WorkloadRunOptions {
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly workload: Workload;
  readonly funder: Signer;
  /** The signers' keys follow from it: never the same twice on one chain. */
  readonly seed: string;
}

export interface WorkloadRunResult {
  readonly sent: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Acknowledged ones that are in no block. */
  readonly missing: number;
  /** From the first submission until the last is in a block. */
  readonly throughputPerSecond: number;
  readonly latencyMsMedian: number;
  readonly latencyMs99: number;
  /** Values of the contract compared with the replay, and those that differ. */
  readonly compared: number;
  readonly differences: readonly string[];
}

const DRAIN_MS_MAX = 60_000;
const DRAIN_POLL_MS = 20;

/** Runs a workload against a cluster that others may use too. Rejects with a ClientError. */
export async function runWorkload(
  options: WorkloadRunOptions,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<WorkloadRunResult> {
  const { addresses, credentials, workload } = options;
  const client = new NodeClient({ addresses, credentials }, clock);
  try {
    const firstHeight = Number((await client.status()).height) + 1;
    const prepared = await prepareWorkload(options, { clock, signal });
    signal.throwIfAborted();
    const load = new Load(
      prepared.transactions,
      { addresses, credentials, wait: 'WAIT_LEVEL_ADMITTED' },
      clock,
    );
    const stop = (): void => load.stop();
    signal.addEventListener('abort', stop, { once: true });
    const startedAtMs = clock.monotonicMs();
    await load.run().finally(() => signal.removeEventListener('abort', stop));
    const giveUpAtMs = clock.monotonicMs() + DRAIN_MS_MAX;
    const acknowledged = new Set(load.acknowledgedHashes);
    const model = new WorkloadModel();
    let missing = acknowledged.size;
    let nextHeight = firstHeight;
    for (;;) {
      for await (const block of client.blocks(nextHeight)) {
        for (const raw of block.transactions) {
          const hash = toHex(transactionHash(raw));
          const operation = prepared.submitted.get(hash)?.operation;
          if (operation !== undefined) model.apply(operation);
          if (acknowledged.delete(hash)) missing -= 1;
        }
        nextHeight = block.header.height + 1;
      }
      signal.throwIfAborted();
      if (missing === 0 || clock.monotonicMs() > giveUpAtMs) break;
      await pause(clock, DRAIN_POLL_MS);
    }
    const seconds = (clock.monotonicMs() - startedAtMs) / 1000;
    const { signers, contract } = prepared;
    const state = await auditStorage({
      clients: [client],
      model,
      family: workload.family,
      signers,
      contract,
    });
    return {
      sent: load.sentCount,
      acknowledged: load.acknowledgedCount,
      refused: load.refused.length,
      missing,
      throughputPerSecond: Math.round((load.acknowledgedCount - missing) / seconds),
      latencyMsMedian: quantile(load.latenciesMs, 0.5) ?? 0,
      latencyMs99: quantile(load.latenciesMs, 0.99) ?? 0,
      compared: state.compared,
      differences: state.differences,
    };
  } finally {
    client.close();
  }
}
