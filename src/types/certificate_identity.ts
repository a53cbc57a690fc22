/** What a certificate entitles its holder to. */
export type CertificateRole = 'member' | 'operator' | 'client';

/** Who holds a certificate, as its one SAN URI says: `blockraft://<clusterId>/<role>/<name>`. */
export interface CertificateIdentity {
  readonly clusterId: string;
  readonly role: CertificateRole;
  /** A member's number in decimal without leading zeros; for the others a word like the cluster id. */
  readonly name: string;
}

/** A cluster id is one DNS label: lower-case letters, digits and inner dashes, at most 63 of them. */
export const CLUSTER_ID_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const URI_PATTERN = new RegExp(
  `^blockraft://(${LABEL})/(?:(member)/([1-9][0-9]{0,8})|(operator|client)/(${LABEL}))$`,
);
/** One `Type:value` of Node's text form; a value that could be misread is a JSON string there. */
const NAME_PATTERN = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
const URI_COUNT_OF_OURS = 1;

export function certificateUri(identity: CertificateIdentity): string {
  return `blockraft://${identity.clusterId}/${identity.role}/${identity.name}`;
}

/** Undefined for every text that `certificateUri` does not make. */
export function parseCertificateUri(uri: string): CertificateIdentity | undefined {
  const [, clusterId, member, id, role, name] = URI_PATTERN.exec(uri) ?? [];
  if (clusterId === undefined) return undefined;
  if (member !== undefined && id !== undefined) return { clusterId, role: 'member', name: id };
  if ((role === 'operator' || role === 'client') && name !== undefined)
    return { clusterId, role, name };
  return undefined;
}

/**
 * The identity in a subject alternative name as Node prints it (`subjectaltname` of a TLS peer certificate,
 * `subjectAltName` of an X509Certificate). Undefined unless it holds exactly one URI and that one is ours.
 */
export function identityOfSubjectAltName(
  subjectAltName: string | undefined,
): CertificateIdentity | undefined {
  const uris: string[] = [];
  const text = subjectAltName ?? '';
  NAME_PATTERN.lastIndex = 0;
  while (NAME_PATTERN.lastIndex < text.length) {
    const [, type, value] = NAME_PATTERN.exec(text) ?? [];
    if (type === undefined || value === undefined) return undefined;
    if (type === 'URI') uris.push(value);
  }
  const [uri] = uris;
  return uri === undefined || uris.length > URI_COUNT_OF_OURS
    ? undefined
    : parseCertificateUri(uri);
}

/** The id of a member's certificate; undefined for other roles. */
export function memberIdOf(identity: CertificateIdentity): number | undefined {
  return identity.role === 'member' ? Number(identity.name) : undefined;
}
