interface Event {
  readonly timeMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** Virtual time: events run in the order of their times, equal times in the order of their making. */
export class EventQueue {
  nowMs = 0;
  executed = 0;
  #sequence = 0;
  readonly #heap: Event[] = [];

  schedule(delayMs: number, run: () => void): void {
    this.#sequence += 1;
    const event = { timeMs: this.nowMs + delayMs, sequence: this.#sequence, run };
    this.#siftUp(this.#heap.length, event);
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return false;
    if (heap.length > 0) this.#siftDown(last);
    this.nowMs = first.timeMs;
    this.executed += 1;
    first.run();
    return true;
  }

  #siftUp(start: number, event: Event): void {
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

  #siftDown(event: Event): void {
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

function isBefore(left: Event, right: Event): boolean {
  return (
    left.timeMs < right.timeMs || (left.timeMs === right.timeMs && left.sequence < right.sequence)
  );
}
