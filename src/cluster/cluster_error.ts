import { CodedError } from '../lib/error.ts';

export type ClusterErrorCode =
  /** The transport cannot start: the address is taken or not ours. */
  | 'CANNOT_LISTEN'
  /** A certificate file is missing, does not fit the others, or is another member's. */
  | 'CERTIFICATES_UNUSABLE'
  /** The peer's certificate is not that of the member it should be. */
  | 'WRONG_IDENTITY'
  /** A member of this cluster by its certificate that is not in the configuration of the one it talks to. */
  | 'UNKNOWN_MEMBER'
  /** The peer belongs to another cluster, or to one with another genesis. */
  | 'WRONG_CLUSTER'
  /** The peer speaks another version of this protocol. */
  | 'WRONG_PROTOCOL'
  /** The peer sent what no member sends. */
  | 'MALFORMED'
  /** The connection was not made, or has ended. */
  | 'DISCONNECTED'
  /** The peer is connected and has not answered for too long. */
  | 'SILENT'
  /** A request surely had no effect: trying again is safe. */
  | 'NOT_SENT'
  /** A request may or may not have had its effect: the connection ended, or time was up, after it may have arrived. */
  | 'UNKNOWN';

export class ClusterError extends CodedError<ClusterErrorCode> {}
