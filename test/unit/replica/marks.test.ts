import { expect, it } from 'vitest';
import { storedMark, storeMark } from '../../../src/replica/marks.ts';
import type { WriteBatch } from '../../../src/storage/write_batch.ts';

const KEY = Uint8Array.of(1);

/** A store that loses with the power whatever was not flushed. */
class FragileStore {
  #cached: Uint8Array | undefined;
  #durable: Uint8Array | undefined;

  get = async (): Promise<Uint8Array | undefined> => this.#cached;
  write = async (batch: WriteBatch): Promise<void> => {
    for (const operation of batch.operations)
      if (operation.kind === 'put') this.#cached = operation.value;
  };
  flush = async (): Promise<void> => {
    this.#durable = this.#cached;
  };

  losePower(): void {
    this.#cached = this.#durable;
  }
}

it('a mark outlasts a loss of power as soon as it is stored', async () => {
  const store = new FragileStore();
  expect(await storedMark(KEY, store)).toBeUndefined();
  await storeMark(KEY, 'another root', store);
  store.losePower();
  expect(await storedMark(KEY, store)).toBe('another root');
});
