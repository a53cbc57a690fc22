import {
  blockId,
  commitHash,
  consensusParametersHash,
  evidenceHash,
  validatorsHash,
} from '../crypto/block.ts';
import { receiptsRoot, transactionsRoot } from '../crypto/merkle.ts';
import type { Header } from '../types/block.ts';
import type { Genesis } from '../types/genesis.ts';
import { ADDRESS_BYTES, BLOOM_BYTES, type Hash, ZERO_HASH } from '../types/primitives.ts';
import type { StoredBlock } from './stored_block.ts';

/** Block 0: nobody proposed or signed it; its id names the chain. */
export function genesisBlock(genesis: Genesis, stateRoot: Hash): StoredBlock {
  const setHash = validatorsHash(genesis.validators);
  const header: Header = {
    chainId: genesis.chainId,
    height: 0,
    timestampMs: genesis.timestampMs,
    parentId: ZERO_HASH,
    proposer: new Uint8Array(ADDRESS_BYTES),
    validatorsHash: setHash,
    nextValidatorsHash: setHash,
    consensusParametersHash: consensusParametersHash(genesis.parameters),
    transactionsRoot: transactionsRoot([]),
    lastCommitHash: commitHash(undefined),
    evidenceHash: evidenceHash([]),
    gasUsed: 0n,
    receiptsRoot: receiptsRoot([]),
    logsBloom: new Uint8Array(BLOOM_BYTES),
    stateRoot,
    baseFeePerGas: genesis.parameters.baseFeeInitial,
    gasLimit: genesis.parameters.blockGasLimit,
    extraData: new Uint8Array(0),
  };
  const block = { header, transactions: [], lastCommit: undefined };
  return { block, blockId: blockId(header), senders: [], transactionHashes: [] };
}
