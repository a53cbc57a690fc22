import { blockId, commitHash, validatorsHash, verifyCommit } from '../crypto/block.ts';
import { transactionsRoot } from '../crypto/merkle.ts';
import { transactionHash } from '../crypto/transaction.ts';
import { bytesEqual, toHex } from '../lib/bytes.ts';
import { errorText } from '../lib/error.ts';
import type { Header } from '../types/block.ts';
import type { Hash } from '../types/primitives.ts';
import type { Validator } from '../types/validator.ts';
import type { ServedBlock } from './client.ts';

/** What a chain must follow from. */
export interface ChainAnchor {
  readonly chainId: bigint;
  /** Id of block 0. */
  readonly genesisId: Hash;
  readonly validators: readonly Validator[];
}

/** A block after everything that its bytes can prove was checked. */
export interface AuditedBlock {
  readonly header: Header;
  /** Hex without prefix. */
  readonly id: string;
  /** Hex of keccak-256 of the transactions' own bytes, in block order. */
  readonly transactionHashes: readonly string[];
  readonly transactions: readonly Uint8Array[];
}

export interface AuditedChain {
  /** Block of height n at n − 1. */
  readonly blocks: readonly AuditedBlock[];
  /** What does not hold, each with its height; empty for a sound chain. */
  readonly problems: readonly string[];
}

/** Problems told of one chain: one fault tends to repeat at every height. */
const PROBLEMS_MAX = 20;

/**
 * Follows a chain from genesis with nothing taken on trust: ids, links, roots and hashes are recomputed from
 * bytes, certificates are verified with the keys of genesis.
 */
export async function auditChain(
  served: AsyncIterable<ServedBlock>,
  anchor: ChainAnchor,
): Promise<AuditedChain> {
  const blocks: AuditedBlock[] = [];
  const problems: string[] = [];
  let parent: ServedBlock | undefined;
  for await (const block of served) {
    const height = blocks.length + 1;
    for (const problem of blockProblems(block, { height, parent, anchor }))
      if (problems.length < PROBLEMS_MAX) problems.push(`block ${height}: ${problem}`);
    blocks.push({
      header: block.header,
      id: toHex(block.id),
      transactionHashes: block.transactions.map((raw) => toHex(transactionHash(raw))),
      transactions: block.transactions,
    });
    parent = block;
  }
  return { blocks, problems };
}

function blockProblems(
  block: ServedBlock,
  place: { height: number; parent: ServedBlock | undefined; anchor: ChainAnchor },
): string[] {
  const { height, parent, anchor } = place;
  const { header, commit } = block;
  const hashes = block.transactions.map(transactionHash);
  const setHash = validatorsHash(anchor.validators);
  const checks: [string, boolean][] = [
    ['its height is not the next', header.height === height],
    ['its id is not the hash of its header', bytesEqual(block.id, blockId(header))],
    ['its chain id is another', header.chainId === anchor.chainId],
    [
      'it does not name the block before it as its parent',
      bytesEqual(header.parentId, parent?.id ?? anchor.genesisId),
    ],
    [
      'its time is not after that of its parent',
      parent === undefined || header.timestampMs > parent.header.timestampMs,
    ],
    [
      'its transactions root is not that of its transactions',
      bytesEqual(header.transactionsRoot, transactionsRoot(block.transactions)),
    ],
    [
      'its transaction hashes are not those of its transactions',
      hashes.length === block.transactionHashes.length &&
        hashes.every((hash, index) => bytesEqual(hash, block.transactionHashes[index] ?? setHash)),
    ],
    [
      'it does not carry the certificate of its parent',
      bytesEqual(header.lastCommitHash, commitHash(parent?.commit)),
    ],
    ['its validators are not those of genesis', bytesEqual(header.validatorsHash, setHash)],
    [
      'its certificate is for another block',
      commit?.height === height && bytesEqual(commit.blockId, block.id),
    ],
  ];
  const problems = checks.filter(([, holds]) => !holds).map(([problem]) => problem);
  if (commit === undefined) return problems;
  try {
    verifyCommit(commit, anchor.validators, anchor.chainId);
  } catch (thrown) {
    problems.push(errorText(thrown));
  }
  return problems;
}
