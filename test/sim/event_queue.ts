/** Something that will happen; a cancelled one is passed over when its time comes. */
export interface SimEvent {
  readonly timeMs: number;
  readonly sequence: number;
  readonly run: () => void;
  cancelled: boolean;
}

/**
 * Virtual time: events run in the order of their times, equal times in the order of their making.
 * The digest of everything that happened tells whether two runs were the same.
 */
export class EventQueue {
  nowMs = 0;
  executed = 0;
  #sequence = 0;
  readonly #heap: SimEvent[] = [];
  #digest = 0x811c_9dc5;
  readonly #double = new Float64Array(1);
  readonly #words = new Uint32Array(this.#double.buffer);

  get digest(): number {
    return this.#digest >>> 0;
  }

  schedule(delayMs: number, run: () => void): SimEvent {
    this.#sequence += 1;
    const event = {
      timeMs: this.nowMs + delayMs,
      sequence: this.#sequence,
      run,
      cancelled: false,
    };
    this.#siftUp(this.#heap.length, event);
    return event;
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    for (;;) {
      const event = this.#pop();
      if (event === undefined) return false;
      if (event.cancelled) continue;
      this.nowMs = event.timeMs;
      this.executed += 1;
      this.note(event.timeMs);
      event.run();
      return true;
    }
  }

  /** Takes a number that belongs to what happens into the digest. */
  note(value: number): void {
    this.#double[0] = value;
    const [low = 0, high = 0] = this.#words;
    this.#digest = Math.imul(Math.imul(this.#digest ^ low, 0x0100_0193) ^ high, 0x0100_0193);
    this.#digest ^= this.#digest >>> 15;
  }

  #pop(): SimEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0 && last !== undefined) this.#siftDown(last);
    return first;
  }

  #siftUp(start: number, event: SimEvent): void {
    const heap = this.#heap;
    let position = start;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[position] = heap[parent]!;
      position = parent;
    }
    heap[position] = event;
  }

  #siftDown(event: SimEvent): void {
    const heap = this.#heap;
    let position = 0;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, event)) break;
      heap[position] = heap[child]!;
      position = child;
    }
    heap[position] = event;
  }
}

function isBefore(left: SimEvent, right: SimEvent): boolean {
  return (
    left.timeMs < right.timeMs || (left.timeMs === right.timeMs && left.sequence < right.sequence)
  );
}

/**
 * Resolves when every promise that can run now has run. Ticks come after all microtasks, so one
 * tick is enough however long the chains are, and it costs a sixth of a turn of the event loop.
 */
export function microtasksDrained(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
