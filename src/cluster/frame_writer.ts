import { type Piece, SendQueue, type Waiting } from './send_queue.ts';

/** How frames get into one gRPC stream. */
export interface FrameSink<Frame> {
  /** As `write` of a Node stream: false asks to wait for `drained`; `done` is called once the bytes have left. */
  write(frame: Frame, done: () => void): boolean;
  frameOf(piece: Piece): Frame;
  /** The first part of this request is about to be written. */
  begun(requestId: number): void;
}

/**
 * Feeds one stream from a bounded queue as fast as it takes frames. What is sent in one turn of the event loop
 * leaves at its end, together; nothing waits longer than that for company.
 */
export class FrameWriter<Frame> {
  readonly #sink: FrameSink<Frame>;
  readonly #queue: SendQueue;
  /** Overtakes the queue; only the latest matters. */
  #urgent: Frame | undefined;
  #isWritable = true;
  #isScheduled = false;
  #isClosed = false;

  constructor(queueBytesMax: number, sink: FrameSink<Frame>) {
    this.#queue = new SendQueue(queueBytesMax);
    this.#sink = sink;
  }

  /** False when the queue has no room or the stream is gone. */
  send(waiting: Waiting): boolean {
    if (this.#isClosed || !this.#queue.offer(waiting)) return false;
    this.#schedule();
    return true;
  }

  /** Writes a small frame before everything that waits, instead of the last such frame if that waits still. */
  sendUrgent(frame: Frame): void {
    this.#urgent = frame;
    this.#schedule();
  }

  withdraw(requestId: number): boolean {
    return this.#queue.withdraw(requestId);
  }

  drained(): void {
    this.#isWritable = true;
    this.#flush();
  }

  close(): void {
    this.#isClosed = true;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#isWritable && !this.#isClosed) {
      const urgent = this.#urgent;
      if (urgent !== undefined) {
        this.#urgent = undefined;
        this.#isWritable = this.#sink.write(urgent, () => undefined);
        continue;
      }
      const next = this.#queue.next();
      if (next === undefined) return;
      const { piece, costBytes } = next;
      if (piece.kind !== 'messages' && piece.requestId !== 0) this.#sink.begun(piece.requestId);
      this.#isWritable = this.#sink.write(this.#sink.frameOf(piece), () => {
        this.#queue.written(costBytes);
      });
    }
  }
}
