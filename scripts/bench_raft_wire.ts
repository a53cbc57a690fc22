import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type Options } from '@grpc/proto-loader';

const LOADER_OPTIONS: Options = {
  includeDirs: [fileURLToPath(new URL('.', import.meta.url))],
  // Member ids of etcd take all 64 bits.
  longs: String,
  defaults: true,
};

export interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface RangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit: number | string;
  readonly serializable: boolean;
}

export interface RangeResponse {
  readonly kvs: readonly Pair[];
  readonly more: boolean;
}

export interface StatusResponse {
  readonly header: { readonly memberId: string; readonly raftTerm: string } | null;
  readonly leader: string;
  readonly raftAppliedIndex: string;
}

export interface PutBatchRequest {
  readonly id: string | number;
  readonly pairs: readonly Pair[];
}

export interface PutBatchResponse {
  readonly id: string | number;
  readonly refusal: string;
}

/** The services of both proto files beside this one. */
export interface BenchServices {
  readonly kv: ServiceDefinition & {
    readonly Put: MethodDefinition<Pair, object>;
    readonly Range: MethodDefinition<RangeRequest, RangeResponse>;
  };
  readonly maintenance: ServiceDefinition & {
    readonly Status: MethodDefinition<object, StatusResponse>;
  };
  readonly batches: ServiceDefinition & {
    readonly PutBatches: MethodDefinition<PutBatchRequest, PutBatchResponse>;
  };
}

export function loadServices(): BenchServices {
  const etcd = loadSync('bench_raft_etcd.proto', LOADER_OPTIONS);
  const own = loadSync('bench_raft_kv.proto', LOADER_OPTIONS);
  return {
    kv: etcd['etcdserverpb.KV'],
    maintenance: etcd['etcdserverpb.Maintenance'],
    batches: own['blockraft.bench.v1.Kv'],
  } as unknown as BenchServices;
}
