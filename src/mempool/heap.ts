/** Binary heap: `pop` gives the item that comes before all others. */
export class Heap<Item> {
  readonly #before: (left: Item, right: Item) => boolean;
  #items: Item[] = [];

  constructor(before: (left: Item, right: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    let position = items.length;
    items.push(item);
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const above = items[parent] as Item;
      if (!this.#before(item, above)) break;
      items[position] = above;
      position = parent;
    }
    items[position] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let position = 0;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= items.length) break;
      const right = child + 1;
      if (right < items.length && this.#before(items[right] as Item, items[child] as Item))
        child = right;
      if (!this.#before(items[child] as Item, last)) break;
      items[position] = items[child] as Item;
      position = child;
    }
    items[position] = last;
    return first;
  }

  /** Starts anew with these items. */
  reset(items: Iterable<Item>): void {
    this.#items = [];
    for (const item of items) this.push(item);
  }
}
