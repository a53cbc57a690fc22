import {
  type ChannelCredentials,
  Client,
  credentials,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { LOADER_OPTIONS, loadAdminProto, loadNodeProto } from '../../src/api/proto.ts';
import { decodeStatusDetails } from '../../src/lib/status_details.ts';

const CALL_MS_MAX = 30_000;

const SERVICES = {
  Node: () => loadNodeProto()['blockraft.v1.Node'],
  Admin: () => loadAdminProto()['blockraft.v1.Admin'],
  Health: () => loadSync(healthProtoPath, LOADER_OPTIONS)['grpc.health.v1.Health'],
};

export interface RawCall {
  /** `host:port`. */
  readonly address: string;
  /** By default plaintext. */
  readonly credentials?: ChannelCredentials;
  readonly service: keyof typeof SERVICES;
  readonly method: string;
  readonly request?: object;
}

/** One call over a connection of its own; resolves with the first message. Rejects with a grpc-js ServiceError. */
export async function rawCall(call: RawCall): Promise<Record<string, unknown>> {
  const { path, requestSerialize, responseDeserialize, responseStream } = definitionOf(call);
  const client = new Client(call.address, call.credentials ?? credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const request = call.request ?? {};
  const options = { deadline: Date.now() + CALL_MS_MAX };
  try {
    return await new Promise((resolve, reject) => {
      if (responseStream) {
        client
          .makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, options)
          .once('data', resolve)
          .on('error', reject);
        return;
      }
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        options,
        (error: ServiceError | null, response?: object) =>
          error === null ? resolve({ ...response }) : reject(error),
      );
    });
  } finally {
    client.close();
  }
}

/** gRPC status code and reason with which a call is refused; undefined when it is not. */
export async function refusalOf(
  call: RawCall,
): Promise<{ code: number; reason: string | undefined } | undefined> {
  try {
    await rawCall(call);
    return undefined;
  } catch (thrown) {
    const { code, metadata } = thrown as ServiceError;
    const [bytes] = metadata.get('grpc-status-details-bin');
    const details = bytes instanceof Uint8Array ? decodeStatusDetails(bytes) : undefined;
    return { code, reason: details?.reason };
  }
}

function definitionOf(call: RawCall): MethodDefinition<object, object> {
  const service = SERVICES[call.service]() as ServiceDefinition;
  const definition = service[call.method];
  if (definition === undefined) throw new Error(`${call.service} has no method ${call.method}`);
  return definition as MethodDefinition<object, object>;
}
