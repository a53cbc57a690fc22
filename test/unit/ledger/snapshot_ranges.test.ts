import { expect, test } from 'vitest';
import * as keys from '../../../src/ledger/keys.ts';
import { compareBytes, utf8 } from '../../../src/lib/bytes.ts';
import type { KeyRange } from '../../../src/storage/keys.ts';

const HASH = new Uint8Array(32).fill(0xff);
const OWN = [
  keys.FENCE_KEY,
  keys.REMOVED_KEY,
  keys.FOLDER_ID_KEY,
  keys.LOG_MADE_KEY,
  keys.peerFolderKey(3),
];
const SHARED = [
  keys.HEAD_KEY,
  keys.UNDECIDED_KEY,
  keys.CONFIGURATION_KEY,
  keys.TRIE_HEIGHT_KEY,
  keys.accountKey(HASH.subarray(0, 20)),
  keys.slotKey(HASH.subarray(0, 20), HASH),
  keys.codeKey(HASH),
  keys.trieNodeKey(HASH),
  keys.stateRootKey(5),
  keys.blockKey(5),
  keys.blockHeightKey(HASH),
  keys.commitKey(5),
  keys.outcomeKey(5),
  keys.reverseDeltaKey(5),
  keys.transactionStateKey(HASH),
  keys.pendingKey(HASH),
];

const isIn = (key: Uint8Array, { gte, lt }: KeyRange): boolean =>
  compareBytes(gte, key) <= 0 && compareBytes(key, lt) < 0;

test('a snapshot carries every kind of key once, and none of the member itself', () => {
  for (const key of SHARED) {
    expect(keys.SNAPSHOT_RANGES.filter((range) => isIn(key, range)).length).toBe(1);
    expect(isIn(key, keys.LOCAL_RANGE)).toBe(false);
  }
  for (const key of OWN) {
    expect(keys.SNAPSHOT_RANGES.filter((range) => isIn(key, range))).toEqual([]);
    expect(isIn(key, keys.LOCAL_RANGE)).toBe(true);
  }
});

test('values that may be megabytes are read a few at a time', () => {
  for (const kind of ['b', 'o', 'r']) {
    const range = keys.SNAPSHOT_RANGES.find((candidate) => isIn(utf8(kind), candidate));
    expect(range?.pairsMax).toBe(2);
  }
});
