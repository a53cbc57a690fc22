import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../lib/assert.ts';
import { FRAME_BYTES_MAX } from './limits.ts';

/** Rises when frames change their meaning; members of different versions do not talk. */
export const PROTOCOL_VERSION = 1;

/** Small urgent messages, and everything else. */
export type Channel = 'control' | 'bulk';

export const CHANNELS: readonly Channel[] = ['control', 'bulk'];

/** As in the enum of the proto. */
export const CHANNEL_NUMBERS: Record<Channel, number> = { control: 1, bulk: 2 };

export interface Hello {
  readonly protocolVersion: number;
  readonly clusterId: string;
  readonly genesisHash: Uint8Array;
  readonly memberId: number;
  readonly incarnation: number;
  /** A number of CHANNEL_NUMBERS. */
  readonly channel: number;
}

export interface Chunk {
  /** 0 for a message. */
  readonly requestId: number;
  /** Of the whole payload in its first chunk, 0 in the others. */
  readonly totalBytes: number;
  readonly data: Uint8Array;
}

export interface Failure {
  readonly notHandled: boolean;
  readonly message: string;
}

export type RequestResult =
  | { readonly result: 'payload'; readonly payload: Uint8Array }
  | { readonly result: 'failure'; readonly failure: Failure };

/** What the member that receives may say (ReceiveRequest). */
export type SinkFrame =
  | { readonly body: 'hello'; readonly hello: Hello }
  | { readonly body: 'ping'; readonly ping: { readonly number: number } }
  | {
      readonly body: 'response';
      readonly response: { readonly requestId: number } & RequestResult;
    }
  | { readonly body: 'chunk'; readonly chunk: Chunk };

/** What the member that sends may say (ReceiveResponse). */
export type SourceFrame =
  | { readonly body: 'hello'; readonly hello: Hello }
  | { readonly body: 'pong'; readonly pong: { readonly number: number } }
  | { readonly body: 'messages'; readonly messages: { readonly payloads: readonly Uint8Array[] } }
  | {
      readonly body: 'request';
      readonly request: { readonly requestId: number; readonly payload: Uint8Array };
    }
  | { readonly body: 'chunk'; readonly chunk: Chunk };

/** Bytes that are no frame, too many of them, or a frame without a body that is known here. */
const MALFORMED = { body: 'malformed' } as const;
export type Malformed = typeof MALFORMED;

/** The one method of the service, with codecs that answer MALFORMED where others would throw. */
export type ReceiveMethod = MethodDefinition<SinkFrame, SourceFrame | Malformed> & {
  readonly requestDeserialize: (bytes: Buffer) => SinkFrame | Malformed;
  readonly responseSerialize: (frame: SourceFrame) => Buffer;
};

/** Reads the proto file and makes the method of it. */
export function loadReceiveMethod(): ReceiveMethod {
  const includeFolder = fileURLToPath(new URL('../../proto', import.meta.url));
  const definitions = loadSync('blockraft/v1/cluster.proto', {
    includeDirs: [includeFolder],
    longs: Number,
    defaults: true,
    oneofs: true,
  });
  const service = definitions['blockraft.v1.Cluster'] as ServiceDefinition | undefined;
  const receive = service?.Receive;
  assert(receive !== undefined, 'cluster.proto defines Cluster.Receive');
  return {
    ...receive,
    requestDeserialize: orMalformed<SinkFrame>(receive.requestDeserialize),
    responseDeserialize: orMalformed<SourceFrame>(receive.responseDeserialize),
  } as ReceiveMethod;
}

function orMalformed<Frame extends { body: string }>(
  deserialize: (bytes: Buffer) => unknown,
): (bytes: Buffer) => Frame | Malformed {
  return (bytes) => {
    if (bytes.length > FRAME_BYTES_MAX) return MALFORMED;
    try {
      const frame = deserialize(bytes) as Frame | { body: undefined };
      return frame.body === undefined ? MALFORMED : frame;
    } catch {
      return MALFORMED;
    }
  };
}
