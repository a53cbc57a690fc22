import { describe, expect, test } from 'vitest';
import { FlatState, READ_BATCH_KEYS_MAX } from '../../../src/execution/flat_state.ts';
import { GenerationMap } from '../../../src/execution/generation_map.ts';
import { bigIntToBytes, toHex } from '../../../src/lib/bytes.ts';
import { type Delta, encodeDelta } from '../../../src/types/outcome.ts';
import { EMPTY_CODE_HASH } from '../../../src/types/primitives.ts';
import { SeededRandom } from '../crypto/random.ts';
import { address, MemoryState, word } from './fixture.ts';

const ACCOUNTS = 5;
const SLOTS = 4;

function flatState(reader: MemoryState): FlatState {
  return new FlatState({ cacheBytesMax: 1 << 20 }, { reader });
}

/** The same state as copied maps: balances by account, values by account and slot. */
interface Model {
  balances: Map<string, bigint>;
  slots: Map<string, bigint>;
}

function copyOf({ balances, slots }: Model): Model {
  return { balances: new Map(balances), slots: new Map(slots) };
}

function preparedState(): { state: MemoryState; model: Model } {
  const state = new MemoryState();
  const model: Model = { balances: new Map(), slots: new Map() };
  const slots = (account: number) => [
    { slot: word(0n), value: Uint8Array.of(account + 1) },
    { slot: word(2n), value: Uint8Array.of(9) },
  ];
  const accounts = [0, 2, 3].map((account) => {
    model.balances.set(toHex(address(account)), 10n);
    for (const { slot, value } of slots(account))
      model.slots.set(toHex(address(account)) + toHex(slot), BigInt(value[0] ?? 0));
    const plain = { nonce: 0n, balance: 10n, codeHash: EMPTY_CODE_HASH };
    return { address: address(account), account: plain, slots: slots(account) };
  });
  state.apply({ accounts, codes: [] });
  return { state, model };
}

/** What the delta should be, from the two states alone. */
function differences(before: Model, after: Model): Delta {
  const changes = [];
  for (let number = 0; number < ACCOUNTS; number += 1) {
    const key = toHex(address(number));
    const slots = [];
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const slotKey = key + toHex(word(BigInt(slot)));
      const value = after.slots.get(slotKey) ?? 0n;
      if (value !== (before.slots.get(slotKey) ?? 0n))
        slots.push({ slot: word(BigInt(slot)), value: bigIntToBytes(value) });
    }
    const balance = after.balances.get(key) ?? 0n;
    if (slots.length === 0 && balance === (before.balances.get(key) ?? 0n)) continue;
    const account = balance === 0n ? null : { nonce: 0n, balance, codeHash: EMPTY_CODE_HASH };
    changes.push({ address: address(number), account, slots });
  }
  return { accounts: changes, codes: [] };
}

describe('flat state', () => {
  test('checkpoints, reverts and deltas agree with copied maps', async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = new SeededRandom(seed);
      const { state, model: ground } = preparedState();
      const flat = flatState(state);
      let before = ground;
      for (let block = 0; block < 4; block += 1) {
        const after = await randomBlock(flat, copyOf(before), random);
        const delta = flat.delta();
        expect(encodeDelta(delta), `seed ${seed} block ${block}`).toEqual(
          encodeDelta(differences(before, after)),
        );
        if (random.below(3) === 0) {
          flat.rollBack();
          expect(flat.delta()).toEqual({ accounts: [], codes: [] });
        } else {
          flat.promote();
          before = after;
        }
      }
    }
  });

  test('the value at the start of a transaction outlives its own changes only', async () => {
    const { state } = preparedState();
    const flat = flatState(state);
    const cell = await flat.loadSlot(address(0), word(0n));
    flat.beginTransaction();
    flat.checkpoint();
    flat.setSlot(cell, Uint8Array.of(50));
    flat.setSlot(cell, Uint8Array.of(51));
    expect(flat.slotAtStart(cell)).toEqual(Uint8Array.of(1));
    flat.commit();
    flat.beginTransaction();
    expect(flat.slotAtStart(cell)).toEqual(Uint8Array.of(51));
  });

  test('prefetch asks in batches and only for what is missing', async () => {
    const { state } = preparedState();
    const flat = flatState(state);
    const many = Array.from({ length: READ_BATCH_KEYS_MAX + 1 }, (_, index) => address(index));
    await flat.prefetch([...many, ...many], [{ address: address(0), slot: word(0n) }]);
    expect(state.asked).toEqual({ accounts: 2, slots: 1, code: 0 });
    await flat.prefetch(many, [{ address: address(0), slot: word(0n) }]);
    expect(state.asked).toEqual({ accounts: 2, slots: 1, code: 0 });
  });

  test('an account without anything is none', async () => {
    const flat = flatState(new MemoryState());
    const cell = await flat.loadAccount(address(1));
    flat.beginTransaction();
    flat.setAccount(cell, { nonce: 0n, balance: 0n, codeHash: EMPTY_CODE_HASH });
    expect(cell.now).toBeUndefined();
    expect(flat.delta().accounts).toEqual([]);
  });
});

async function randomBlock(flat: FlatState, start: Model, random: SeededRandom): Promise<Model> {
  let model = start;
  for (let transaction = 0; transaction < 5; transaction += 1) {
    flat.beginTransaction();
    const saved: Model[] = [];
    for (let step = 0; step < 25; step += 1) {
      const action = random.below(6);
      if (action === 0) {
        flat.checkpoint();
        saved.push(copyOf(model));
      } else if (action === 1 && saved.length > 0) {
        flat.revert();
        model = saved.pop() ?? model;
      } else if (action === 2 && saved.length > 0) {
        flat.commit();
        saved.pop();
      } else {
        await randomWrite(flat, model, random);
      }
    }
    while (saved.pop() !== undefined) flat.commit();
  }
  return model;
}

async function randomWrite(flat: FlatState, model: Model, random: SeededRandom): Promise<void> {
  const account = address(random.below(ACCOUNTS));
  const value = BigInt(random.below(4));
  if (random.below(2) === 0) {
    const cell = await flat.loadAccount(account);
    flat.setAccount(cell, { nonce: 0n, balance: value, codeHash: EMPTY_CODE_HASH });
    model.balances.set(toHex(account), value);
    return;
  }
  const slot = word(BigInt(random.below(SLOTS)));
  // A slot's account is loaded whenever code runs in it.
  await flat.loadAccount(account);
  flat.setSlot(await flat.loadSlot(account, slot), bigIntToBytes(value));
  model.slots.set(toHex(account) + toHex(slot), value);
}

describe('generation map', () => {
  const map = () => new GenerationMap<number>({ weightMax: 10, weightOf: () => 1 });

  test('drops nothing between trims, and only what was not used after them', () => {
    const generations = map();
    for (let key = 0; key < 8; key += 1) generations.set(String(key), key);
    expect(generations.get('0')).toBe(0);
    generations.trim();
    expect(generations.get('3')).toBe(3);
    for (let key = 10; key < 16; key += 1) generations.set(String(key), key);
    generations.trim();
    expect(generations.get('3')).toBe(3);
    expect(generations.get('10')).toBe(10);
    expect(generations.get('0')).toBeUndefined();
  });

  test('drops everything when one generation alone is over the limit', () => {
    const generations = map();
    for (let key = 0; key < 30; key += 1) generations.set(String(key), key);
    expect(generations.get('29')).toBe(29);
    generations.trim();
    expect(generations.get('29')).toBeUndefined();
  });
});
