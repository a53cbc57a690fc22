import { transactionHash } from '../crypto/transaction.ts';
import { genesisDelta } from '../execution/genesis_state.ts';
import { bytesEqual } from '../lib/bytes.ts';
import { Mempool, type MempoolLimits } from '../mempool/mempool.ts';
import type { Database } from '../storage/database.ts';
import { WriteBatch } from '../storage/write_batch.ts';
import { StateTrie } from '../trie/state_trie.ts';
import type { Configuration } from '../types/configuration.ts';
import type { Genesis } from '../types/genesis.ts';
import { decodeAccount } from '../types/outcome.ts';
import { EMPTY_TRIE_ROOT, type Hash, type Height } from '../types/primitives.ts';
import { Chain } from './chain.ts';
import { genesisBlock } from './genesis_block.ts';
import {
  accountKey,
  blockHeightKey,
  blockKey,
  CONFIGURATION_KEY,
  FOLDER_ID_KEY,
  HEAD_KEY,
  PENDING_RANGE,
  stateRootKey,
  TRIE_HEIGHT_KEY,
  trieNodeKey,
  UNDECIDED_KEY,
} from './keys.ts';
import { LedgerError } from './ledger_error.ts';
import type { HeadResults, LedgerHead } from './ledger_head.ts';
import { pooledTransaction } from './pooled_transaction.ts';
import {
  decodeAppliedConfiguration,
  decodeHead,
  decodeHeight,
  decodePending,
  encodeAppliedConfiguration,
  encodeHead,
  encodeHeight,
  type PendingRecord,
} from './records.ts';
import { writeDelta } from './state_changes.ts';
import { encodeStoredBlock, type StoredBlock } from './stored_block.ts';

/** The state of block 0 and everything that follows from it. */
export interface GenesisState {
  readonly block: StoredBlock;
  readonly trieWrites: readonly {
    readonly key: Uint8Array;
    readonly value: Uint8Array | undefined;
  }[];
}

/** Computes block 0 from the genesis; its id is the identity of the chain. */
export async function genesisState(genesis: Genesis): Promise<GenesisState> {
  const trie = new StateTrie(
    { height: -1, root: EMPTY_TRIE_ROOT, cacheNodesMax: Number.MAX_SAFE_INTEGER },
    { nodes: { getMany: async (keys) => keys.map(() => undefined) } },
  );
  const { root, writes } = await trie.apply(0, genesisDelta(genesis));
  return { block: genesisBlock(genesis, root), trieWrites: writes };
}

export interface OpenedLedger {
  readonly head: LedgerHead;
  readonly chain: Chain;
  readonly mempool: Mempool;
  /** Height and root that the stored trie nodes belong to. */
  readonly trieHeight: Height;
  readonly trieRoot: Hash;
  readonly folderId: Uint8Array;
}

/** Reads where the member stands, after writing block 0 when the database is new. */
export async function openLedger(
  options: {
    genesis: Genesis;
    state: GenesisState;
    limits: MempoolLimits;
    /** Of a new database: whom the cluster begins with. */
    configuration: Configuration;
    /** For a new data folder. */
    newFolderId: () => Uint8Array;
  },
  database: Database,
): Promise<OpenedLedger> {
  if ((await database.get(HEAD_KEY)) === undefined) await writeGenesis(options, database);
  const chain = new Chain(database);
  const head = await readHead(chain, database);
  const first = await chain.storedBlock(0);
  if (!bytesEqual(first.blockId, options.state.block.blockId))
    throw new LedgerError('STORE_DAMAGED', 'the database belongs to another genesis');
  const trieHeight = decodeHeight(await required(database, TRIE_HEIGHT_KEY, 'trie height'));
  const trieRoot = await required(database, stateRootKey(trieHeight), 'state root');
  const mempool = await restoreMempool(options.limits, database);
  const fixed =
    head.undecided ?? (head.executedHeight < head.decidedHeight ? head.decided : undefined);
  if (fixed !== undefined) mempool.fix(fixed.transactionHashes);
  const folderId = await required(database, FOLDER_ID_KEY, 'folder id');
  return { head, chain, mempool, trieHeight, trieRoot, folderId };
}

async function writeGenesis(
  options: {
    genesis: Genesis;
    state: GenesisState;
    configuration: Configuration;
    newFolderId: () => Uint8Array;
  },
  database: Database,
): Promise<void> {
  const { genesis, state, configuration } = options;
  const batch = new WriteBatch();
  batch.put(FOLDER_ID_KEY, options.newFolderId());
  writeDelta(genesisDelta(genesis), batch);
  for (const { key, value } of state.trieWrites)
    if (value !== undefined) batch.put(trieNodeKey(key), value);
  batch.put(blockKey(0), encodeStoredBlock(state.block));
  batch.put(blockHeightKey(state.block.blockId), encodeHeight(0));
  batch.put(stateRootKey(0), state.block.block.header.stateRoot);
  batch.put(TRIE_HEIGHT_KEY, encodeHeight(0));
  batch.put(
    HEAD_KEY,
    encodeHead({ appliedIndex: 0, appliedTerm: 0, decidedHeight: 0, executedHeight: 0 }),
  );
  batch.put(CONFIGURATION_KEY, encodeAppliedConfiguration({ index: 0, configuration }));
  await database.write(batch);
  // The log does not hold this, so that no later replay could bring it back.
  await database.flush();
}

async function readHead(chain: Chain, database: Database): Promise<LedgerHead> {
  const record = decodeHead(await required(database, HEAD_KEY, 'head'));
  const undecided = await database.get(UNDECIDED_KEY);
  const configuration = await required(database, CONFIGURATION_KEY, 'configuration');
  return {
    ...record,
    decided: await chain.storedBlock(record.decidedHeight),
    undecided:
      undecided === undefined ? undefined : await chain.storedBlock(decodeHeight(undecided)),
    results: await resultsOf(record.executedHeight, chain),
    configuration: decodeAppliedConfiguration(configuration),
  };
}

/** Block 0 executed nothing; its own header says what that gives. */
async function resultsOf(height: Height, chain: Chain): Promise<HeadResults> {
  if (height === 0) return (await chain.storedBlock(0)).block.header;
  const outcome = await chain.outcome(height);
  if (outcome === undefined)
    throw new LedgerError('STORE_DAMAGED', `the outcome of block ${height} is not stored`);
  return outcome;
}

async function restoreMempool(limits: MempoolLimits, database: Database): Promise<Mempool> {
  const mempool = new Mempool(limits);
  const pending: PendingRecord[] = [];
  for await (const [, value] of database.iterate(PENDING_RANGE)) pending.push(decodePending(value));
  const accounts = await database.getMany(pending.map(({ sender }) => accountKey(sender)));
  for (const [position, record] of pending.entries()) {
    const account = accounts[position];
    const nonce = account === undefined ? 0n : decodeAccount(account).nonce;
    const { sequence, expiresAtMs } = record;
    const place = { hash: transactionHash(record.raw), sequence, expiresAtMs };
    mempool.restore(pooledTransaction(record, place), nonce);
  }
  return mempool;
}

async function required(database: Database, key: Uint8Array, what: string): Promise<Uint8Array> {
  const value = await database.get(key);
  if (value === undefined)
    throw new LedgerError('STORE_DAMAGED', `the database has no ${what}; replace this member`);
  return value;
}
