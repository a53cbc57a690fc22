import { fileURLToPath } from 'node:url';
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../lib/assert.ts';
import { clientErrorFrom } from './client_error.ts';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto/', import.meta.url));
/** Bytes of one answer, at most: a page of blocks is well below. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const RECONNECT_BACKOFF_MS_MIN = 50;
const RECONNECT_BACKOFF_MS_MAX = 500;

// Messages of proto/blockraft/v1/node.proto as they are on this side of the wire: 64-bit numbers are
// decimal text, enums their names, absent messages null, absent members of a oneof undefined.

export type WaitLevel = 'WAIT_LEVEL_ADMITTED' | 'WAIT_LEVEL_COMMITTED';
export type Consistency = 'CONSISTENCY_LINEARIZABLE' | 'CONSISTENCY_LOCAL';
export type TransactionDetail = 'TRANSACTION_DETAIL_HASHES' | 'TRANSACTION_DETAIL_FULL';
export type TransactionStateName = `TRANSACTION_STATE_${
  | 'PENDING'
  | 'INCLUDED'
  | 'REPLACED'
  | 'EXPIRED'
  | 'INVALIDATED'}`;

export interface InclusionMessage {
  readonly height: string;
  readonly index: number;
}

export interface SubmissionMessage {
  readonly hash: Buffer;
  readonly state: TransactionStateName;
  readonly alreadyKnown: boolean;
  readonly inclusion: InclusionMessage | null;
  readonly replacedBy: Buffer;
}

export interface RefusalMessage {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface SubmitTransactionsRequest {
  readonly id: number;
  readonly transactions: readonly Uint8Array[];
  readonly wait: WaitLevel;
}

export interface SubmitTransactionsResponse {
  readonly id: number;
  readonly results: readonly {
    readonly submission?: SubmissionMessage;
    readonly refusal?: RefusalMessage;
  }[];
  readonly refusal: RefusalMessage | null;
}

export interface CommitMessage {
  readonly height: string;
  readonly round: number;
  readonly blockId: Buffer;
  readonly signers: Buffer;
  readonly signature: Buffer;
}

export interface BlockMessage {
  readonly blockId: Buffer;
  readonly encodedHeader: Buffer;
  readonly commit: CommitMessage | null;
  readonly transactionHashes: readonly Buffer[];
  readonly transactions: readonly Buffer[];
}

export interface ReceiptMessage {
  readonly transactionHash: Buffer;
  readonly inclusion: InclusionMessage | null;
  readonly type: number;
  readonly succeeded: boolean;
  readonly gasUsed: string;
  readonly cumulativeGasUsed: string;
  readonly effectiveGasPrice: Buffer;
  readonly contractAddress: Buffer;
  readonly blockId: Buffer;
  readonly logs: readonly {
    readonly address: Buffer;
    readonly topics: readonly Buffer[];
    readonly data: Buffer;
    readonly logIndex: number;
  }[];
}

export interface StatusMessage {
  readonly clusterId: string;
  readonly chainId: string;
  readonly genesisHash: Buffer;
  readonly memberId: number;
  readonly role: `MEMBER_ROLE_${'UNSPECIFIED' | 'FOLLOWER' | 'CANDIDATE' | 'LEADER'}`;
  readonly term: string;
  readonly leaderId: number;
  readonly commitIndex: string;
  readonly appliedIndex: string;
  readonly height: string;
  readonly stateRoot: Buffer;
  readonly stateRootHeight: string;
  readonly members: readonly {
    readonly id: number;
    readonly host: string;
    readonly apiPort: number;
    readonly connected: boolean;
    readonly lagEntries?: string;
  }[];
  readonly mempoolSize: string;
  readonly fencedReason: string;
  readonly ready: boolean;
  readonly pid: number;
  readonly version: string;
}

export interface ProofMessage {
  readonly height: string;
  readonly stateRoot: Buffer;
  readonly headerHeight?: string;
  readonly nonce: string;
  readonly balance: Buffer;
  readonly codeHash: Buffer;
  readonly storageRoot: Buffer;
  readonly accountProof: readonly Buffer[];
  readonly storageProofs: readonly {
    readonly slot: Buffer;
    readonly value: Buffer;
    readonly proof: readonly Buffer[];
  }[];
}

export interface CallMessage {
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  readonly value?: Uint8Array;
  readonly data?: Uint8Array;
}

interface Read {
  readonly consistency?: Consistency;
}

/** Request and response of each unary method. */
export interface NodeMethods {
  SubmitTransaction: {
    request: { readonly transaction: Uint8Array; readonly wait: WaitLevel };
    response: { readonly submission: SubmissionMessage };
  };
  GetAccount: {
    request: Read & { readonly address: Uint8Array };
    response: {
      readonly height: string;
      readonly nonce: string;
      readonly balance: Buffer;
      readonly codeHash: Buffer;
      readonly pendingNonce: string;
    };
  };
  GetCode: {
    request: Read & { readonly address: Uint8Array };
    response: { readonly height: string; readonly code: Buffer; readonly codeHash: Buffer };
  };
  GetStorage: {
    request: Read & { readonly address: Uint8Array; readonly slot: Uint8Array };
    response: { readonly height: string; readonly value: Buffer };
  };
  GetProof: {
    request: Read & { readonly address: Uint8Array; readonly slots: readonly Uint8Array[] };
    response: ProofMessage;
  };
  GetBlock: {
    request: Read & {
      readonly height?: number;
      readonly blockId?: Uint8Array;
      readonly detail?: TransactionDetail;
    };
    response: { readonly height: string; readonly block: BlockMessage };
  };
  GetTransaction: {
    request: Read & { readonly hash: Uint8Array };
    response: {
      readonly height: string;
      readonly hash: Buffer;
      readonly state: TransactionStateName;
      readonly transaction: Buffer;
      readonly inclusion: InclusionMessage | null;
      readonly replacedBy: Buffer;
    };
  };
  GetReceipt: {
    request: Read & { readonly hash: Uint8Array };
    response: { readonly height: string; readonly receipt: ReceiptMessage };
  };
  ListBlocks: {
    request: Read & {
      readonly pageSize?: number;
      readonly pageToken?: string;
      readonly fromHeight?: number;
      readonly detail?: TransactionDetail;
    };
    response: {
      readonly height: string;
      readonly blocks: readonly BlockMessage[];
      readonly nextPageToken: string;
    };
  };
  Call: {
    request: Read & { readonly message: CallMessage };
    response: {
      readonly height: string;
      readonly succeeded: boolean;
      readonly returnData: Buffer;
      readonly gasUsed: string;
      readonly failure: string;
    };
  };
  EstimateGas: {
    request: Read & { readonly message: CallMessage };
    response: { readonly height: string; readonly gas: string };
  };
  GetStatus: { request: Record<string, never>; response: StatusMessage };
}

export type NodeMethod = keyof NodeMethods;

export type SubmitCall = ClientDuplexStream<SubmitTransactionsRequest, SubmitTransactionsResponse>;

/** A channel to one member. */
export class MemberConnection {
  readonly address: string;
  readonly #client: Client;

  /** @param address `host:port` of the member's service Node */
  constructor(address: string, credentials: ChannelCredentials) {
    this.address = address;
    this.#client = new Client(address, credentials, {
      // A client of its own learns by itself which members are gone, and does not wait long to try again.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF_MS_MIN,
      'grpc.min_reconnect_backoff_ms': RECONNECT_BACKOFF_MS_MIN,
      'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF_MS_MAX,
      'grpc.max_receive_message_length': ANSWER_BYTES_MAX,
    });
  }

  /** One unary call. Rejects with a ClientError. */
  call<Method extends NodeMethod>(
    method: Method,
    request: NodeMethods[Method]['request'],
    deadlineMs: number,
  ): Promise<NodeMethods[Method]['response']> {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => NodeMethods[Method]['response'],
        request,
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, response?: NodeMethods[Method]['response']) => {
          if (error !== null) reject(clientErrorFrom(error, this.address));
          else resolve(response as NodeMethods[Method]['response']);
        },
      );
    });
  }

  /** Opens the stream SubmitTransactions; the caller watches whether answers come. */
  submitTransactions(): SubmitCall {
    const { path, requestSerialize, responseDeserialize } = definitionOf('SubmitTransactions');
    return this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => SubmitTransactionsResponse,
    );
  }

  close(): void {
    this.#client.close();
  }
}

let definitions: ServiceDefinition | undefined;

function definitionOf(method: string): MethodDefinition<object, object> {
  definitions ??= loadSync('blockraft/v1/node.proto', {
    includeDirs: [PROTO_FOLDER],
    longs: String,
    enums: String,
    defaults: true,
  })['blockraft.v1.Node'] as ServiceDefinition;
  const definition = definitions[method];
  assert(definition !== undefined, `service Node has no method ${method}`);
  return definition as MethodDefinition<object, object>;
}
