import type { Socket } from 'node:net';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/environment.ts';
import type { MemberId } from '../types/entry.ts';
import { Assembler } from './assembler.ts';
import { ClusterError } from './cluster_error.ts';
import { FrameWriter } from './frame_writer.ts';
import type { TransportLimits } from './limits.ts';
import { cutSoon, refuse } from './refusal.ts';
import type { Piece } from './send_queue.ts';
import type { Channel, Hello, Malformed, RequestResult, SinkFrame, SourceFrame } from './wire.ts';

export type ServerCall = ServerDuplexStream<SinkFrame | Malformed, SourceFrame>;

export interface OutletEvents {
  /** From now on the peer may know of this request. */
  begun(requestId: number): void;
  response(requestId: number, result: RequestResult): void;
  closed(reason: ClusterError): void;
}

/** One connection over which we send to one peer: the peer dialled it, and its Hello was found right. */
export class Outlet {
  readonly peer: MemberId;
  readonly channel: Channel;
  readonly #call: ServerCall;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #writer: FrameWriter<SourceFrame>;
  readonly #assembler: Assembler;
  #events: OutletEvents | undefined;
  #isClosed = false;

  constructor(
    options: { peer: MemberId; channel: Channel; hello: Hello; limits: TransportLimits },
    dependencies: { call: ServerCall; socket: Socket; clock: Clock },
  ) {
    const { limits, channel } = options;
    const { call } = dependencies;
    this.peer = options.peer;
    this.channel = channel;
    this.#call = call;
    this.#socket = dependencies.socket;
    this.#clock = dependencies.clock;
    this.#assembler = new Assembler(limits.messageBytesMax);
    const queueBytesMax =
      channel === 'control' ? limits.controlQueueBytesMax : limits.bulkQueueBytesMax;
    this.#writer = new FrameWriter<SourceFrame>(queueBytesMax, {
      write: (frame, done) => call.write(frame, done),
      frameOf,
      begun: (requestId) => this.#events?.begun(requestId),
    });
    call.write({ body: 'hello', hello: options.hello });
  }

  /** Begins to read, and to tell. */
  start(events: OutletEvents): void {
    assert(this.#events === undefined, 'an outlet starts once');
    this.#events = events;
    const call = this.#call;
    call.on('drain', () => this.#writer.drained());
    call.on('data', (frame) => this.#receive(frame));
    call.on('end', () => this.close(new ClusterError('DISCONNECTED', 'ended by the peer')));
    const broken = (): void =>
      this.close(new ClusterError('DISCONNECTED', 'the connection to the peer broke'));
    call.on('cancelled', broken);
    // HTTP/2 does not tell of a reset while it waits to write; the socket does.
    this.#socket.once('close', broken);
    if (call.cancelled || this.#socket.destroyed) broken();
  }

  /** False when the queue has no room or the connection is gone. */
  send(payload: Uint8Array): boolean {
    return this.#writer.send({ payload, requestId: 0 });
  }

  request(requestId: number, payload: Uint8Array): boolean {
    return this.#writer.send({ payload, requestId });
  }

  /** True when the request will not leave. */
  withdraw(requestId: number): boolean {
    return this.#writer.withdraw(requestId);
  }

  /** Ends the stream with a status and cuts the connection soon after; `closed` is told, the first time. */
  close(reason: ClusterError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#writer.close();
    refuse(this.#call, reason);
    cutSoon(this.#socket, this.#clock);
    this.#events?.closed(reason);
  }

  #receive(frame: SinkFrame | Malformed): void {
    if (this.#isClosed) return;
    if (frame.body === 'ping') this.#writer.sendUrgent({ body: 'pong', pong: frame.ping });
    else if (frame.body === 'response')
      this.#events?.response(frame.response.requestId, frame.response);
    else if (frame.body === 'chunk') this.#assemble(frame.chunk);
    else this.close(new ClusterError('MALFORMED', 'the peer sent a frame that no member sends'));
  }

  #assemble(chunk: Parameters<Assembler['accept']>[0]): void {
    try {
      const whole = this.#assembler.accept(chunk);
      if (whole === undefined) return;
      const { requestId, payload } = whole;
      this.#events?.response(requestId, { result: 'payload', payload });
    } catch (thrown) {
      if (!(thrown instanceof ClusterError)) throw thrown;
      this.close(thrown);
    }
  }
}

/** Messages and requests leave through an outlet. */
function frameOf(piece: Piece): SourceFrame {
  if (piece.kind === 'chunk') return { body: 'chunk', chunk: piece };
  if (piece.kind === 'messages') return { body: 'messages', messages: piece };
  const { requestId, payload } = piece;
  return { body: 'request', request: { requestId, payload } };
}
