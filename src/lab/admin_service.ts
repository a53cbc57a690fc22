import { fileURLToPath } from 'node:url';
import {
  type ChannelCredentials,
  Client,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../lib/assert.ts';
import { clientErrorFrom } from './client_error.ts';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto/', import.meta.url));

// Messages of proto/blockraft/v1/admin.proto as they are on this side of the wire: enums are their names, numbers
// stay below 2^53.

export interface MembersMessage {
  readonly clusterId: string;
  /** Who answered. */
  readonly memberId: number;
  readonly term: number;
  /** 0 when unknown. */
  readonly leaderId: number;
  readonly configurationIndex: number;
  readonly configurationCommitted: boolean;
  readonly joint: boolean;
  readonly recoveries: number;
  readonly highestId: number;
  readonly commitIndex: number;
  readonly lastIndex: number;
  /** Ascending by id. */
  readonly members: readonly MemberMessage[];
}

export interface MemberMessage {
  readonly id: number;
  readonly host: string;
  readonly peerPort: number;
  readonly apiPort: number;
  readonly adminPort: number;
  readonly priority: number;
  readonly connected: boolean;
  readonly membership: `MEMBERSHIP_${'UNSPECIFIED' | 'VOTER' | 'LEARNER' | 'LEAVING'}`;
  readonly promotion: PromotionName;
  /** 0 when it replaces nobody. */
  readonly replaces: number;
  /** Absent where it is not known. */
  readonly matchIndex?: number;
  readonly replicationState: `REPLICATION_STATE_${
    | 'UNSPECIFIED'
    | 'PROBE'
    | 'REPLICATE'
    | 'SNAPSHOT'}`;
  readonly snapshotPercent?: number;
}

export type PromotionName = `PROMOTION_${'UNSPECIFIED' | 'AUTOMATIC' | 'MANUAL'}`;

export interface AddressMessage {
  readonly host: string;
  readonly peerPort: number;
  readonly apiPort: number;
  readonly adminPort: number;
}

interface Addition {
  readonly id: number;
  readonly address: AddressMessage;
  readonly priority?: number | undefined;
  readonly promotion: PromotionName;
}

interface Changed {
  readonly configurationIndex: number;
}

/** Request and response of each method. */
export interface AdminMethods {
  ListMembers: { request: Record<string, never>; response: MembersMessage };
  TransferLeadership: {
    request: { readonly target: number };
    response: { readonly leaderId: number; readonly term: number };
  };
  AddMember: { request: Addition; response: Changed };
  ReplaceMember: { request: Addition & { readonly replacedId: number }; response: Changed };
  PromoteMember: { request: { readonly id: number }; response: Changed };
  RemoveMember: { request: { readonly id: number }; response: Changed };
  UpdateMember: {
    request: {
      readonly id: number;
      readonly address?: AddressMessage | undefined;
      readonly priority?: number | undefined;
    };
    response: Changed;
  };
}

export type AdminMethod = keyof AdminMethods;

/** A channel to the service Admin of one member. */
export class AdminConnection {
  readonly #address: string;
  readonly #client: Client;

  /** @param address `host:port` of the member's service Admin */
  constructor(address: string, credentials: ChannelCredentials) {
    this.#address = address;
    this.#client = new Client(address, credentials, { 'grpc.use_local_subchannel_pool': 1 });
  }

  /** One call. Rejects with a ClientError. */
  call<Method extends AdminMethod>(
    method: Method,
    request: AdminMethods[Method]['request'],
    deadlineMs: number,
  ): Promise<AdminMethods[Method]['response']> {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => AdminMethods[Method]['response'],
        request,
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, response?: AdminMethods[Method]['response']) => {
          if (error !== null) reject(clientErrorFrom(error, this.#address));
          else resolve(response as AdminMethods[Method]['response']);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

let definitions: ServiceDefinition | undefined;

function definitionOf(method: string): MethodDefinition<object, object> {
  definitions ??= loadSync('blockraft/v1/admin.proto', {
    includeDirs: [PROTO_FOLDER],
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  })['blockraft.v1.Admin'] as ServiceDefinition;
  const definition = definitions[method];
  assert(definition !== undefined, `service Admin has no method ${method}`);
  return definition as MethodDefinition<object, object>;
}
