import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import type { Clock, Logger } from '../lib/environment.ts';
import type { NodeBackend } from './backend.ts';
import { OpenCalls } from './calls.ts';
import { GrpcListener, type ServerSecurity } from './grpc_listener.ts';
import { listBlocks } from './list_blocks.ts';
import { loadNodeProto } from './proto.ts';
import {
  call,
  estimateGas,
  getAccount,
  getBlock,
  getCode,
  getProof,
  getReceipt,
  getStorage,
  getTransaction,
} from './reads.ts';
import { statusWire, type Wire } from './responses.ts';
import { type SubmissionLimits, SubmissionStream, submitTransaction } from './submission.ts';
import { type SubscriptionLimits, Subscriptions } from './subscriptions.ts';
import type {
  ListBlocksRequest,
  SubmitTransactionRequest,
  SubmitTransactionsRequest,
  SubscribeBlocksRequest,
  SubscribeLogsRequest,
} from './wire.ts';

export interface ApiLimits extends SubmissionLimits, SubscriptionLimits {
  /** Bytes of one request. */
  readonly messageBytesMax: number;
  /** Open calls of all clients together. */
  readonly streamsMax: number;
  /** Blocks of one page. */
  readonly pageSizeMax: number;
}

/** What holds unless the options say otherwise. */
const LIMITS_DEFAULT: ApiLimits = {
  messageBytesMax: 4 * 1024 * 1024,
  streamsMax: 1024,
  pageSizeMax: 1000,
  batchTransactionsMax: 1000,
  unansweredBatchesMax: 32,
  subscriptionsMax: 256,
  subscriberStallMsMax: 10_000,
};

export interface ApiServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** With mutual TLS any certificate of the cluster's CA is let in. */
  readonly security: ServerSecurity;
  /** Those left out have their defaults. */
  readonly limits: Partial<ApiLimits>;
}

/** The face for clients: service Node, health and reflection on one port. */
export class ApiServer {
  readonly #listener: GrpcListener;

  constructor(
    options: ApiServerOptions,
    dependencies: { backend: NodeBackend; logger: Logger; clock: Clock },
  ) {
    const { backend, logger, clock } = dependencies;
    const limits = { ...LIMITS_DEFAULT, ...options.limits };
    const calls = new OpenCalls(limits, { logger });
    this.#listener = new GrpcListener(
      {
        listen: options.listen,
        security: options.security,
        messageBytesMax: limits.messageBytesMax,
      },
      {
        service: {
          name: 'blockraft.v1.Node',
          packageDefinition: loadNodeProto(),
          implementation: nodeService(limits, { backend, calls, clock }),
        },
        backend,
        calls,
        clock,
        logger,
      },
    );
  }

  /** Listens; resolves with the port. Rejects with a ListenerError. */
  start(): Promise<number> {
    return this.#listener.start();
  }

  /** Finishes open calls within a limit, ends streams and closes the port. */
  stop(): Promise<void> {
    return this.#listener.stop();
  }
}

function nodeService(
  limits: ApiLimits,
  dependencies: { backend: NodeBackend; calls: OpenCalls; clock: Clock },
) {
  const { backend, calls } = dependencies;
  const subscriptions = new Subscriptions(limits, dependencies);
  const read = <Request>(
    method: string,
    handle: (backend: NodeBackend, request: Request, signal: AbortSignal) => Promise<Wire>,
  ) => calls.unary<Request>(method, (request, signal) => handle(backend, request, signal));
  return {
    SubmitTransaction: calls.unary<SubmitTransactionRequest>(
      'SubmitTransaction',
      (request, signal) => submitTransaction(backend, request, signal),
    ),
    SubmitTransactions: calls.stream(
      'SubmitTransactions',
      (stream: ServerDuplexStream<SubmitTransactionsRequest, Wire>, signal) =>
        new SubmissionStream(limits, { backend, calls, call: stream, signal }).run(),
    ),
    GetAccount: read('GetAccount', getAccount),
    GetCode: read('GetCode', getCode),
    GetStorage: read('GetStorage', getStorage),
    GetProof: read('GetProof', getProof),
    GetBlock: read('GetBlock', getBlock),
    GetTransaction: read('GetTransaction', getTransaction),
    GetReceipt: read('GetReceipt', getReceipt),
    ListBlocks: calls.unary<ListBlocksRequest>('ListBlocks', (request, signal) =>
      listBlocks(backend, request, { pageSizeMax: limits.pageSizeMax, signal }),
    ),
    Call: read('Call', call),
    EstimateGas: read('EstimateGas', estimateGas),
    SubscribeBlocks: calls.stream(
      'SubscribeBlocks',
      (stream: ServerWritableStream<SubscribeBlocksRequest, Wire>, signal) =>
        subscriptions.blocks(stream, signal),
    ),
    SubscribeLogs: calls.stream(
      'SubscribeLogs',
      (stream: ServerWritableStream<SubscribeLogsRequest, Wire>, signal) =>
        subscriptions.logs(stream, signal),
    ),
    GetStatus: calls.unary<object>('GetStatus', async () => statusWire(backend.status())),
  };
}
