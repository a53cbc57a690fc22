import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import {
  type BenchServices,
  loadServices,
  type Pair,
  type RangeResponse,
  type StatusResponse,
} from './bench_raft_wire.ts';

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const RECONNECT_MS_MIN = 10;
const RECONNECT_MS_MAX = 50;

const services: BenchServices = loadServices();

/** One connection to one member of either system. */
export class Connection {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': ANSWER_BYTES_MAX,
      // A killed member is back soon.
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS_MIN,
      'grpc.min_reconnect_backoff_ms': RECONNECT_MS_MIN,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
    });
  }

  /** Calls back with an error, or with null once the pair is committed. Waits without limit by default. */
  put(pair: Pair, done: (error: ServiceError | null) => void, timeoutMs?: number): void {
    const { path, requestSerialize, responseDeserialize } = services.kv.Put;
    const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, pair, options, done);
  }

  /** The stream of batches, which members of ours offer. */
  putBatches() {
    const { path, requestSerialize, responseDeserialize } = services.batches.PutBatches;
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  }

  /** Undefined when the member does not answer in time. */
  status(timeoutMs: number): Promise<StatusResponse | undefined> {
    const { path, requestSerialize, responseDeserialize } = services.maintenance.Status;
    const options = { deadline: Date.now() + timeoutMs };
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        {},
        options,
        (error, response) => resolve(error === null ? response : undefined),
      );
    });
  }

  /** What the asked member itself has applied, from one key on and below another. */
  range(key: Uint8Array, rangeEnd: Uint8Array, limit: number): Promise<RangeResponse> {
    const { path, requestSerialize, responseDeserialize } = services.kv.Range;
    const request = { key, rangeEnd, limit, serializable: true };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        (error, response) => {
          if (response !== undefined && error === null) resolve(response);
          else reject(error);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}
