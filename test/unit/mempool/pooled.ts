import type { PooledTransaction } from '../../../src/mempool/pooled_transaction.ts';

/** Park and Miller's generator: the same numbers for a seed everywhere. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

export function senderOf(number: number): Uint8Array {
  const sender = new Uint8Array(20);
  new DataView(sender.buffer).setUint32(16, number);
  return sender;
}

/** A transaction whose hash is its sequence number. */
export function pooled(
  fields: Partial<Omit<PooledTransaction, 'sender'>> & { sequence: number; sender: number },
): PooledTransaction {
  const hash = new Uint8Array(32);
  new DataView(hash.buffer).setUint32(28, fields.sequence);
  return {
    hash,
    nonce: 0n,
    gasLimit: 21_000n,
    maxFeePerGas: 100n,
    maxPriorityFeePerGas: 10n,
    worstCaseCost: 1_000n,
    expiresAtMs: 1_000_000,
    raw: new Uint8Array(0),
    ...fields,
    sender: senderOf(fields.sender),
  };
}
