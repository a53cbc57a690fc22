import { secp256k1 } from '@noble/curves/secp256k1.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signTransaction, type UnsignedTransaction } from '../../src/crypto/transaction.ts';
import { ClientError } from '../../src/lab/client_error.ts';
import type { NodeMethod, NodeMethods } from '../../src/lab/node_service.ts';
import { deriveSigner } from '../../src/lab/signer.ts';
import { decodeTransaction, encodeTransaction } from '../../src/types/transaction.ts';
import { type TestCluster, testCluster } from './harness.ts';

const GWEI = 10n ** 9n;
const poor = deriveSigner('poor');

describe('bad input over gRPC', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await testCluster('solo');
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  function unsigned(change: Partial<UnsignedTransaction> = {}): UnsignedTransaction {
    return {
      type: 2,
      chainId: cluster.genesis.chainId,
      nonce: 0n,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 100n * GWEI,
      gasLimit: 21_000n,
      to: new Uint8Array(20).fill(7),
      value: 1n,
      data: new Uint8Array(0),
      accessList: [],
      ...change,
    };
  }

  const signed = (change: Partial<UnsignedTransaction> = {}): Uint8Array =>
    signTransaction(unsigned(change), cluster.funder.secretKey);

  async function refusalOf<Method extends NodeMethod>(
    method: Method,
    request: NodeMethods[Method]['request'],
  ): Promise<ClientError> {
    const error = await cluster.client.request(method, request).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ClientError);
    return error as ClientError;
  }

  const highS = (): Uint8Array => {
    const good = decodeTransaction(signed());
    return encodeTransaction({
      ...good,
      s: secp256k1.Point.Fn.ORDER - good.s,
      yParity: 1 - good.yParity,
    });
  };

  test.each<[string, () => Uint8Array, string, string, RegExp]>([
    ['nothing', () => new Uint8Array(0), 'INVALID_ARGUMENT', 'MALFORMED_TRANSACTION', /empty/],
    [
      'malformed RLP',
      () => Uint8Array.of(2, 0xc3, 1),
      'INVALID_ARGUMENT',
      'MALFORMED_TRANSACTION',
      /RLP/,
    ],
    [
      'bytes after the transaction',
      () => Uint8Array.from([...signed(), 0]),
      'INVALID_ARGUMENT',
      'MALFORMED_TRANSACTION',
      /RLP/,
    ],
    [
      'a blob transaction',
      () => Uint8Array.of(3, 0xc0),
      'INVALID_ARGUMENT',
      'UNSUPPORTED_TRANSACTION_TYPE',
      /type 3/,
    ],
    [
      'another chain',
      () => signed({ chainId: 5n }),
      'INVALID_ARGUMENT',
      'WRONG_CHAIN_ID',
      /chain 5; sign it for chain 1337/,
    ],
    [
      'no chain (before EIP-155)',
      () => signed({ type: 0, chainId: undefined }),
      'INVALID_ARGUMENT',
      'WRONG_CHAIN_ID',
      /EIP-155/,
    ],
    [
      'a signature of nobody',
      () => encodeTransaction({ ...decodeTransaction(signed()), r: 0n }),
      'INVALID_ARGUMENT',
      'INVALID_SIGNATURE',
      /signature/,
    ],
    ['high s', highS, 'INVALID_ARGUMENT', 'INVALID_SIGNATURE', /lower half/],
    [
      'a nonce too far ahead',
      () => signed({ nonce: 1_000_000n }),
      'FAILED_PRECONDITION',
      'NONCE_TOO_FAR',
      /nonce/,
    ],
    [
      'insufficient funds',
      () => signTransaction(unsigned(), poor.secretKey),
      'FAILED_PRECONDITION',
      'INSUFFICIENT_FUNDS',
      /fund|balance|wei/,
    ],
    [
      'gas above the block limit',
      () => signed({ gasLimit: 10n ** 12n }),
      'INVALID_ARGUMENT',
      'GAS_LIMIT_TOO_HIGH',
      /lower it/,
    ],
    [
      'gas below what it needs',
      () => signed({ gasLimit: 20_999n }),
      'INVALID_ARGUMENT',
      'GAS_LIMIT_TOO_LOW',
      /21000/,
    ],
    [
      'a tip above the cap',
      () => signed({ maxPriorityFeePerGas: 200n * GWEI }),
      'INVALID_ARGUMENT',
      'FEE_INVALID',
      /priority fee/,
    ],
    [
      'an oversized transaction',
      () => signed({ data: new Uint8Array(200_000), gasLimit: 10_000_000n }),
      'INVALID_ARGUMENT',
      'TRANSACTION_TOO_LARGE',
      /at most/,
    ],
  ])('%s', async (_, make, status, reason, message) => {
    const error = await refusalOf('SubmitTransaction', {
      transaction: make(),
      wait: 'WAIT_LEVEL_ADMITTED',
    });
    expect([error.status, error.reason]).toEqual([status, reason]);
    expect(error.message).toMatch(message);
  });

  test('a nonce that was used is refused with the one to use, a known transaction is not', async () => {
    const raw = signed();
    const first = await cluster.client.submit(raw, 'WAIT_LEVEL_COMMITTED');
    expect(first).toMatchObject({ state: 'TRANSACTION_STATE_INCLUDED', alreadyKnown: false });
    const again = await cluster.client.submit(raw, 'WAIT_LEVEL_ADMITTED');
    expect(again).toMatchObject({ state: 'TRANSACTION_STATE_INCLUDED', alreadyKnown: true });
    expect(again.hash).toEqual(first.hash);
    const error = await refusalOf('SubmitTransaction', {
      transaction: signed({ value: 2n }),
      wait: 'WAIT_LEVEL_ADMITTED',
    });
    expect([error.status, error.reason]).toEqual(['FAILED_PRECONDITION', 'NONCE_TOO_LOW']);
    expect(error.message).toMatch(/1/);
  });

  const unknown = new Uint8Array(32).fill(0xee);
  test.each<[string, NodeMethod, object, string]>([
    ['an unknown transaction', 'GetTransaction', { hash: unknown }, 'NOT_FOUND'],
    ['an unknown receipt', 'GetReceipt', { hash: unknown }, 'NOT_FOUND'],
    ['an unknown block', 'GetBlock', { blockId: unknown }, 'NOT_FOUND'],
    ['a block of the future', 'GetBlock', { height: 1_000_000 }, 'NOT_FOUND'],
    ['a short hash', 'GetTransaction', { hash: unknown.subarray(1) }, 'INVALID_ARGUMENT'],
    ['a long address', 'GetAccount', { address: unknown }, 'INVALID_ARGUMENT'],
    ['a negative page size', 'ListBlocks', { pageSize: -1 }, 'INVALID_ARGUMENT'],
    ['a page size above the limit', 'ListBlocks', { pageSize: 1_001 }, 'INVALID_ARGUMENT'],
    ['a page token of nobody', 'ListBlocks', { pageToken: 'nonsense' }, 'INVALID_ARGUMENT'],
    [
      'too many slots',
      'GetProof',
      { address: new Uint8Array(20), slots: Array.from({ length: 65 }, () => unknown) },
      'INVALID_ARGUMENT',
    ],
  ])('%s', async (_, method, request, status) => {
    const error = await refusalOf(method, request as NodeMethods[typeof method]['request']);
    expect(error.status).toBe(status);
    expect(error.reason).toMatch(/^[A-Z_]+$/);
  });

  test('an oversized message is refused and nobody else is disturbed', async () => {
    const error = await refusalOf('SubmitTransaction', {
      transaction: new Uint8Array(8 * 1024 * 1024),
      wait: 'WAIT_LEVEL_ADMITTED',
    });
    expect(error.status).toBe('RESOURCE_EXHAUSTED');
    expect((await cluster.client.status()).ready).toBe(true);
  });
});
