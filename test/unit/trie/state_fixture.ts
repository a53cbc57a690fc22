import { createMPT } from '@ethereumjs/mpt';
import { bytesToBigInt, compareBytes, fromHex, toHex } from '../../../src/lib/bytes.ts';
import type { AppliedDelta, LedgerTrie } from '../../../src/trie/state_trie.ts';
import { StateTrie } from '../../../src/trie/state_trie.ts';
import type { Account, AccountChange, Delta } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH, EMPTY_TRIE_ROOT, type Hash } from '../../../src/types/primitives.ts';
import { encodeRlp, scalar } from '../../../src/types/rlp.ts';
import type { SeededRandom } from '../crypto/random.ts';
import { MemoryNodeStore } from './memory_store.ts';

export const FRESH = { height: -1, root: EMPTY_TRIE_ROOT, cacheNodesMax: 1_000_000 };

interface ModelAccount {
  account: Account;
  readonly slots: Map<string, Uint8Array>;
}

/** The state as plain maps, which makes random deltas of itself. */
export class ModelState {
  readonly accounts = new Map<string, ModelAccount>();
  readonly #random: SeededRandom;
  readonly #addresses: Uint8Array[];
  readonly #slots: Uint8Array[];

  constructor(random: SeededRandom, sizes: { addresses: number; slots: number }) {
    this.#random = random;
    this.#addresses = Array.from({ length: sizes.addresses }, () => random.bytes(20));
    this.#slots = Array.from({ length: sizes.slots }, () => random.bytes(32));
  }

  get addresses(): readonly Uint8Array[] {
    return this.#addresses;
  }

  get slots(): readonly Uint8Array[] {
    return this.#slots;
  }

  /** Changes some accounts: new balances and slots, accounts that end, accounts that come back. */
  change(count: number): Delta {
    const chosen = new Map<string, Uint8Array>();
    for (let index = 0; index < count; index += 1) {
      const address = this.#addresses[this.#random.below(this.#addresses.length)]!;
      chosen.set(toHex(address), address);
    }
    const accounts = [...chosen.values()].sort(compareBytes);
    return { accounts: accounts.map((address) => this.#changeAccount(address)), codes: [] };
  }

  /** Everything as one delta over nothing. */
  whole(): Delta {
    const accounts = [...this.accounts].map(([address, { account, slots }]) => ({
      address: fromHex(address)!,
      account,
      slots: [...slots]
        .map(([slot, value]) => ({ slot: fromHex(slot)!, value }))
        .sort((left, right) => compareBytes(left.slot, right.slot)),
    }));
    return {
      accounts: accounts.sort((left, right) => compareBytes(left.address, right.address)),
      codes: [],
    };
  }

  /** The root that a peer's trie gives. */
  async peerRoot(): Promise<Hash> {
    const trie = await createMPT({ useKeyHashing: true });
    for (const [address, { account, slots }] of this.accounts) {
      const storage = await createMPT({ useKeyHashing: true });
      for (const [slot, value] of slots) await storage.put(fromHex(slot)!, encodeRlp(value));
      const { nonce, balance, codeHash } = account;
      const leaf = [scalar(nonce), scalar(balance), storage.root(), codeHash];
      await trie.put(fromHex(address)!, encodeRlp(leaf));
    }
    return trie.root();
  }

  #changeAccount(address: Uint8Array): AccountChange {
    const old = this.accounts.get(toHex(address));
    if (old !== undefined && this.#random.below(5) === 0) {
      this.accounts.delete(toHex(address));
      const slots = [...old.slots.keys()].sort().map((slot) => fromHex(slot)!);
      return {
        address,
        account: null,
        slots: slots.map((slot) => ({ slot, value: new Uint8Array(0) })),
      };
    }
    const account: Account = {
      nonce: BigInt(this.#random.below(1000)),
      balance: bytesToBigInt(this.#random.bytes(1 + this.#random.below(12))),
      codeHash: this.#random.below(3) === 0 ? this.#random.bytes(32) : EMPTY_CODE_HASH,
    };
    const entry = old ?? { account, slots: new Map<string, Uint8Array>() };
    entry.account = account;
    this.accounts.set(toHex(address), entry);
    return { address, account, slots: this.#changeSlots(entry.slots) };
  }

  #changeSlots(slots: Map<string, Uint8Array>) {
    const changes = this.#slots.filter(() => this.#random.below(4) === 0);
    return changes.sort(compareBytes).map((slot) => {
      const value = this.#random.below(3) === 0 ? new Uint8Array(0) : this.#value();
      if (value.length === 0) slots.delete(toHex(slot));
      else slots.set(toHex(slot), value);
      return { slot, value };
    });
  }

  #value(): Uint8Array {
    const value = this.#random.bytes(1 + this.#random.below(32));
    value[0] = 1 + this.#random.below(255);
    return value;
  }
}

/** Applies the next height and stores what it writes. */
export async function applyAndStore(
  trie: LedgerTrie,
  store: MemoryNodeStore,
  height: number,
  delta: Delta,
): Promise<AppliedDelta> {
  const applied = await trie.apply(height, delta);
  store.write(applied.writes);
  trie.stored(height);
  return applied;
}

/** The store of a trie that was given the whole state at once. */
export async function storeFromScratch(model: ModelState): Promise<MemoryNodeStore> {
  const store = new MemoryNodeStore();
  await applyAndStore(new StateTrie(FRESH, { nodes: store }), store, 0, model.whole());
  return store;
}
