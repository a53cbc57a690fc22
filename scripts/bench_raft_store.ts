import { assert } from '../src/lib/assert.ts';
import { uint64Bytes, utf8 } from '../src/lib/bytes.ts';
import type { Database } from '../src/storage/database.ts';
import { WriteBatch } from '../src/storage/write_batch.ts';
import type { Entry } from '../src/types/entry.ts';
import type { Pair, RangeRequest, RangeResponse } from './bench_raft_wire.ts';

/** Before every key of a client; what the store knows of itself lies below. */
const PAIR_PREFIX = 0x70;
const APPLIED_KEY = utf8('applied');
const LENGTH_BYTES = 4;

/** A command of the log: pairs, each as the lengths of key and value and then both. */
export function encodePairs(pairs: readonly Pair[]): Uint8Array {
  let size = 0;
  for (const { key, value } of pairs) size += 2 * LENGTH_BYTES + key.length + value.length;
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const { key, value } of pairs) {
    at = bytes.writeUInt32LE(key.length, at);
    at = bytes.writeUInt32LE(value.length, at);
    bytes.set(key, at);
    bytes.set(value, at + key.length);
    at += key.length + value.length;
  }
  return bytes;
}

/**
 * The benchmark's state machine: pairs in the product's database. The effects of a range of entries and its last
 * index are one atomic batch, as in the product.
 */
export class PairStore {
  readonly #database: Database;
  readonly #onApplied: (entries: readonly Entry[]) => void;
  #appliedIndex: number;

  /** Tells of the entries once they are applied. */
  static async open(
    database: Database,
    onApplied: (entries: readonly Entry[]) => void,
  ): Promise<PairStore> {
    const stored = await database.get(APPLIED_KEY);
    const applied = stored === undefined ? 0n : Buffer.from(stored).readBigUInt64BE();
    return new PairStore(database, { onApplied, appliedIndex: Number(applied) });
  }

  private constructor(
    database: Database,
    options: { onApplied: (entries: readonly Entry[]) => void; appliedIndex: number },
  ) {
    this.#database = database;
    this.#onApplied = options.onApplied;
    this.#appliedIndex = options.appliedIndex;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  async apply(entries: readonly Entry[]): Promise<number> {
    const last = entries.at(-1);
    assert(last !== undefined, 'a range of entries is not empty');
    const batch = new WriteBatch();
    for (const { type, data } of entries) if (type === 'command') putPairs(batch, data);
    batch.put(APPLIED_KEY, uint64Bytes(last.index));
    await this.#database.write(batch);
    this.#appliedIndex = last.index;
    this.#onApplied(entries);
    return last.index;
  }

  /** What this member itself has applied. */
  async range({ key, rangeEnd, limit }: RangeRequest): Promise<RangeResponse> {
    const countMax = Number(limit);
    const kvs: Pair[] = [];
    const range = { gte: storedKey(key), lt: storedKey(rangeEnd), limit: countMax + 1 };
    for await (const [stored, value] of this.#database.iterate(range))
      kvs.push({ key: stored.subarray(1), value });
    return { kvs: kvs.slice(0, countMax), more: kvs.length > countMax };
  }
}

function putPairs(batch: WriteBatch, command: Uint8Array): void {
  const view = new DataView(command.buffer, command.byteOffset, command.byteLength);
  for (let at = 0; at < command.length; ) {
    const keyStart = at + 2 * LENGTH_BYTES;
    const keyEnd = keyStart + view.getUint32(at, true);
    const end = keyEnd + view.getUint32(at + LENGTH_BYTES, true);
    assert(end <= command.length, 'a command of the log holds whole pairs');
    batch.put(storedKey(command.subarray(keyStart, keyEnd)), command.subarray(keyEnd, end));
    at = end;
  }
}

function storedKey(key: Uint8Array): Uint8Array {
  const stored = new Uint8Array(1 + key.length);
  stored[0] = PAIR_PREFIX;
  stored.set(key, 1);
  return stored;
}
