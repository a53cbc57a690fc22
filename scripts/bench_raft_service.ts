import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { RaftDriver } from '../src/driver/raft_driver.ts';
import { encodePairs, type PairStore } from './bench_raft_store.ts';
import type { WaitingProposals } from './bench_raft_waiting.ts';
import {
  loadServices,
  type Pair,
  type PutBatchRequest,
  type PutBatchResponse,
  type RangeRequest,
  type RangeResponse,
  type StatusResponse,
} from './bench_raft_wire.ts';

interface Parts {
  readonly driver: RaftDriver;
  readonly store: PairStore;
  readonly proposals: WaitingProposals;
}

interface UnaryCall<Request> {
  readonly request: Request;
}

const REQUESTS_PER_CONNECTION_MAX = 4096;

/** The member's API: Put of etcd's KV and our own stream of batches. Only a leader takes either. */
export async function startService(port: number, parts: Parts): Promise<Server> {
  const services = loadServices();
  const server = new Server({
    'grpc.max_concurrent_streams': REQUESTS_PER_CONNECTION_MAX,
    'grpc.enable_channelz': 0,
  });
  server.addService(services.kv, {
    Put: (call: UnaryCall<Pair>, answer: sendUnaryData<object>) => put(parts, call, answer),
    Range: (call: UnaryCall<RangeRequest>, answer: sendUnaryData<RangeResponse>) =>
      range(parts, call, answer),
  });
  server.addService(services.maintenance, {
    Status: (_call: UnaryCall<object>, answer: sendUnaryData<StatusResponse>) =>
      answer(null, statusOf(parts)),
  });
  server.addService(services.batches, {
    PutBatches: (call: ServerDuplexStream<PutBatchRequest, PutBatchResponse>) =>
      putBatches(parts, call),
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return server;
}

function put(
  { driver, proposals }: Parts,
  { request }: UnaryCall<Pair>,
  answer: sendUnaryData<object>,
): void {
  proposals.propose(driver, encodePairs([request]), (refusal) => {
    if (refusal === undefined) answer(null, {});
    else answer(failure(status.UNAVAILABLE, refusal));
  });
}

function range(
  { store }: Parts,
  { request }: UnaryCall<RangeRequest>,
  answer: sendUnaryData<RangeResponse>,
): void {
  if (!request.serializable) {
    answer(failure(status.UNIMPLEMENTED, 'only serializable ranges are served here'));
    return;
  }
  store.range(request).then(
    (response) => answer(null, response),
    (thrown) => answer(failure(status.INTERNAL, String(thrown))),
  );
}

function statusOf({ driver, store }: Parts): StatusResponse {
  const { id, term, leader } = driver.status();
  return {
    header: { memberId: String(id), raftTerm: String(term) },
    leader: String(leader ?? 0),
    raftAppliedIndex: String(store.appliedIndex),
  };
}

function putBatches(
  { driver, proposals }: Parts,
  call: ServerDuplexStream<PutBatchRequest, PutBatchResponse>,
): void {
  call.on('data', ({ id, pairs }: PutBatchRequest) => {
    proposals.propose(driver, encodePairs(pairs), (refusal) => {
      call.write({ id, refusal: refusal ?? '' });
    });
  });
  call.on('end', () => call.end());
  call.on('error', () => undefined);
}

function failure(code: status, details: string): Partial<ServiceError> {
  return { code, details };
}
