import { describe, expect, it } from 'vitest';
import {
  type ChangeSink,
  checkDelta,
  reverseOf,
  writeDelta,
} from '../../../src/ledger/state_changes.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import type { Delta } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';

/** A store in memory that the same batches act on. */
class MemoryStore implements ChangeSink {
  readonly values = new Map<string, Uint8Array>();

  put(key: Uint8Array, value: Uint8Array): void {
    this.values.set(toHex(key), value);
  }

  delete(key: Uint8Array): void {
    this.values.delete(toHex(key));
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.values.get(toHex(key));
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.values.get(toHex(key)));
  }
}

const address = (byte: number): Uint8Array => new Uint8Array(20).fill(byte);
const slot = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const account = (nonce: bigint, balance: bigint) => ({ nonce, balance, codeHash: EMPTY_CODE_HASH });

const first: Delta = {
  accounts: [
    { address: address(1), account: account(1n, 10n), slots: [] },
    {
      address: address(2),
      account: account(1n, 0n),
      slots: [
        { slot: slot(1), value: Uint8Array.of(7) },
        { slot: slot(2), value: Uint8Array.of(8) },
      ],
    },
  ],
  codes: [],
};

const second: Delta = {
  accounts: [
    { address: address(1), account: null, slots: [] },
    {
      address: address(2),
      account: account(2n, 5n),
      slots: [
        { slot: slot(1), value: new Uint8Array(0) },
        { slot: slot(3), value: Uint8Array.of(9) },
      ],
    },
    { address: address(3), account: account(0n, 1n), slots: [] },
  ],
  codes: [],
};

describe('state changes', () => {
  it('undoes an outcome exactly with its reverse delta', async () => {
    const store = new MemoryStore();
    writeDelta(first, store);
    const before = new Map(store.values);
    const reverse = await reverseOf(second, store);
    writeDelta(second, store);
    expect(store.values).not.toEqual(before);
    writeDelta(reverse, store);
    expect(store.values).toEqual(before);
  });

  it('leaves nothing of what was created and is undone', async () => {
    const store = new MemoryStore();
    const reverse = await reverseOf(first, store);
    writeDelta(first, store);
    writeDelta(reverse, store);
    expect(store.values.size).toBe(0);
  });

  it('refuses an empty account, which cannot exist', () => {
    const delta: Delta = {
      accounts: [{ address: address(1), account: account(0n, 0n), slots: [] }],
      codes: [],
    };
    expect(() => checkDelta(delta)).toThrow(/EIP-161/);
    expect(() => checkDelta(second)).not.toThrow();
  });
});
