import type { Pair } from './bench_raft_wire.ts';

const VALUE_BYTES = 256;
const NUMBER_BYTES = 8;
const KEY_PREFIX = 'bench/';
const KEY_DIGITS = 10;

/** Keys of all pairs lie in this range. */
export const FIRST_KEY = Buffer.from(KEY_PREFIX);
export const END_KEY = Buffer.from('bench0');

/** The pairs that a benchmark writes into one cluster, each once, and which of them were acknowledged. */
export class BenchPairs {
  #next = 0;
  #acknowledged = new Uint8Array(1024);
  #acknowledgedCount = 0;

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  take(): { number: number; pair: Pair } {
    const number = this.#next;
    this.#next += 1;
    return { number, pair: { key: pairKey(number), value: pairValue(number) } };
  }

  acknowledge(number: number): void {
    if (number >= this.#acknowledged.length) {
      const wider = new Uint8Array(2 * Math.max(number, this.#acknowledged.length));
      wider.set(this.#acknowledged);
      this.#acknowledged = wider;
    }
    this.#acknowledged[number] = 1;
    this.#acknowledgedCount += 1;
  }

  isAcknowledged(number: number): boolean {
    return this.#acknowledged[number] === 1;
  }

  /** The number of a pair that was read; undefined when nothing of the kind was ever written. */
  numberOf({ key, value }: Pair): number | undefined {
    const number = Number(Buffer.from(key).toString().slice(KEY_PREFIX.length));
    const isOurs =
      number < this.#next && pairKey(number).equals(key) && pairValue(number).equals(value);
    return isOurs ? number : undefined;
  }
}

function pairKey(number: number): Buffer {
  return Buffer.from(KEY_PREFIX + String(number).padStart(KEY_DIGITS, '0'));
}

/** Differs for each number; the rest is what does not compress. */
function pairValue(number: number): Buffer {
  const value = Buffer.allocUnsafe(VALUE_BYTES);
  value.writeDoubleLE(number);
  const start = (number * 17) % NOISE.length;
  NOISE_TWICE.copy(value, NUMBER_BYTES, start, start + VALUE_BYTES - NUMBER_BYTES);
  return value;
}

const NOISE = noise(4096);
const NOISE_TWICE = Buffer.concat([NOISE, NOISE]);

/** The same bytes in every run. */
function noise(length: number): Buffer {
  let state = 0x9e37_79b9;
  return Buffer.from(
    Array.from({ length }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    }),
  );
}
