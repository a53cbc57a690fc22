import { createSecureContext } from 'node:tls';
import { type ChannelOptions, Client, type ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import type { FollowedTlsFiles } from '../lib/tls_files.ts';
import type { MemberId } from '../types/entry.ts';
import { Assembler } from './assembler.ts';
import { ClusterError } from './cluster_error.ts';
import { Dial } from './dial.ts';
import { FrameWriter } from './frame_writer.ts';
import { helloOf, helloProblem, type Introduction } from './hello.ts';
import { FRAME_BYTES_READ_MAX, type TransportLimits } from './limits.ts';
import { endOf } from './refusal.ts';
import type { Piece } from './send_queue.ts';
import type {
  Channel,
  Hello,
  Malformed,
  ReceiveMethod,
  RequestResult,
  SinkFrame,
  SourceFrame,
} from './wire.ts';

export interface InletOptions {
  readonly peer: MemberId;
  readonly host: string;
  readonly port: number;
  readonly channel: Channel;
  readonly own: Introduction;
  readonly limits: TransportLimits;
}

export interface InletDependencies {
  readonly method: ReceiveMethod;
  readonly certificates: FollowedTlsFiles;
  readonly clock: Clock;
}

/** What a stream tells its owner; after `closed` nothing more. */
export interface InletStreamEvents {
  opened(): void;
  message(payload: Uint8Array): void;
  request(requestId: number, payload: Uint8Array): void;
  closed(reason: ClusterError): void;
}

/** The receiver's window is what bounds throughput over a distance; only the side that dials can widen it. */
const FLOW_CONTROL_WINDOW_BYTES = 4 * 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  // One connection of its own for each channel of each peer, so that nothing queues behind anything else.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_channelz': 0,
  'grpc.max_receive_message_length': FRAME_BYTES_READ_MAX,
  'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
};

/** One connection over which one peer sends to us, from dialling to its end. */
export class InletStream {
  readonly #options: InletOptions;
  readonly #clock: Clock;
  readonly #events: InletStreamEvents;
  readonly #dial: Dial;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<SinkFrame, SourceFrame | Malformed>;
  readonly #writer: FrameWriter<SinkFrame>;
  readonly #assembler: Assembler;
  #phase: 'dialling' | 'open' | 'closed' = 'dialling';
  #cancelTimer: () => void;
  #heardSinceTick = false;
  #ticksMissed = 0;
  #pingNumber = 0;

  constructor(options: InletOptions, dependencies: InletDependencies, events: InletStreamEvents) {
    const { peer, host, port, limits, own, channel } = options;
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#events = events;
    this.#assembler = new Assembler(limits.messageBytesMax);
    this.#dial = new Dial(
      { host, port, peer, clusterId: own.clusterId },
      createSecureContext(dependencies.certificates.parts),
    );
    const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    this.#client = new Client(target, this.#dial, CHANNEL_OPTIONS);
    const { path, requestSerialize, responseDeserialize } = dependencies.method;
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#call = call;
    this.#writer = new FrameWriter(limits.bulkQueueBytesMax, {
      write: (frame, done) => call.write(frame, done),
      frameOf,
      begun: () => undefined,
    });
    call.on('data', (frame) => this.#receive(frame));
    call.on('drain', () => this.#writer.drained());
    // What went wrong comes with the status too, which always follows.
    call.on('error', () => undefined);
    call.on('status', (ended) => this.close(this.#dial.problem ?? endOf(ended)));
    call.write({ body: 'hello', hello: helloOf(own, channel) });
    this.#cancelTimer = this.#clock.schedule(limits.connectTimeoutMsMax, () =>
      this.close(new ClusterError('DISCONNECTED', `no answer from ${target}`)),
    );
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Answers a request that came over this stream; nothing happens when the stream has ended. */
  respond(requestId: number, result: RequestResult): void {
    if (this.#phase !== 'open') return;
    const isSent =
      result.result === 'payload'
        ? this.#writer.send({ requestId, payload: result.payload })
        : this.#writer.send({ requestId, payload: EMPTY, failure: result.failure });
    if (isSent) return;
    this.close(
      new ClusterError('DISCONNECTED', 'the peer does not read the responses it asked for'),
    );
  }

  /** Ends the connection at once; `closed` is told, the first time. */
  close(reason: ClusterError): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#cancelTimer();
    this.#writer.close();
    this.#call.cancel();
    this.#client.close();
    this.#dial.abandon();
    this.#events.closed(reason);
  }

  #receive(frame: SourceFrame | Malformed): void {
    if (this.#phase === 'closed') return;
    this.#heardSinceTick = true;
    if (frame.body === 'hello') this.#open(frame.hello);
    else if (this.#phase === 'dialling' || frame.body === 'malformed')
      this.close(new ClusterError('MALFORMED', 'the peer sent a frame that no member sends'));
    else if (frame.body === 'messages')
      for (const payload of frame.messages.payloads) this.#events.message(payload);
    else if (frame.body === 'request') {
      const { requestId, payload } = frame.request;
      this.#events.request(requestId, payload);
    } else if (frame.body === 'chunk') {
      this.#assemble(frame.chunk);
    }
  }

  #open(hello: Hello): void {
    const { peer, own, channel, limits } = this.#options;
    const problem =
      this.#phase === 'dialling'
        ? helloProblem(hello, { memberId: peer, own, channel })
        : new ClusterError('MALFORMED', 'the peer said hello twice');
    if (problem !== undefined) {
      this.close(problem);
      return;
    }
    this.#cancelTimer();
    this.#phase = 'open';
    // Bulk has no pings: a peer that does not answer those on control loses both.
    if (channel === 'control') this.#scheduleTick(limits.pingIntervalMs);
    this.#events.opened();
  }

  #assemble(chunk: Parameters<Assembler['accept']>[0]): void {
    try {
      const whole = this.#assembler.accept(chunk);
      if (whole === undefined) return;
      if (whole.requestId === 0) this.#events.message(whole.payload);
      else this.#events.request(whole.requestId, whole.payload);
    } catch (thrown) {
      if (!(thrown instanceof ClusterError)) throw thrown;
      this.close(thrown);
    }
  }

  #scheduleTick(intervalMs: number): void {
    this.#cancelTimer = this.#clock.schedule(intervalMs, () => this.#tick(intervalMs));
  }

  /**
   * Ticks are counted, not time: when this process itself was held up, one late tick follows, and what the peer
   * sent meanwhile is read before the next.
   */
  #tick(intervalMs: number): void {
    const wasHeard = this.#heardSinceTick;
    this.#ticksMissed = wasHeard ? 0 : this.#ticksMissed + 1;
    this.#heardSinceTick = false;
    const { pingsMissedMax } = this.#options.limits;
    if (this.#ticksMissed >= pingsMissedMax) {
      this.close(
        new ClusterError('SILENT', `no sign of life for ${pingsMissedMax} × ${intervalMs} ms`),
      );
      return;
    }
    // Whoever speaks of its own accord need not be asked.
    if (!wasHeard) {
      this.#pingNumber += 1;
      this.#writer.sendUrgent({ body: 'ping', ping: { number: this.#pingNumber } });
    }
    this.#scheduleTick(intervalMs);
  }
}

const EMPTY = new Uint8Array(0);

/** Only responses leave through an inlet. */
function frameOf(piece: Piece): SinkFrame {
  if (piece.kind === 'chunk') return { body: 'chunk', chunk: piece };
  if (piece.kind === 'messages') throw new ClusterError('MALFORMED', 'an inlet sends no messages');
  const { requestId, payload, failure } = piece;
  return failure === undefined
    ? { body: 'response', response: { requestId, result: 'payload', payload } }
    : { body: 'response', response: { requestId, result: 'failure', failure } };
}
