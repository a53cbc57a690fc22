/**
 * A binary heap: whatever stands before all others comes out first. With `moved`, items learn their index, so
 * that they can be taken out or put right in place.
 */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #before: (left: Item, right: Item) => boolean;
  readonly #moved: (item: Item, index: number) => void;

  /** @param before a strict total order */
  constructor(
    before: (left: Item, right: Item) => boolean,
    moved: (item: Item, index: number) => void = () => undefined,
  ) {
    this.#before = before;
    this.#moved = moved;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The item at an index; those at 2i + 1 and 2i + 2 never stand before the one at i. */
  at(index: number): Item | undefined {
    return this.#items[index];
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  pop(): Item | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.removeAt(0);
    return first;
  }

  removeAt(index: number): void {
    const last = this.#items.pop();
    if (last === undefined || index === this.#items.length) return;
    this.#place(last, index);
    this.fix(index);
  }

  /** Restores the order after the item at this index changed. */
  fix(index: number): void {
    const item = this.#items[index];
    if (item === undefined) return;
    if (!this.#rise(item, index)) this.#sink(item, index);
  }

  /** Starts anew with these items. */
  reset(items: Iterable<Item>): void {
    this.#items.length = 0;
    for (const item of items) this.push(item);
  }

  #rise(item: Item, from: number): boolean {
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#items[parentIndex];
      if (parent === undefined || !this.#before(item, parent)) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(item, index);
    return index !== from;
  }

  #sink(item: Item, from: number): void {
    let index = from;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = this.#items[childIndex];
      if (child === undefined) break;
      const right = this.#items[childIndex + 1];
      if (right !== undefined && this.#before(right, child)) {
        child = right;
        childIndex += 1;
      }
      if (!this.#before(child, item)) break;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(item, index);
  }

  #place(item: Item, index: number): void {
    this.#items[index] = item;
    this.#moved(item, index);
  }
}
