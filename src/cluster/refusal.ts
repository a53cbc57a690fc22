import type { Socket } from 'node:net';
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Clock } from '../lib/environment.ts';
import { ClusterError, type ClusterErrorCode } from './cluster_error.ts';
import { LINGER_MS } from './limits.ts';
import type { ServerCall } from './outlet.ts';

/** Why a peer does not talk to this member. */
export interface Refusal {
  readonly code: ClusterErrorCode;
  /** With UNKNOWN_MEMBER: index of the newest committed configuration of the peer, 0 when it never was in one. */
  readonly configurationIndex: number | undefined;
}

/** Trailers of a refusal: gRPC's own codes are too few to tell one from another. */
const CODE_TRAILER = 'blockraft-refusal';
const INDEX_TRAILER = 'blockraft-configuration-index';
const DIGITS_MAX = 16;

/** What one member refuses another with; all other ends of a stream are UNAVAILABLE. */
const STATUSES: Partial<Record<ClusterErrorCode, status>> = {
  WRONG_IDENTITY: status.PERMISSION_DENIED,
  UNKNOWN_MEMBER: status.PERMISSION_DENIED,
  WRONG_CLUSTER: status.FAILED_PRECONDITION,
  WRONG_PROTOCOL: status.FAILED_PRECONDITION,
  MALFORMED: status.INVALID_ARGUMENT,
};

/** Ends a call of the server with the status that fits. */
export function refuse(call: ServerCall, reason: ClusterError): void {
  call.removeAllListeners('data');
  const metadata = new Metadata();
  metadata.set(CODE_TRAILER, reason.code);
  const { configurationIndex } = reason.fields;
  if (configurationIndex !== undefined) metadata.set(INDEX_TRAILER, String(configurationIndex));
  call.emit('error', {
    code: STATUSES[reason.code] ?? status.UNAVAILABLE,
    details: reason.message,
    metadata,
  });
}

/** How the peer ended a stream, as an error here. */
export function endOf({ code, details, metadata }: StatusObject): ClusterError {
  const [named] = metadata.get(CODE_TRAILER);
  const refusal = Object.keys(STATUSES).find((known) => known === named) as
    | ClusterErrorCode
    | undefined;
  if (refusal === undefined)
    return new ClusterError('DISCONNECTED', code === status.OK ? 'ended by the peer' : details);
  const configurationIndex = indexFrom(metadata.get(INDEX_TRAILER)[0]);
  return new ClusterError(refusal, `refused by the peer: ${details}`, {
    fields: {
      refusedByPeer: true,
      ...(configurationIndex === undefined ? {} : { configurationIndex }),
    },
  });
}

/** The peer's refusal, when that is what ended a stream. */
export function refusalOf({ code, fields }: ClusterError): Refusal | undefined {
  if (fields.refusedByPeer !== true) return undefined;
  const { configurationIndex } = fields;
  return {
    code,
    configurationIndex: typeof configurationIndex === 'number' ? configurationIndex : undefined,
  };
}

/** Leaves the other side a moment to read its status. */
export function cutSoon(socket: Socket, clock: Clock): void {
  const cancel = clock.schedule(LINGER_MS, () => socket.destroy());
  socket.once('close', cancel);
}

function indexFrom(text: string | Buffer | undefined): number | undefined {
  if (typeof text !== 'string' || text.length > DIGITS_MAX || !/^[0-9]+$/.test(text))
    return undefined;
  const index = Number(text);
  return Number.isSafeInteger(index) ? index : undefined;
}
