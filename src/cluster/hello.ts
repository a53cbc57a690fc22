import type { PeerCertificate } from 'node:tls';
import { bytesEqual } from '../lib/bytes.ts';
import { identityOfSubjectAltName, memberIdOf } from '../types/certificate_identity.ts';
import type { MemberId } from '../types/entry.ts';
import type { Hash } from '../types/primitives.ts';
import { ClusterError } from './cluster_error.ts';
import { CHANNEL_NUMBERS, type Channel, type Hello, PROTOCOL_VERSION } from './wire.ts';

/** What this member says of itself, and expects of others beside their id. */
export interface Introduction {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly genesisHash: Hash;
  /** Differs for each start of the process. */
  readonly incarnation: number;
}

export function helloOf(introduction: Introduction, channel: Channel): Hello {
  return {
    protocolVersion: PROTOCOL_VERSION,
    ...introduction,
    channel: CHANNEL_NUMBERS[channel],
  };
}

/** The member that a certificate of this cluster belongs to; WRONG_IDENTITY when it is no member's. */
export function memberOfCertificate(
  certificate: PeerCertificate | undefined,
  clusterId: string,
): MemberId | ClusterError {
  const identity = identityOfSubjectAltName(certificate?.subjectaltname);
  const memberId = identity === undefined ? undefined : memberIdOf(identity);
  if (identity?.clusterId === clusterId && memberId !== undefined) return memberId;
  return new ClusterError(
    'WRONG_IDENTITY',
    `the certificate names ${certificate?.subjectaltname ?? 'nobody'}; use that of a member of cluster ${clusterId}`,
  );
}

/** Why a peer whose certificate is that of `memberId` may not go on after this Hello. */
export function helloProblem(
  hello: Hello,
  { memberId, own, channel }: { memberId: MemberId; own: Introduction; channel: Channel },
): ClusterError | undefined {
  if (hello.protocolVersion !== PROTOCOL_VERSION)
    return new ClusterError(
      'WRONG_PROTOCOL',
      `protocol version ${hello.protocolVersion} is spoken there and ${PROTOCOL_VERSION} here; upgrade the older member`,
      { fields: { peer: memberId, theirs: hello.protocolVersion, ours: PROTOCOL_VERSION } },
    );
  if (hello.clusterId !== own.clusterId)
    return new ClusterError(
      'WRONG_CLUSTER',
      `it belongs to cluster ${hello.clusterId}, not ${own.clusterId}; check its configuration`,
      { fields: { peer: memberId } },
    );
  if (!bytesEqual(hello.genesisHash, own.genesisHash))
    return new ClusterError(
      'WRONG_CLUSTER',
      'its genesis is another one; give all members the same genesis file',
      { fields: { peer: memberId } },
    );
  if (hello.memberId !== memberId)
    return new ClusterError(
      'WRONG_IDENTITY',
      `it says that it is member ${hello.memberId} with the certificate of member ${memberId}`,
      { fields: { peer: memberId } },
    );
  if (hello.channel !== CHANNEL_NUMBERS[channel])
    return new ClusterError('MALFORMED', `it answered for another channel than ${channel}`);
  return undefined;
}
