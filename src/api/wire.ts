/** Requests as the loader decodes them (LOADER_OPTIONS): every field is there, bytes are empty when absent. */

type EnumValue = string | number;

export interface SubmitTransactionRequest {
  readonly transaction: Uint8Array;
  readonly wait: EnumValue;
}

export interface SubmitTransactionsRequest {
  readonly id: number;
  readonly transactions: readonly Uint8Array[];
  readonly wait: EnumValue;
}

export interface AddressRequest {
  readonly address: Uint8Array;
  readonly consistency: EnumValue;
}

export interface GetStorageRequest extends AddressRequest {
  readonly slot: Uint8Array;
}

export interface GetProofRequest extends AddressRequest {
  readonly slots: readonly Uint8Array[];
}

export interface GetBlockRequest {
  /** Which of the two below is set. */
  readonly block?: 'height' | 'blockId';
  readonly height?: number;
  readonly blockId?: Uint8Array;
  readonly detail: EnumValue;
  readonly consistency: EnumValue;
}

export interface HashRequest {
  readonly hash: Uint8Array;
  readonly consistency: EnumValue;
}

export interface ListBlocksRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly fromHeight: number;
  readonly detail: EnumValue;
  readonly consistency: EnumValue;
}

export interface MessageRequest {
  readonly message: WireCallMessage | null;
  readonly consistency: EnumValue;
}

export interface WireCallMessage {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly value: Uint8Array;
  readonly data: Uint8Array;
  readonly gasLimit: number;
}

export interface SubscribeBlocksRequest {
  readonly fromHeight: number;
  readonly detail: EnumValue;
}

export interface SubscribeLogsRequest {
  readonly fromHeight: number;
  readonly addresses: readonly Uint8Array[];
  readonly topics: readonly { readonly anyOf: readonly Uint8Array[] }[];
}

export interface TransferLeadershipRequest {
  readonly target: number;
}

export interface WireMemberAddress {
  readonly host: string;
  readonly peerPort: number;
  readonly apiPort: number;
  readonly adminPort: number;
}

export interface AddMemberRequest {
  readonly id: number;
  readonly address: WireMemberAddress | null;
  /** Absent when the request has none. */
  readonly priority?: number;
  readonly promotion: EnumValue;
}

export interface ReplaceMemberRequest extends AddMemberRequest {
  readonly replacedId: number;
}

export interface UpdateMemberRequest {
  readonly id: number;
  readonly address: WireMemberAddress | null;
  readonly priority?: number;
}

export interface MemberIdRequest {
  readonly id: number;
}
