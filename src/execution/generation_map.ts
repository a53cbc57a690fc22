/**
 * A map that forgets what was not used lately: two generations, of which the older one is dropped
 * when the younger one has grown to half of the weight allowed. Nothing is dropped between calls of
 * `trim`, so that whoever holds a value may rely on finding the same one again.
 */
export class GenerationMap<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  #youngWeight = 0;
  readonly #weightMax: number;
  readonly #weightOf: (value: Value) => number;

  constructor(options: { weightMax: number; weightOf: (value: Value) => number }) {
    this.#weightMax = options.weightMax;
    this.#weightOf = options.weightOf;
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old);
    }
    return old;
  }

  /** The key must not be in the map. */
  set(key: string, value: Value): void {
    this.#young.set(key, value);
    this.#youngWeight += this.#weightOf(value);
  }

  /** Brings the map back under its limit. */
  trim(): void {
    if (this.#youngWeight * 2 <= this.#weightMax) return;
    this.#old = this.#youngWeight <= this.#weightMax ? this.#young : new Map();
    this.#young = new Map();
    this.#youngWeight = 0;
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#youngWeight = 0;
  }
}
