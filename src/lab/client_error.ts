import { type ServiceError, status } from '@grpc/grpc-js';
import { CodedError } from '../lib/error.ts';
import { decodeStatusDetails } from '../lib/status_details.ts';

/**
 * REFUSED: the cluster answered and said no, `reason` says why; OUTCOME_UNKNOWN: it may or may not have
 * happened, the same bytes may be sent again; UNREACHABLE: no member answered in time; CLOSED: by the caller.
 */
export type ClientErrorCode = 'REFUSED' | 'OUTCOME_UNKNOWN' | 'UNREACHABLE' | 'CLOSED';

export class ClientError extends CodedError<ClientErrorCode> {
  /** UPPER_SNAKE reason of the ErrorInfo; empty when the answer had none. */
  readonly reason: string;
  /** Name of the gRPC status, for example `INVALID_ARGUMENT`. */
  readonly status: string;

  constructor(
    code: ClientErrorCode,
    message: string,
    details: {
      reason?: string;
      /** A google.rpc.Code. */
      status?: number;
      metadata?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    super(code, message, { fields: { ...details.metadata }, cause: details.cause });
    this.reason = details.reason ?? '';
    this.status = status[details.status ?? status.UNKNOWN] ?? 'UNKNOWN';
  }
}

/** Reasons that belong to the state of a member or of the cluster, not to the request: they pass. */
const PASSING_REASONS = new Set([
  'NO_LEADER',
  'NOT_READY',
  'FENCED',
  'OVERLOADED',
  'TOO_MANY_CALLS',
  'STOPPING',
  'NOT_ADMITTED',
  'OUTCOME_UNKNOWN',
]);

/** Whether the same request may succeed elsewhere or a moment later. */
export function isPassing(error: ClientError): boolean {
  if (error.code === 'UNREACHABLE' || error.code === 'OUTCOME_UNKNOWN') return true;
  return error.code === 'REFUSED' && isPassingReason(error.reason);
}

export function isPassingReason(reason: string): boolean {
  return PASSING_REASONS.has(reason);
}

/** What a failed call means to a client. */
export function clientErrorFrom(error: ServiceError, address: string): ClientError {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const info = bytes instanceof Buffer ? decodeStatusDetails(bytes) : undefined;
  const details = {
    status: error.code,
    reason: info?.reason ?? '',
    metadata: { address, ...info?.metadata },
    cause: error,
  };
  // The gRPC library ends some of its own details with an empty note.
  const text = (error.details || error.message).replace(/ Resolution note: $/, '');
  if (info?.reason === 'OUTCOME_UNKNOWN') return new ClientError('OUTCOME_UNKNOWN', text, details);
  if (info === undefined && UNREACHABLE_STATUSES.has(error.code))
    return new ClientError(
      'UNREACHABLE',
      `${address} did not answer${whyNot(error, text)}`,
      details,
    );
  return new ClientError('REFUSED', text, details);
}

/** Of a deadline the gRPC library tells how it chose the connection, which is of no use to anybody. */
function whyNot({ code }: ServiceError, text: string): string {
  return code === status.DEADLINE_EXCEEDED ? ' in time' : `: ${text}`;
}

const UNREACHABLE_STATUSES = new Set<number>([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
]);
