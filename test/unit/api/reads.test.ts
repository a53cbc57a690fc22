import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { encodeHeader } from '../../../src/types/block.ts';
import { NodeError } from '../../../src/types/node_error.ts';
import type { ReadOptions } from '../../../src/types/views.ts';
import { failure, startApi } from './api_fixture.ts';
import { filled, headerAt, LOG } from './memory_backend.ts';

const ADDRESS = filled(20, 0x42);
const HASH = filled(32, 0x43);
const OTHER_SLOT = filled(32, 12);

function bytes(message: Uint8Array): number[] {
  return [...message];
}

describe('reads', () => {
  test('an account keeps all 64 bits of its nonce and all 256 of its balance', async () => {
    const { client } = await startApi();
    const account = await client.unary('GetAccount', { address: ADDRESS });
    expect(account).toMatchObject({ height: 9, pendingNonce: 12 });
    expect(BigInt(`0x${account.balance.toString('hex')}`)).toBe(2n ** 255n + 1n);
    expect(account.nonce).toBe(Number(2n ** 64n - 2n));
    expect(bytes(account.codeHash)).toEqual(bytes(filled(32, 3)));
  });

  test('consistency reaches the backend and is linearizable by default', async () => {
    const { backend, client } = await startApi();
    const seen: ReadOptions[] = [];
    const { account } = backend;
    backend.account = (address, read) => {
      seen.push(read);
      return account(address, read);
    };
    for (const consistency of [
      undefined,
      'CONSISTENCY_UNSPECIFIED',
      'CONSISTENCY_LINEARIZABLE',
      'CONSISTENCY_LOCAL',
    ])
      await client.unary('GetAccount', { address: ADDRESS, consistency });
    expect(seen.map((read) => read.consistency)).toEqual([
      'linearizable',
      'linearizable',
      'linearizable',
      'local',
    ]);
    const error = await failure(client.unary('GetAccount', { address: ADDRESS, consistency: 77 }));
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: 'consistency must be CONSISTENCY_LINEARIZABLE or CONSISTENCY_LOCAL',
    });
  });

  test('code, storage and proof', async () => {
    const { client } = await startApi();
    const code = await client.unary('GetCode', { address: ADDRESS });
    expect([bytes(code.code), bytes(code.codeHash)]).toEqual([[0x60, 0], bytes(filled(32, 4))]);
    const storage = await client.unary('GetStorage', { address: ADDRESS, slot: HASH });
    expect([storage.height, bytes(storage.value)]).toEqual([9, [1, 0]]);
    const proof = await client.unary('GetProof', { address: ADDRESS, slots: [HASH, OTHER_SLOT] });
    expect(proof).toMatchObject({ height: 9, headerHeight: 11, nonce: 1 });
    expect(bytes(proof.balance)).toEqual([1, 0]);
    expect(bytes(proof.stateRoot)).toEqual(bytes(filled(32, 5)));
    expect(bytes(proof.storageRoot)).toEqual(bytes(filled(32, 7)));
    expect(proof.accountProof.map(bytes)).toEqual([[1], [2, 2]]);
    expect(proof.storageProofs).toHaveLength(2);
    expect(bytes(proof.storageProofs[1].slot)).toEqual(bytes(OTHER_SLOT));
    expect(proof.storageProofs[1].proof.map(bytes)).toEqual([[9]]);
  });

  test('a proof whose header does not exist yet says so by absence', async () => {
    const { backend, client } = await startApi();
    const { proof } = backend;
    backend.proof = async (...args) => {
      const answer = await proof(...args);
      return { ...answer, value: { ...answer.value, headerHeight: undefined } };
    };
    const answer = await client.unary('GetProof', { address: ADDRESS });
    expect(answer.headerHeight).toBeUndefined();
  });

  test('a block by height, by id and the latest, with the bytes its id is made of', async () => {
    const { backend, client } = await startApi();
    backend.apply(3);
    const { height, block } = await client.unary('GetBlock', { height: 2 });
    expect(height).toBe(3);
    const { header } = block;
    expect(header).toMatchObject({ height: 2, chainId: 1337, gasUsed: 5, gasLimit: 30_000_000 });
    expect(header.timestampMs).toBe(1_700_000_000_002);
    expect(bytes(header.baseFeePerGas)).toEqual([7]);
    expect(bytes(header.evidenceHash)).toEqual(bytes(filled(32, 18)));
    expect(bytes(block.encodedHeader)).toEqual(bytes(encodeHeader(headerAt(2))));
    expect(block.commit).toMatchObject({ height: 2, round: 1 });
    expect(block.transactionHashes).toHaveLength(1);
    expect(block.transactions).toEqual([]);
    const latest = await client.unary('GetBlock', { detail: 'TRANSACTION_DETAIL_FULL' });
    expect(latest.block.header.height).toBe(3);
    expect(latest.block.transactions[0]).toHaveLength(100);
    let selected: unknown;
    const inner = backend.block;
    backend.block = (selector, ...rest) => {
      selected = selector;
      return inner(selector, ...rest);
    };
    await client.unary('GetBlock', { blockId: HASH });
    expect(selected).toMatchObject({ by: 'id' });
  });

  test('transaction and receipt', async () => {
    const { client } = await startApi();
    const transaction = await client.unary('GetTransaction', { hash: HASH });
    expect(transaction).toMatchObject({ height: 9, state: 'TRANSACTION_STATE_REPLACED' });
    expect(transaction.inclusion).toBeNull();
    expect(bytes(transaction.replacedBy)).toEqual(bytes(filled(32, 8)));
    expect(bytes(transaction.transaction)).toEqual([2, 3]);
    const { receipt } = await client.unary('GetReceipt', { hash: HASH });
    expect(receipt).toMatchObject({
      inclusion: { height: 4, index: 2 },
      type: 2,
      succeeded: true,
      gasUsed: 21_000,
      cumulativeGasUsed: 63_000,
    });
    expect(bytes(receipt.blockId)).toEqual(bytes(filled(32, 9)));
    expect(bytes(receipt.contractAddress)).toEqual(bytes(filled(20, 10)));
    expect(bytes(receipt.effectiveGasPrice)).toEqual([0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0, 0]);
    expect(receipt.logs.map((log: { logIndex: number }) => log.logIndex)).toEqual([6, 7]);
    expect(receipt.logs[1].topics.map(bytes)).toEqual(LOG.topics.map(bytes));
    expect(receipt.logs[1].transactionIndex).toBe(2);
  });

  test('call and gas estimation fill in what the message leaves out', async () => {
    const { backend, client } = await startApi();
    let seen: unknown;
    const inner = backend.call;
    backend.call = (message, read) => {
      seen = message;
      return inner(message, read);
    };
    const answer = await client.unary('Call', {
      message: { to: ADDRESS, value: Uint8Array.of(0, 1, 0) },
    });
    expect(answer).toMatchObject({ height: 9, succeeded: false, gasUsed: 30_000 });
    expect(answer.failure).toBe('reverted');
    expect(seen).toMatchObject({ value: 256n, gasLimit: undefined });
    await client.unary('Call', { message: { from: ADDRESS, gasLimit: 50_000 } });
    expect(seen).toMatchObject({ to: undefined, value: 0n, gasLimit: 50_000n });
    expect(await client.unary('EstimateGas', { message: { to: ADDRESS } })).toEqual({
      height: 9,
      gas: 21_001,
    });
  });

  test('status', async () => {
    const { backend, client } = await startApi();
    backend.apply(4);
    backend.setReadiness({ ready: true, reason: '' });
    const answer = await client.unary('GetStatus', {});
    expect(answer).toMatchObject({
      clusterId: 'lab',
      chainId: 1337,
      memberId: 2,
      role: 'MEMBER_ROLE_LEADER',
      term: 7,
      leaderId: 2,
      commitIndex: 100,
      appliedIndex: 99,
      height: 4,
      stateRootHeight: 8,
      mempoolSize: 17,
      fencedReason: '',
      ready: true,
      pid: 4242,
      version: '0.1.0',
    });
    const [first, second] = answer.members;
    expect(first).toMatchObject({ id: 1, host: 'a.example', apiPort: 4001, connected: false });
    expect(first.lagEntries).toBeUndefined();
    expect(second.lagEntries).toBe(0);
  });
});

describe('bad requests say which field must change', () => {
  const cases: [string, object, string][] = [
    ['GetAccount', { address: filled(19, 1) }, 'address must be 20 bytes, not 19'],
    ['GetAccount', {}, 'address must be 20 bytes, not 0'],
    ['GetCode', { address: filled(21, 1) }, 'address must be 20 bytes, not 21'],
    ['GetStorage', { address: ADDRESS, slot: filled(31, 1) }, 'slot must be 32 bytes, not 31'],
    ['GetProof', { address: ADDRESS, slots: [filled(1, 1)] }, 'slots must be 32 bytes, not 1'],
    [
      'GetProof',
      { address: ADDRESS, slots: Array(65).fill(HASH) },
      'slots must be at most 64 items, not 65',
    ],
    ['GetBlock', { blockId: filled(5, 1) }, 'block_id must be 32 bytes, not 5'],
    ['GetBlock', { height: '9007199254740993' }, 'height must be below 2^53'],
    [
      'GetBlock',
      { height: 1, detail: 9 },
      'detail must be TRANSACTION_DETAIL_HASHES or TRANSACTION_DETAIL_FULL',
    ],
    ['GetTransaction', { hash: filled(33, 1) }, 'hash must be 32 bytes, not 33'],
    ['GetReceipt', {}, 'hash must be 32 bytes, not 0'],
    ['Call', {}, 'message must be set'],
    ['Call', { message: { from: filled(2, 1) } }, 'message.from must be 20 bytes, not 2'],
    ['Call', { message: { to: filled(2, 1) } }, 'message.to must be 20 bytes, not 2'],
    [
      'Call',
      { message: { value: filled(33, 1) } },
      'message.value must be a big-endian number of at most 32 bytes',
    ],
    [
      'EstimateGas',
      { message: { gasLimit: '18446744073709551615' } },
      'message.gas_limit must be below 2^53',
    ],
    ['ListBlocks', { pageSize: -1 }, 'page_size must be 1 to 1000, or 0 for the default'],
    ['ListBlocks', { pageSize: 1001 }, 'page_size must be 1 to 1000, or 0 for the default'],
    [
      'ListBlocks',
      { pageToken: 'bogus' },
      'page_token must be the next_page_token of an earlier page, unchanged',
    ],
    ['ListBlocks', { fromHeight: '9007199254740992' }, 'from_height must be below 2^53'],
    ['SubmitTransaction', { wait: 8 }, 'wait must be WAIT_LEVEL_ADMITTED or WAIT_LEVEL_COMMITTED'],
  ];
  test.each(cases)('%s %o: %s', async (method, request, message) => {
    const { client } = await startApi();
    const error = await failure(client.unary(method, request));
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, message });
    expect(error.details).toMatchObject({ reason: 'INVALID_REQUEST', domain: 'blockraft' });
  });
});

describe('ListBlocks', () => {
  test('pages through the chain without gaps or repeats', async () => {
    const { backend, client } = await startApi();
    backend.apply(7);
    const heights: number[] = [];
    let pageToken = '';
    let pageCount = 0;
    do {
      const page = await client.unary('ListBlocks', { pageSize: 3, pageToken });
      expect(page.height).toBe(7);
      for (const block of page.blocks) heights.push(block.header.height);
      pageToken = page.nextPageToken;
      pageCount += 1;
    } while (pageToken !== '');
    expect(heights).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(pageCount).toBe(3);
  });

  test('starts where asked; an empty chain or a height above it gives an empty page', async () => {
    const { backend, client } = await startApi();
    const empty = { height: 0, blocks: [], nextPageToken: '' };
    expect(await client.unary('ListBlocks', {})).toEqual(empty);
    backend.apply(60);
    const page = await client.unary('ListBlocks', { fromHeight: 9 });
    expect(page.blocks[0].header.height).toBe(9);
    expect(page.blocks).toHaveLength(50);
    expect((await client.unary('ListBlocks', { fromHeight: 61 })).blocks).toEqual([]);
  });

  test('a page of large blocks is cut before it outgrows a message', async () => {
    const { backend, client } = await startApi();
    backend.apply(10);
    backend.transactionBytes = 1024 * 1024;
    const page = await client.unary('ListBlocks', { detail: 'TRANSACTION_DETAIL_FULL' });
    expect(page.blocks).toHaveLength(2);
    expect(page.nextPageToken).not.toBe('');
  });
});

test('a read that fails unexpectedly is INTERNAL, tells nothing and is logged', async () => {
  const { backend, client, logger } = await startApi();
  backend.account = async () => {
    throw new Error('secret detail');
  };
  const error = await failure(client.unary('GetAccount', { address: ADDRESS }));
  expect(error).toMatchObject({
    code: status.INTERNAL,
    message: 'this member failed; its log says why',
  });
  expect(error.details?.reason).toBe('INTERNAL');
  expect(logger.events).toContain('api.call_failed');
});

test('the client is told what the backend says about a missing thing', async () => {
  const { backend, client } = await startApi();
  const error = await failure(client.unary('GetBlock', { height: 12 }));
  expect(error).toMatchObject({ code: status.NOT_FOUND, message: 'there is no block 12 yet' });
  expect(error.details?.metadata).toEqual({ height: '12' });
  backend.receipt = async () => {
    throw new NodeError('RECEIPT_NOT_FOUND', 'no receipt of that hash');
  };
  expect((await failure(client.unary('GetReceipt', { hash: HASH }))).code).toBe(status.NOT_FOUND);
});
