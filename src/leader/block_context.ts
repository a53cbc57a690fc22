import type { BlockContext } from '../execution/block_context.ts';
import type { BlockRequest } from '../execution/executor.ts';
import type { StoredBlock } from '../ledger/stored_block.ts';
import { assert } from '../lib/assert.ts';
import { bytesEqual } from '../lib/bytes.ts';
import type { Header } from '../types/block.ts';
import type { Genesis } from '../types/genesis.ts';

/** What transactions see of a decided block; all of it from its header and the genesis. */
export function blockContext(header: Header, genesis: Genesis): BlockContext {
  const proposer = genesis.validators.find(({ address }) => bytesEqual(address, header.proposer));
  assert(proposer !== undefined, 'a decided block was proposed by a validator');
  return contextOf(header, genesis, proposer.rewardAddress);
}

/** The same for a call on the state after a block, as if in a block of its own on top. */
export function callContext(header: Header, genesis: Genesis): BlockContext {
  const [validator] = genesis.validators;
  assert(validator !== undefined, 'a chain has a validator');
  const next = { ...header, height: header.height + 1 };
  return contextOf(next, genesis, validator.rewardAddress);
}

/** The request to execute a decided block. */
export function blockRequest(stored: StoredBlock, genesis: Genesis): BlockRequest {
  const { block, blockId, senders } = stored;
  return {
    blockId,
    context: blockContext(block.header, genesis),
    transactions: block.transactions.map((raw, index) => {
      const sender = senders[index];
      assert(sender !== undefined, 'a stored block has a sender for each transaction');
      return { raw, sender };
    }),
  };
}

function contextOf(header: Header, genesis: Genesis, coinbase: Uint8Array): BlockContext {
  return {
    chainId: genesis.chainId,
    height: header.height,
    timestampMs: header.timestampMs,
    coinbase,
    baseFeePerGas: header.baseFeePerGas,
    gasLimit: header.gasLimit,
    // The certificate of the parent is known to nobody before it is decided.
    prevRandao: header.lastCommitHash,
    forks: genesis.parameters.forks,
  };
}
