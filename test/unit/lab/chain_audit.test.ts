import { describe, expect, test } from 'vitest';
import {
  blockId,
  commitHash,
  consensusParametersHash,
  evidenceHash,
  makeCommit,
  precommitDigest,
  validatorAddress,
  validatorsHash,
} from '../../../src/crypto/block.ts';
import { generateSecretKey, publicKey, sign } from '../../../src/crypto/bls.ts';
import { keccak256 } from '../../../src/crypto/keccak.ts';
import { receiptsRoot, transactionsRoot } from '../../../src/crypto/merkle.ts';
import { auditChain, type ChainAnchor } from '../../../src/lab/chain_audit.ts';
import type { ServedBlock } from '../../../src/lab/client.ts';
import { encodeHeader, type Header } from '../../../src/types/block.ts';
import { ZERO_HASH } from '../../../src/types/primitives.ts';

const CHAIN_ID = 7n;
const secretKey = generateSecretKey(new Uint8Array(32).fill(5));
const key = publicKey(secretKey);
const validators = [
  {
    address: validatorAddress(key),
    publicKey: key,
    power: 1n,
    rewardAddress: new Uint8Array(20),
  },
];
const genesisId = keccak256(Uint8Array.of(1));
const anchor: ChainAnchor = { chainId: CHAIN_ID, genesisId, validators };

function makeBlock(parent: ServedBlock | undefined, change: Partial<Header> = {}): ServedBlock {
  const height = (parent?.header.height ?? 0) + 1;
  const transactions = [Uint8Array.of(height, 1), Uint8Array.of(height, 2), Uint8Array.of(3)];
  const set = validatorsHash(validators);
  const header: Header = {
    chainId: CHAIN_ID,
    height,
    timestampMs: 1_000 + height,
    parentId: parent?.id ?? genesisId,
    proposer: validatorAddress(key),
    validatorsHash: set,
    nextValidatorsHash: set,
    consensusParametersHash: consensusParametersHash({
      blockGasLimit: 1n,
      blockBytesMax: 1,
      transactionBytesMax: 1,
      segmentTransactions: 1,
      baseFeeInitial: 1n,
      baseFeeFloor: 1n,
      clockSkewMsMax: 1,
      forks: [],
    }),
    transactionsRoot: transactionsRoot(transactions),
    lastCommitHash: commitHash(parent?.commit),
    evidenceHash: evidenceHash([]),
    gasUsed: 0n,
    receiptsRoot: receiptsRoot([]),
    logsBloom: new Uint8Array(256),
    stateRoot: ZERO_HASH,
    baseFeePerGas: 1n,
    gasLimit: 1n,
    extraData: new Uint8Array(0),
    ...change,
  };
  const id = blockId(header);
  const vote = { height, round: 0, blockId: id };
  const signature = sign(precommitDigest({ ...vote, chainId: CHAIN_ID }), secretKey);
  return {
    id,
    header,
    encodedHeader: encodeHeader(header),
    commit: makeCommit({ ...vote, signature }),
    transactions,
    transactionHashes: transactions.map((raw) => keccak256(raw)),
  };
}

function chain(length: number): ServedBlock[] {
  const blocks: ServedBlock[] = [];
  for (let count = 0; count < length; count += 1) blocks.push(makeBlock(blocks.at(-1)));
  return blocks;
}

async function problemsOf(blocks: ServedBlock[]): Promise<readonly string[]> {
  async function* served(): AsyncGenerator<ServedBlock> {
    yield* blocks;
  }
  return (await auditChain(served(), anchor)).problems;
}

describe('the audit of a chain', () => {
  test('a sound chain has no problems', async () => {
    expect(await problemsOf(chain(4))).toEqual([]);
  });

  test.each<[string, (blocks: ServedBlock[]) => ServedBlock[], string]>([
    [
      'a transaction was exchanged',
      ([first, ...rest]) => [
        { ...(first as ServedBlock), transactions: [Uint8Array.of(9)] },
        ...rest,
      ],
      'block 1: its transactions root',
    ],
    ['a block is missing', (blocks) => blocks.toSpliced(1, 1), 'block 2: its height'],
    ['a block comes twice', (blocks) => blocks.toSpliced(1, 0, blocks[0]!), 'block 2: its height'],
    [
      'a parent is another',
      (blocks) => blocks.toSpliced(2, 1, makeBlock(blocks[1], { parentId: ZERO_HASH })),
      'block 3: it does not name the block before',
    ],
    [
      'an id is not the hash',
      (blocks) => blocks.toSpliced(2, 1, { ...blocks[2]!, id: ZERO_HASH }),
      'block 3: its id',
    ],
    [
      'time stands still',
      (blocks) => blocks.toSpliced(2, 1, makeBlock(blocks[1], { timestampMs: 1_002 })),
      'block 3: its time',
    ],
    [
      'a certificate is missing',
      (blocks) => blocks.toSpliced(2, 1, { ...blocks[2]!, commit: undefined }),
      'block 3: its certificate',
    ],
    [
      'a signature is forged',
      (blocks) =>
        blocks.toSpliced(2, 1, {
          ...blocks[2]!,
          commit: { ...blocks[2]!.commit!, signature: blocks[1]!.commit!.signature },
        }),
      'block 3: the certificate is not signed',
    ],
    [
      'another chain',
      (blocks) => blocks.toSpliced(2, 1, makeBlock(blocks[1], { chainId: 8n })),
      'block 3: its chain id',
    ],
  ])('%s', async (_, tamper, problem) => {
    const problems = await problemsOf(tamper(chain(4)));
    expect(problems.some((text) => text.startsWith(problem))).toBe(true);
  });
});
