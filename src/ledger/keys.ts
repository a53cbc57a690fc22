import { concatBytes, uint64Bytes, utf8 } from '../lib/bytes.ts';
import { type KeyRange, type PagedRange, prefixRange } from '../storage/keys.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';

/**
 * Every key of the database: one byte of kind, then the parts. All of it lives in one column family,
 * so that one batch may hold any mixture. Numbers are big-endian, so that keys ascend with them.
 */
const KINDS = {
  local: 'L',
  meta: 'M',
  account: 'a',
  slot: 's',
  code: 'c',
  trieNode: 'n',
  stateRoot: 'g',
  block: 'b',
  blockHeight: 'h',
  commit: 'q',
  outcome: 'o',
  reverseDelta: 'r',
  transactionState: 't',
  pending: 'p',
} as const;

function kind(name: keyof typeof KINDS): Uint8Array {
  return utf8(KINDS[name]);
}

const LOCAL = kind('local');
const META = kind('meta');
const ACCOUNT = kind('account');
const SLOT = kind('slot');
const CODE = kind('code');
const TRIE_NODE = kind('trieNode');
const STATE_ROOT = kind('stateRoot');
const BLOCK = kind('block');
const BLOCK_HEIGHT = kind('blockHeight');
const COMMIT = kind('commit');
const OUTCOME = kind('outcome');
const REVERSE_DELTA = kind('reverseDelta');
const TRANSACTION_STATE = kind('transactionState');
const PENDING = kind('pending');

/** Applied index and term, decided and executed height. */
export const HEAD_KEY = concatBytes(META, utf8('head'));
/** Height decided + 1, once its block is fixed; the block itself stands where decided ones do. */
export const UNDECIDED_KEY = concatBytes(META, utf8('undecided'));
/** The newest configuration that was applied, with its index. */
export const CONFIGURATION_KEY = concatBytes(META, utf8('configuration'));
/** The height that the stored trie nodes belong to. */
export const TRIE_HEIGHT_KEY = concatBytes(META, utf8('trie'));

/** What is true of this member alone: no snapshot carries it, and installing one leaves it as it is. */
export const LOCAL_RANGE: KeyRange = prefixRange(LOCAL);
/** Present when this member has fenced itself; the value says why. */
export const FENCE_KEY = concatBytes(LOCAL, utf8('fence'));
/** Present once this member has applied a configuration without itself: it never starts again. */
export const REMOVED_KEY = concatBytes(LOCAL, utf8('removed'));
/** Drawn once for this data folder; peers know the member by it. */
export const FOLDER_ID_KEY = concatBytes(LOCAL, utf8('folder'));
/** Present once the log beside this database was made: from then on a missing log is a lost one. */
export const LOG_MADE_KEY = concatBytes(LOCAL, utf8('log'));
/** The data folder that a peer came with first. */
export const peerFolderKey = (member: number): Uint8Array =>
  concatBytes(LOCAL, utf8('peer'), uint64Bytes(member));

export const accountKey = (address: Address): Uint8Array => concatBytes(ACCOUNT, address);
export const slotKey = (address: Address, slot: Hash): Uint8Array =>
  concatBytes(SLOT, address, slot);
export const codeKey = (codeHash: Hash): Uint8Array => concatBytes(CODE, codeHash);
export const trieNodeKey = (path: Uint8Array): Uint8Array => concatBytes(TRIE_NODE, path);
export const stateRootKey = (height: Height): Uint8Array =>
  concatBytes(STATE_ROOT, uint64Bytes(height));
export const blockKey = (height: Height): Uint8Array => concatBytes(BLOCK, uint64Bytes(height));
export const blockHeightKey = (blockId: Hash): Uint8Array => concatBytes(BLOCK_HEIGHT, blockId);
export const commitKey = (height: Height): Uint8Array => concatBytes(COMMIT, uint64Bytes(height));
export const outcomeKey = (height: Height): Uint8Array => concatBytes(OUTCOME, uint64Bytes(height));
export const reverseDeltaKey = (height: Height): Uint8Array =>
  concatBytes(REVERSE_DELTA, uint64Bytes(height));
export const transactionStateKey = (hash: Hash): Uint8Array => concatBytes(TRANSACTION_STATE, hash);
export const pendingKey = (hash: Hash): Uint8Array => concatBytes(PENDING, hash);
/** All keys of pending transactions. */
export const PENDING_RANGE = prefixRange(PENDING);

/** Kinds whose values may be megabytes: few of them are in memory at once. */
const LARGE_KINDS: readonly string[] = [KINDS.block, KINDS.outcome, KINDS.reverseDelta];
const PAGE_PAIRS_MAX = 1024;
const LARGE_PAGE_PAIRS_MAX = 2;

/** Everything that a snapshot carries: all kinds but the member's own. */
export const SNAPSHOT_RANGES: readonly PagedRange[] = Object.values(KINDS)
  .filter((letter) => letter !== KINDS.local)
  .map((letter) => ({
    ...prefixRange(utf8(letter)),
    pairsMax: LARGE_KINDS.includes(letter) ? LARGE_PAGE_PAIRS_MAX : PAGE_PAIRS_MAX,
  }));
