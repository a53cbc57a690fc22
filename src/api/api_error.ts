import { Metadata, status } from '@grpc/grpc-js';
import { CodedError } from '../lib/error.ts';
import { encodeStatusDetails } from '../lib/status_details.ts';
import { NodeError, type NodeErrorCode } from '../types/node_error.ts';

type ApiErrorCode =
  // A request that no state of the chain could answer.
  | 'INVALID_REQUEST'
  | 'PERMISSION_DENIED'
  // Limits of this listener.
  | 'TOO_MANY_CALLS'
  | 'TOO_MANY_SUBSCRIPTIONS'
  | 'SUBSCRIBER_TOO_SLOW'
  // A defect of ours.
  | 'INTERNAL';

/** What a face itself answers with, beside the errors of the backend. */
export class ApiError extends CodedError<ApiErrorCode> {}

type ErrorCode = NodeErrorCode | ApiErrorCode;

/** Why something was not done: a NodeError, an ApiError or a refusal. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** The one place where a failure gets its gRPC status. The code itself is the reason of the ErrorInfo. */
const STATUS_CODES: Readonly<Record<ErrorCode, status>> = {
  MALFORMED_TRANSACTION: status.INVALID_ARGUMENT,
  UNSUPPORTED_TRANSACTION_TYPE: status.INVALID_ARGUMENT,
  TRANSACTION_TOO_LARGE: status.INVALID_ARGUMENT,
  WRONG_CHAIN_ID: status.INVALID_ARGUMENT,
  INVALID_SIGNATURE: status.INVALID_ARGUMENT,
  GAS_LIMIT_TOO_LOW: status.INVALID_ARGUMENT,
  GAS_LIMIT_TOO_HIGH: status.INVALID_ARGUMENT,
  FEE_INVALID: status.INVALID_ARGUMENT,
  INVALID_REQUEST: status.INVALID_ARGUMENT,
  NONCE_TOO_LOW: status.FAILED_PRECONDITION,
  NONCE_TOO_FAR: status.FAILED_PRECONDITION,
  INSUFFICIENT_FUNDS: status.FAILED_PRECONDITION,
  FEE_TOO_LOW: status.FAILED_PRECONDITION,
  REPLACEMENT_UNDERPRICED: status.FAILED_PRECONDITION,
  EXECUTION_FAILED: status.FAILED_PRECONDITION,
  NOT_LEADER: status.FAILED_PRECONDITION,
  MEMPOOL_FULL: status.RESOURCE_EXHAUSTED,
  SENDER_LIMIT_REACHED: status.RESOURCE_EXHAUSTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  TOO_MANY_CALLS: status.RESOURCE_EXHAUSTED,
  TOO_MANY_SUBSCRIPTIONS: status.RESOURCE_EXHAUSTED,
  SUBSCRIBER_TOO_SLOW: status.RESOURCE_EXHAUSTED,
  NOT_ADMITTED: status.UNAVAILABLE,
  OUTCOME_UNKNOWN: status.UNAVAILABLE,
  NO_LEADER: status.UNAVAILABLE,
  FENCED: status.UNAVAILABLE,
  NOT_READY: status.UNAVAILABLE,
  STOPPING: status.UNAVAILABLE,
  BLOCK_NOT_FOUND: status.NOT_FOUND,
  TRANSACTION_NOT_FOUND: status.NOT_FOUND,
  RECEIPT_NOT_FOUND: status.NOT_FOUND,
  UNKNOWN_MEMBER: status.NOT_FOUND,
  TRANSFER_FAILED: status.ABORTED,
  CHANGE_PENDING: status.ABORTED,
  ALREADY_A_VOTER: status.ALREADY_EXISTS,
  ID_USED_BEFORE: status.ALREADY_EXISTS,
  ADDRESS_IN_USE: status.ALREADY_EXISTS,
  LAST_VOTER: status.FAILED_PRECONDITION,
  TOO_MANY_MEMBERS: status.FAILED_PRECONDITION,
  NOT_CAUGHT_UP: status.FAILED_PRECONDITION,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  INTERNAL: status.INTERNAL,
};

const DOMAIN = 'blockraft';

/** What grpc-js takes to end a call with an error. */
export interface ErrorStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** A refusal as messages carry it: the content of the status that a call of its own would get. */
export interface WireRefusal {
  readonly code: status;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Anything thrown as a failure; what is none of ours is a defect, of which clients learn nothing more. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof NodeError || thrown instanceof ApiError) return thrown;
  return new ApiError('INTERNAL', 'this member failed; its log says why', { cause: thrown });
}

export function wireRefusal(failure: Failure): WireRefusal {
  const metadata: Record<string, string> = {};
  for (const key of Object.keys(failure.fields)) metadata[key] = String(failure.fields[key]);
  return {
    code: STATUS_CODES[failure.code],
    reason: failure.code,
    message: messageFor(failure),
    metadata,
  };
}

export function errorStatus(failure: Failure): ErrorStatus {
  const refusal = wireRefusal(failure);
  const metadata = new Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(encodeStatusDetails({ ...refusal, domain: DOMAIN })),
  );
  return { code: refusal.code, details: refusal.message, metadata };
}

function messageFor(failure: Failure): string {
  if (failure.code === 'NOT_ADMITTED') return `not admitted: ${failure.message}; safe to retry`;
  if (failure.code === 'OUTCOME_UNKNOWN')
    return `outcome unknown: ${failure.message}; asking for the same again is harmless`;
  return failure.message;
}
